/* SPDX-License-Identifier: MIT */
/*
 * The table of commands, in the order in which help lists them.
 */
#include <cli/cli.h>

const struct command commands[] = {
        {
                .name = "run",
                .arguments = "-- COMMAND [ARG...]",
                .help = "Start a VM under a claim and stay with it until it ends",
                .more = "Waits until the claim fits, then executes COMMAND in its slice with this "
                        "terminal, this\nenvironment and this directory, and ends with its status. "
                        "Signals go to the VM. In COMMAND,\n{name}, {cpus}, {mem.mib}, with a "
                        "network {tap}, {mac} and others, and with disks {disk.0}\nand others are "
                        "replaced by what was admitted; provium(1) lists them.",
                .options = run_option_rows,
                .stops = true,
                .call = command_run,
        },
        {
                .name = "claim",
                .arguments = "--owner TOKEN [-- COMMAND [ARG...]]",
                .help = "Reserve at once what VMs will need that are started one by one",
                .more = "Waits until all of it fits, then executes COMMAND here, and ends with its "
                        "status. Meanwhile each\n'provium run --owner TOKEN' is inside: it starts "
                        "at once, or is refused with what is left and who\nhas the rest. When "
                        "COMMAND ends, so do the VMs inside, and then it is given back. What is "
                        "not\nnamed is not reserved. With --detach there is no COMMAND, and it "
                        "stands until 'provium release TOKEN'.",
                .options = claim_option_rows,
                .stops = true,
                .call = command_claim,
        },
        {
                .name = "release",
                .arguments = "TOKEN",
                .help = "End a reservation and the VMs inside, and wait until it is given back",
                .more = "TOKEN is the --owner it was claimed for, or its name or id as in "
                        "'provium ps'.",
                .options = release_option_rows,
                .call = command_release,
        },
        {
                .name = "ps",
                .arguments = "",
                .help = "List the VMs and the claims that wait",
                .call = command_ps,
        },
        {
                .name = "show",
                .arguments = "VM",
                .help = "Show one VM: its charge, its limits and use as the kernel reports them",
                .call = command_show,
        },
        {
                .name = "resources",
                .arguments = "",
                .help = "Show what the host has, what was sold and what is left",
                .call = command_resources,
        },
        {
                .name = "image-check",
                .arguments = "SIZE",
                .help = "Tell whether the disk has room for one more image",
                .more = "The status is 0 if an image of SIZE may be pulled, and 75 if not.",
                .call = command_image_check,
        },
        {
                .name = "kill",
                .arguments = "VM...",
                .help = "End VMs and wait until what they held is given back",
                .more = "Sends SIGTERM (or --signal), waits for the grace period of the policy (or "
                        "--grace), then ends\nwhatever is left in the VM's slice.",
                .options = kill_option_rows,
                .call = command_kill,
        },
        {
                .name = "resize",
                .arguments = "VM",
                .help = "Change what a running VM is sold: CPUs, memory, network, disk I/O",
                .more = "What is not named stays. A growth that does not fit now is refused. "
                        "Memory is taken from the VM before\nits limit comes down; what cannot be "
                        "taken is left to it, and told.",
                .options = resize_option_rows,
                .call = command_resize,
        },
        {
                .name = "qmp",
                .arguments = "VM [COMMAND [JSON-ARGUMENTS]]",
                .help = "Talk to a VM's QEMU over QMP",
                .more = "Prints what COMMAND returns, as JSON; the status is 1 if QEMU answers "
                        "with an error. Without\nCOMMAND, each line of the input is a JSON object "
                        "that is sent, and all that comes is printed.\nThe VM's command must ask "
                        "for a socket, as in:\n\n"
                        "  qemu-system-x86_64 -chardev "
                        "socket,id=qmp,fd={qmp.fd},server=on,wait=off \\\n"
                        "                     -mon chardev=qmp,mode=control ...",
                .options = qmp_option_rows,
                .call = command_qmp,
        },
        {
                .name = "console",
                .arguments = "VM",
                .help = "See what a detached VM prints, and type to it",
                .more = "Shows the last lines that it printed, then what it prints, and sends it "
                        "what is typed, until it\nends, with its status, or until the escape key "
                        "is pressed. Several may do so at once.",
                .options = console_option_rows,
                .call = command_console,
        },
        {
                .name = "explain",
                .arguments = "VM|CLAIM",
                .help = "Tell why a VM or a waiting claim is where it is",
                .call = command_explain,
        },
        {
                .name = "doctor",
                .arguments = "",
                .help = "Tell what of this host stands in the way of what was promised",
                .more = "Each finding with the line that mends it, if one does. The status is 1 if "
                        "there is a problem,\nand 0 if there are only warnings.",
                .call = command_doctor,
        },
        {
                .name = "events",
                .arguments = "",
                .help = "Print what happened",
                .options = events_option_rows,
                .call = command_events,
        },
        {
                .name = "top",
                .arguments = "",
                .help = "Watch host, VMs, queue and events on a screen; end VMs",
                .more = "The keys are told by '?' on the screen.",
                .options = top_option_rows,
                .call = command_top,
        },
        {
                .name = "usage",
                .arguments = "",
                .help = "Sum up what VMs were sold and have used over time",
                .more = "Hours of VMs; CPU-hours used and claimed; GiB-hours of memory claimed, and "
                        "the largest peak; bytes read\nand written on disks, and received and sent. "
                        "Your own VMs; those of everybody for root. WHEN is now, today,\nyesterday, "
                        "-7d (s, m, h, d, w ago), 2026-11-01, 2026-11-01T14:30:05, with Z or +01:00 "
                        "behind it, or\n@SECONDS. provium(1) tells what counts how.",
                .options = usage_option_rows,
                .call = command_usage,
        },
        {
                .name = "policy check",
                .arguments = "[DIR]",
                .help = "Check policy files without a broker; one line per error",
                .more = "DIR, if given, is read instead of " CLI_CONFIG_DIR ".",
                .options = policy_option_rows,
                .call = command_policy_check,
        },
        {
                .name = "policy show",
                .arguments = "[SLICE]",
                .help = "Print the policy in force, of the broker or of one slice",
                .options = policy_show_option_rows,
                .call = command_policy_show,
        },
        {
                .name = "policy reload",
                .arguments = "",
                .help = "Make the broker read its policy files again",
                .call = command_policy_reload,
        },
        {
                .name = "simulate",
                .arguments = "TRACE",
                .help = "Tell how long the claims of a trace would wait, on this host or on others",
                .more = "TRACE (-: the standard input) is CSV, whose first line names the columns, "
                        "or what\n'provium events --json' printed:\n\n"
                        "  arrival_s,duration_s,cpus,memory,priority\n"
                        "  0,60,2,1G,0\n"
                        "  1.5,600,0.5,512M,10\n\n"
                        "Also disk_io, download, upload, disk, gpus, user and slice. Needs no "
                        "broker; provium(1) tells what\nis simulated and what is not.",
                .options = simulate_option_rows,
                .call = command_simulate,
        },
        {
                .name = "bench disk",
                .arguments = "[PATH]",
                .help = "Measure what the disk beneath a directory carries",
                .more = "Writes a file without a name below PATH (the data directory), measures "
                        "with fio(1), and prints\nthe line for broker.conf. Nothing of it stays. "
                        "The disk is fully loaded meanwhile: not for hours in\nwhich VMs need it.",
                .options = bench_option_rows,
                .call = command_bench_disk,
        },
        {
                .name = "drain",
                .arguments = "",
                .help = "Start no VM on this host any more; those that run go on",
                .more = "Claims wait meanwhile, also over a restart of the broker, until --undo or "
                        "the next boot.",
                .options = drain_option_rows,
                .call = command_drain,
        },
        {
                .name = "upgrade",
                .arguments = "",
                .help = "Make the broker execute its binary anew; VMs and waiting claims go on",
                .call = command_upgrade,
        },
        {
                .name = "version",
                .arguments = "",
                .help = "Print the version of this command",
                .call = command_version,
        },
        {
                .name = "help",
                .arguments = "[COMMAND]",
                .help = "Print this list, or the help of one command",
                .call = command_help,
        },
        {},
};
