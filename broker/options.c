/* SPDX-License-Identifier: MIT */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include <base/units.h>
#include <base/why.h>
#include <broker/options.h>

enum {
        OPT_CONFIG = 256,
        OPT_VENDOR,
        OPT_RUN,
        OPT_STATE,
        OPT_MOUNT,
        OPT_ROOT,
        OPT_PROC,
        OPT_SYS,
        OPT_JOURNAL,
        OPT_NO_SYSTEMD,
        OPT_MEM,
        OPT_CPUS,
        OPT_OVERCOMMIT,
        OPT_NO_KSM,
        OPT_CHECK,
        OPT_HOLD,
        OPT_KEEP_CONSOLE,
        OPT_RESUME,
        OPT_LAUNCHER,
        OPT_LAUNCHER_FDS,
        OPT_LAUNCHER_SOCKET,
};

static const struct option longs[] = {
        {"config-dir", required_argument, NULL, OPT_CONFIG},
        {"vendor-dir", required_argument, NULL, OPT_VENDOR},
        {"run-dir", required_argument, NULL, OPT_RUN},
        {"state-dir", required_argument, NULL, OPT_STATE},
        {"cgroup-mount", required_argument, NULL, OPT_MOUNT},
        {"cgroup-root", required_argument, NULL, OPT_ROOT},
        {"proc", required_argument, NULL, OPT_PROC},
        {"sys", required_argument, NULL, OPT_SYS},
        {"journal", required_argument, NULL, OPT_JOURNAL},
        {"no-systemd", no_argument, NULL, OPT_NO_SYSTEMD},
        {"mem", required_argument, NULL, OPT_MEM},
        {"cpus", required_argument, NULL, OPT_CPUS},
        {"cpu-overcommit", required_argument, NULL, OPT_OVERCOMMIT},
        {"no-ksm", no_argument, NULL, OPT_NO_KSM},
        {"check", no_argument, NULL, OPT_CHECK},
        {"hold", no_argument, NULL, OPT_HOLD},
        {"keep-console", required_argument, NULL, OPT_KEEP_CONSOLE},
        {"resume", required_argument, NULL, OPT_RESUME},
        {"launcher", no_argument, NULL, OPT_LAUNCHER},
        {"launcher-fds", required_argument, NULL, OPT_LAUNCHER_FDS},
        {"launcher-socket", required_argument, NULL, OPT_LAUNCHER_SOCKET},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {},
};

static const char help[] =
        "usage: provium-broker [OPTION...]\n"
        "\n"
        "Admits virtual machines on this host and enforces what was admitted.\n"
        "Runs in the foreground; under systemd as provium-broker.service.\n"
        "\n"
        "  --config-dir DIR    policy files (/etc/provium)\n"
        "  --vendor-dir DIR    the vendor's policy files (/usr/lib/provium)\n"
        "  --run-dir DIR       where the sockets are made (/run/provium)\n"
        "  --state-dir DIR     where the usage log is kept (/var/lib/provium)\n"
        "  --cgroup-mount DIR  a cgroup v2 mount (found by itself)\n"
        "  --cgroup-root PATH  our directory below it (provium, or the scope under systemd)\n"
        "  --journal SOCKET    where events go with their fields (systemd's journal, if the log "
        "does)\n"
        "  --launcher-socket PATH  the launcher that listens there starts the VMs (one of its "
        "own)\n"
        "  --no-systemd        make no scope, even where systemd runs\n"
        "  --proc DIR, --sys DIR  where to read about the host (/proc, /sys)\n"
        "  --mem SIZE --cpus N  a fixed pool: so much is sold, whatever the host has\n"
        "  --cpu-overcommit R  how often each of those CPUs is sold, 0.5 to 8 (1)\n"
        "  --no-ksm            leave the merging of equal pages as it is\n"
        "  --check             load the policies, say what is wrong, and leave (78: something is)\n"
        "  -h, --help          this text\n"
        "  -V, --version       the version\n"
        "\n"
        "SIGHUP reloads the policies. SIGTERM stops the broker; VMs run on and are adopted by its\n"
        "next start. See provium-broker(8), provium.conf(5).\n";

/* The value of --@name, by @parse; never 0. */
static int take_number(const char *name, int (*parse)(const char *, uint64_t *, struct why *),
                       uint64_t *valuep) {
        struct why why = {};

        if (parse(optarg, valuep, &why))
                fprintf(stderr, "provium-broker: --%s: %s\n", name, why.text);
        else if (*valuep == 0)
                fprintf(stderr, "provium-broker: --%s '%s': more than 0 is needed\n", name, optarg);
        else
                return OPTIONS_RUN;
        return OPTIONS_USAGE;
}

static int take_option(struct options *options, int option) {
        switch (option) {
        case OPT_CONFIG:
                options->config_dir = optarg;
                return OPTIONS_RUN;
        case OPT_VENDOR:
                options->vendor_dir = optarg;
                return OPTIONS_RUN;
        case OPT_RUN:
                options->run_dir = optarg;
                return OPTIONS_RUN;
        case OPT_STATE:
                options->state_dir = optarg;
                return OPTIONS_RUN;
        case OPT_MOUNT:
                options->cgroup_mount = optarg;
                return OPTIONS_RUN;
        case OPT_ROOT:
                options->cgroup_root = optarg;
                return OPTIONS_RUN;
        case OPT_PROC:
                options->proc_dir = optarg;
                return OPTIONS_RUN;
        case OPT_SYS:
                options->sys_dir = optarg;
                return OPTIONS_RUN;
        case OPT_JOURNAL:
                options->journal = optarg;
                return OPTIONS_RUN;
        case OPT_NO_SYSTEMD:
                options->no_systemd = true;
                return OPTIONS_RUN;
        case OPT_MEM:
                return take_number("mem", units_parse_size, &options->pool_memory_bytes);
        case OPT_CPUS:
                return take_number("cpus", units_parse_cpus, &options->pool_cpu_milli);
        case OPT_OVERCOMMIT:
                return take_number("cpu-overcommit", units_parse_ratio,
                                   &options->pool_overcommit_milli);
        case OPT_NO_KSM:
                options->no_ksm = true;
                return OPTIONS_RUN;
        case OPT_CHECK:
                options->check = true;
                return OPTIONS_RUN;
        case OPT_HOLD:
                options->hold = true;
                return OPTIONS_RUN;
        case OPT_KEEP_CONSOLE:
                options->keep_console = true;
                options->console_owner = (uid_t)strtoul(optarg, NULL, 10);
                return OPTIONS_RUN;
        case OPT_RESUME:
                options->resume_fd = (int)strtol(optarg, NULL, 10);
                return OPTIONS_RUN;
        case OPT_LAUNCHER:
                options->launcher = true;
                return OPTIONS_RUN;
        case OPT_LAUNCHER_FDS:
                options->launcher_fds = optarg;
                return OPTIONS_RUN;
        case OPT_LAUNCHER_SOCKET:
                options->launcher_socket = optarg;
                return OPTIONS_RUN;
        case 'h':
                fputs(help, stdout);
                return OPTIONS_EXIT;
        case 'V':
                puts("provium-broker " PROVIUM_VERSION);
                return OPTIONS_EXIT;
        default:
                fputs("provium-broker: see 'provium-broker --help'\n", stderr);
                return OPTIONS_USAGE;
        }
}

/* "../x", "/x" and the like would leave the hierarchy. */
static bool valid_root(const char *path) {
        return path[0] && path[0] != '/' && !strstr(path, "..") && !strstr(path, "//");
}

int options_parse(struct options *options, int argc, char **argv) {
        int option, r;

        *options = (struct options){
                .config_dir = "/etc/provium",
                .vendor_dir = "/usr/lib/provium",
                .run_dir = "/run/provium",
                .state_dir = "/var/lib/provium",
                .proc_dir = "/proc",
                .sys_dir = "/sys",
                .resume_fd = -1,
                .argv = argv,
        };
        while ((option = getopt_long(argc, argv, "hV", longs, NULL)) != -1) {
                r = take_option(options, option);
                if (r != OPTIONS_RUN)
                        return r;
        }
        if (optind < argc) {
                fprintf(stderr,
                        "provium-broker: unexpected argument '%s'; see 'provium-broker --help'\n",
                        argv[optind]);
                return OPTIONS_USAGE;
        }
        if (!options->pool_memory_bytes != !options->pool_cpu_milli ||
            (options->pool_overcommit_milli && !options->pool_cpu_milli)) {
                fputs("provium-broker: a fixed pool needs --mem and --cpus, as in --mem 4G --cpus "
                      "8\n",
                      stderr);
                return OPTIONS_USAGE;
        }
        if (options->cgroup_root && !valid_root(options->cgroup_root)) {
                fprintf(stderr,
                        "provium-broker: --cgroup-root '%s': a path relative to the mount is "
                        "needed, "
                        "such as 'provium'\n",
                        options->cgroup_root);
                return OPTIONS_USAGE;
        }
        return OPTIONS_RUN;
}
