/* SPDX-License-Identifier: MIT */
/*
 * The command line of provium run, as a request. Values are checked here as the broker will check
 * them, so that a typing error costs no connection; what fits and what is allowed, only it knows.
 *
 * The environment goes along whole. What the wire cannot carry (entries without a name, or that are
 * not UTF-8) is left out with a notice: refusing to start because of some exported oddity would
 * help nobody.
 *
 * The files of disks are opened here, once: what a path means may change while the claim waits, and
 * that we may find them is for the kernel to say, which knows whose process this is. Nothing is
 * read from them.
 *
 * The options of provium claim are the same, but for what belongs to a process; so both are here,
 * and the file is a little longer than others.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <base/fd.h>
#include <base/units.h>
#include <base/why.h>
#include <cli/human.h>
#include <cli/learn.h>
#include <cli/run.h>

enum {
        OPTION_SLICE = 1,
        OPTION_NAME,
        OPTION_OWNER,
        OPTION_CPUS,
        OPTION_MEM,
        OPTION_DISK,
        OPTION_DOWNLOAD,
        OPTION_UPLOAD,
        OPTION_DISK_IO,
        OPTION_DISK_READ,
        OPTION_DISK_WRITE,
        OPTION_DISK_IOPS,
        OPTION_DISK_IMAGE,
        OPTION_GPUS,
        OPTION_NET,
        OPTION_PRIORITY,
        OPTION_WAIT,
        OPTION_TIME,
        OPTION_MAX_TIME,
        OPTION_NO_WAIT,
        OPTION_DETACH,
        OPTION_NO_CONSOLE,
        OPTION_DRY_RUN,
        OPTION_RECONNECT,
        OPTION_SECCOMP,
        OPTION_VMS,
};

const struct option_row run_option_rows[] = {
        {OPTION_SLICE, "slice", "NAME", "whose share it is taken from (default)"},
        {OPTION_NAME, "name", "VM", "what other commands call it (made up)"},
        {OPTION_OWNER, "owner", "TOKEN",
         "who keeps it while asking for more, so that a deadlock is found"},
        {OPTION_CPUS, "cpus", "N", "CPUs, such as 2 or 0.5"},
        {OPTION_MEM, "mem", "SIZE", "memory of the guest, such as 512M or 1.5G"},
        {OPTION_DISK, "disk", "SIZE", "space on the data directory's disk"},
        {OPTION_DISK_IMAGE, "disk-image", "PATH",
         "a file or device that is a disk of the VM, once more for each"},
        {OPTION_DOWNLOAD, "download", "RATE", "network to the VM, such as 100Mbps or 10MB/s"},
        {OPTION_UPLOAD, "upload", "RATE", "network from the VM"},
        {OPTION_DISK_IO, "disk-io", "RATE", "disk reads and writes, such as 250MB/s"},
        {OPTION_DISK_READ, "disk-read", "RATE",
         "reads, where they shall have a limit of their own"},
        {OPTION_DISK_WRITE, "disk-write", "RATE", "writes, likewise"},
        {OPTION_DISK_IOPS, "disk-iops", "N", "reads and writes per second, likewise"},
        {OPTION_GPUS, "gpus", "N", "GPU slots"},
        {OPTION_NET, "net", "BRIDGE[,queues=N]",
         "a tap on that bridge, once more for each; or none"},
        {OPTION_PRIORITY, "priority", "N", "-1000 to 1000, where the policy heeds it (0)"},
        {OPTION_WAIT, "wait", "DURATION", "give up after that long in the queue (never)"},
        {OPTION_TIME, "time", "DURATION", "how long it will run, for the estimates of others"},
        {OPTION_MAX_TIME, "max-time", "DURATION",
         "the same, and end it then; it may have what others lend so long"},
        {OPTION_NO_WAIT, "no-wait", NULL, "start at once or not at all"},
        {OPTION_DETACH, "detach", NULL, "print the VM's name when it runs, and leave it"},
        {OPTION_NO_CONSOLE, "no-console", NULL, "leave it this command's input and output, too"},
        {OPTION_DRY_RUN, "dry-run", NULL, "only tell what would happen"},
        {OPTION_RECONNECT, "reconnect", "DURATION",
         "how long to look for a broker that left (60s)"},
        {OPTION_SECCOMP, "seccomp", "learn[:FILE]",
         "write a list of the system calls it makes (NAME.seccomp)"},
        {},
};

const struct option_row claim_option_rows[] = {
        {OPTION_SLICE, "slice", "NAME", "whose share it is taken from (default)"},
        {OPTION_OWNER, "owner", "TOKEN", "whom it is for: 'provium run --owner TOKEN' is inside"},
        {OPTION_NAME, "name", "NAME", "what ps and explain call it (made up)"},
        {OPTION_CPUS, "cpus", "N", "CPUs of all VMs together, such as 4 or 0.5 (0)"},
        {OPTION_MEM, "mem", "SIZE", "memory of all guests together (0)"},
        {OPTION_VMS, "vms", "N",
         "for how many VMs to add what a hypervisor needs of memory (one for each CPU)"},
        {OPTION_DISK, "disk", "SIZE", "space on the data directory's disk (0)"},
        {OPTION_DISK_IO, "disk-io", "RATE", "disk reads and writes (0)"},
        {OPTION_DISK_IMAGE, "disk-image", "PATH",
         "a file on a disk that this is of, once more for each (the data directory's)"},
        {OPTION_DOWNLOAD, "download", "RATE", "network to the VMs (0)"},
        {OPTION_UPLOAD, "upload", "RATE", "network from the VMs (0)"},
        {OPTION_GPUS, "gpus", "N", "GPU slots (0)"},
        {OPTION_PRIORITY, "priority", "N", "-1000 to 1000, where the policy heeds it (0)"},
        {OPTION_WAIT, "wait", "DURATION", "give up after that long in the queue (never)"},
        {OPTION_TIME, "time", "DURATION", "how long it will stand, for the estimates of others"},
        {OPTION_MAX_TIME, "max-time", "DURATION",
         "the same, and end it then; it may have what others lend so long"},
        {OPTION_NO_WAIT, "no-wait", NULL, "at once or not at all"},
        {OPTION_DETACH, "detach", NULL, "print its name when it stands, and leave it"},
        {OPTION_DRY_RUN, "dry-run", NULL, "only tell what would happen"},
        {OPTION_RECONNECT, "reconnect", "DURATION",
         "how long to look for a broker that left (60s)"},
        {},
};

static int set_name(char *name, const char *what, const char *value,
                    int (*check)(const char *, const char *, struct why *), struct why *why) {
        int r = check(what, value, why);

        if (!r && !text_copy(name, TEXT_NAME_MAX + 1, value))
                r = why_set(why, REQUEST_E_INVALID, "it is too long");
        return r;
}

/* An amount the wire can carry; @least is 1 where the broker takes no 0. */
static int set_amount(uint64_t *amountp, const char *value, uint64_t least,
                      int (*parse)(const char *, uint64_t *, struct why *), struct why *why) {
        uint64_t amount;
        int r;

        r = parse(value, &amount, why);
        if (r)
                return r;
        if (amount < least)
                return why_set(why, REQUEST_E_INVALID, "0 is too little");
        if (amount > INT64_MAX)
                return why_set(why, REQUEST_E_INVALID, "no host has that much");
        *amountp = amount;
        return 0;
}

/* ",queues=N" behind a bridge. */
static int set_queues(unsigned *queuesp, const char *text, struct why *why) {
        static const char key[] = "queues=";
        char quoted[64];
        uint64_t queues;

        if (strncmp(text, key, strlen(key)) != 0)
                return why_set(why, REQUEST_E_INVALID,
                               "'%s' is unknown behind a bridge; valid is queues=N",
                               text_escape(text, quoted, sizeof(quoted)));
        if (units_parse_count(text + strlen(key), &queues, NULL) || queues < 1 ||
            queues > REQUEST_QUEUES_MAX)
                return why_set(why, REQUEST_E_INVALID, "queues: give a whole number from 1 to %d",
                               REQUEST_QUEUES_MAX);
        *queuesp = (unsigned)queues;
        return 0;
}

/* One more bridge, or "none": no network, whatever the slice's default is. */
static int set_net(struct run_request *request, const char *value, struct why *why) {
        const char *comma = strchr(value, ',');
        struct net_request net = {.queues = 1};
        char bridge[128]; /* cut, it is still too long */
        unsigned queues = 0;
        int r;

        snprintf(bridge, sizeof(bridge), "%.*s", (int)strcspn(value, ","), value);
        if (request->nets_given && (request->n_nets == 0) != (strcmp(value, "none") == 0))
                return why_set(why, REQUEST_E_INVALID, "give either none or bridges");
        request->nets_given = true;
        if (strcmp(value, "none") == 0)
                return 0;
        if (request->n_nets == REQUEST_NETS_MAX)
                return why_set(why, REQUEST_E_INVALID, "give at most %d", REQUEST_NETS_MAX);
        r = text_check_interface("bridge", bridge, why);
        if (!r && !text_copy(net.bridge, sizeof(net.bridge), bridge))
                r = why_set(why, REQUEST_E_INVALID, "it is too long");
        if (!r && comma)
                r = set_queues(&net.queues, comma + 1, why);
        if (r)
                return r;
        request->nets[request->n_nets++] = net;
        for (size_t i = 0; i < request->n_nets; i++)
                queues += request->nets[i].queues;
        if (queues > REQUEST_TAP_FDS_MAX / 2)
                return why_set(why, REQUEST_E_INVALID, "%u queues; give at most %d, all together",
                               queues, REQUEST_TAP_FDS_MAX / 2);
        return 0;
}

/* One more disk; its file is opened when the whole command line has proved right. */
static int set_disk(struct run_request *request, const char *value, struct why *why) {
        if (!*value || strlen(value) > REQUEST_DISK_PATH_MAX || !text_is_printable(value))
                return why_set(why, REQUEST_E_INVALID,
                               "give a path of 1 to %d bytes of UTF-8 without control characters",
                               REQUEST_DISK_PATH_MAX);
        if (request->n_disks == REQUEST_DISKS_MAX)
                return why_set(why, REQUEST_E_INVALID, "give at most %d", REQUEST_DISKS_MAX);
        request->disks = request->disks ?: calloc(REQUEST_DISKS_MAX + 1, sizeof(*request->disks));
        if (!request->disks)
                return fault(-ENOMEM);
        request->disks[request->n_disks] = strdup(value);
        if (!request->disks[request->n_disks])
                return fault(-ENOMEM);
        request->n_disks++;
        return 0;
}

static int set_priority(int64_t *priorityp, const char *value, struct why *why) {
        bool below = value[0] == '-';
        uint64_t number;

        if (units_parse_count(value + below, &number, NULL) || number > REQUEST_PRIORITY_MAX)
                return why_set(why, REQUEST_E_INVALID, "give a whole number from -%d to %d",
                               REQUEST_PRIORITY_MAX, REQUEST_PRIORITY_MAX);
        *priorityp = below ? -(int64_t)number : (int64_t)number;
        return 0;
}

static int set_vms(uint64_t *vmsp, const char *value, struct why *why) {
        if (units_parse_count(value, vmsp, NULL) || *vmsp > REQUEST_VMS_MAX)
                return why_set(why, REQUEST_E_INVALID, "give a whole number from 0 to %d",
                               REQUEST_VMS_MAX);
        return 0;
}

/* The claim's own options. Returns 0, or an answer with a sentence. */
static int set_claim(struct run_request *request, int option, const char *value, struct why *why) {
        uint64_t *amount = request->claim.amount;

        switch (option) {
        case OPTION_CPUS:
                return set_amount(&amount[RESOURCE_CPU], value, !request->reserves,
                                  units_parse_cpus, why);
        case OPTION_MEM:
                return set_amount(&amount[RESOURCE_MEMORY], value, !request->reserves,
                                  units_parse_size, why);
        case OPTION_DISK:
                return set_amount(&amount[RESOURCE_DISK], value, 0, units_parse_size, why);
        case OPTION_DISK_IO:
                return set_amount(&amount[RESOURCE_DISK_IO], value, 0, units_parse_rate, why);
        case OPTION_DISK_READ:
                return set_amount(&request->disk_read_bytes_per_s, value, 1, units_parse_rate, why);
        case OPTION_DISK_WRITE:
                return set_amount(&request->disk_write_bytes_per_s, value, 1, units_parse_rate,
                                  why);
        case OPTION_DISK_IOPS:
                return set_amount(&request->disk_ios_per_s, value, 1, units_parse_count, why);
        case OPTION_VMS:
                return set_vms(&request->vms, value, why);
        case OPTION_GPUS:
                return set_amount(&amount[RESOURCE_GPU], value, 0, units_parse_count, why);
        case OPTION_DOWNLOAD:
                return set_amount(&request->download_bytes_per_s, value, 0, units_parse_rate, why);
        case OPTION_UPLOAD:
                return set_amount(&request->upload_bytes_per_s, value, 0, units_parse_rate, why);
        }
        return why_set(why, REQUEST_E_INVALID, "unknown option");
}

static int set_option(struct run_options *options, int option, const char *value, struct why *why) {
        struct run_request *request = &options->request;

        switch (option) {
        case OPTION_SLICE:
                return set_name(request->slice, "slice", value, text_check_slice, why);
        case OPTION_NAME:
                return set_name(request->name, "VM name", value, text_check_name, why);
        case OPTION_OWNER:
                return set_name(request->owner, "owner", value, text_check_name, why);
        case OPTION_NET:
                return set_net(request, value, why);
        case OPTION_DISK_IMAGE:
                return set_disk(request, value, why);
        case OPTION_PRIORITY:
                return set_priority(&request->priority, value, why);
        case OPTION_WAIT:
                return set_amount(&request->wait_usec, value, 0, units_parse_duration, why);
        case OPTION_TIME:
                return set_amount(&request->time_usec, value, 1, units_parse_duration, why);
        case OPTION_MAX_TIME:
                request->ends = true;
                return set_amount(&request->time_usec, value, 1, units_parse_duration, why);
        case OPTION_NO_WAIT:
                request->wait_usec = 0;
                return 0;
        case OPTION_DETACH:
                request->detach = true;
                return 0;
        case OPTION_NO_CONSOLE:
                options->no_console = true;
                return 0;
        case OPTION_DRY_RUN:
                request->dry_run = true;
                return 0;
        case OPTION_SECCOMP:
                request->learn = true;
                return learn_parse(value, &options->learn_path, why);
        case OPTION_RECONNECT:
                return set_amount(&options->reconnect_usec, value, 0, units_parse_duration, why);
        default:
                return set_claim(request, option, value, why);
        }
}

static const char *option_name(const struct cli *cli, int option) {
        for (const struct option_row *row = cli->command->options; row->name; row++)
                if (row->id == option)
                        return row->name;
        return "?";
}

/* Whether JSON can carry @text. */
static bool is_utf8(const char *text) {
        json_t *string = json_string(text);

        json_decref(string);
        return string;
}

static int misuse(struct words *words, int status) {
        words->status = status;
        return -1;
}

static int copy_command(struct run_request *request, struct cli *cli, struct words *words) {
        if (words->argc == 0 || !*words->argv[0])
                return misuse(words, cli_misused(cli, "give the command to execute after '--'"));
        if (words->argc > REQUEST_ARGS_MAX)
                return misuse(words, cli_misused(cli,
                                                 "the command has %d words, at most %d can be "
                                                 "passed on",
                                                 words->argc, REQUEST_ARGS_MAX));
        request->argv = calloc((size_t)words->argc + 1, sizeof(*request->argv));
        if (!request->argv)
                return misuse(words, cli_fault(cli, -ENOMEM));
        for (int i = 0; i < words->argc; i++) {
                if (!is_utf8(words->argv[i]))
                        return misuse(words, cli_misused(cli, "word %d of the command is not UTF-8",
                                                         i + 1));
                request->argv[i] = strdup(words->argv[i]);
                if (!request->argv[i])
                        return misuse(words, cli_fault(cli, -ENOMEM));
                request->n_argv++;
        }
        return 0;
}

static int copy_environment(struct run_request *request, struct cli *cli, struct words *words,
                            char *const *environment) {
        size_t n = 0, left_out = 0;

        while (environment[n])
                n++;
        request->envp = calloc(n + 1, sizeof(*request->envp));
        if (!request->envp)
                return misuse(words, cli_fault(cli, -ENOMEM));
        for (size_t i = 0; i < n; i++) {
                const char *equals = strchr(environment[i], '=');

                if (!equals || equals == environment[i] || !is_utf8(environment[i])) {
                        left_out++;
                        continue;
                }
                request->envp[request->n_envp] = strdup(environment[i]);
                if (!request->envp[request->n_envp])
                        return misuse(words, cli_fault(cli, -ENOMEM));
                request->n_envp++;
        }
        if (left_out > 0)
                cli_say(cli,
                        "%zu of the environment's entries cannot be passed on (no name, or not "
                        "UTF-8)",
                        left_out);
        return 0;
}

static int open_disks(struct run_options *options, struct cli *cli, struct words *words) {
        const struct run_request *request = &options->request;

        for (size_t i = 0; i < request->n_disks; i++) {
                int fd = open(request->disks[i], O_PATH | O_CLOEXEC);
                char safe[HUMAN_TEXT_MAX];

                if (fd < 0)
                        return misuse(words, cli_fail(cli, STATUS_NOT_FOUND,
                                                      "--disk-image: cannot open %s: %s",
                                                      human_safe(request->disks[i], safe),
                                                      strerror(errno)));
                options->disk_fds[options->n_disk_fds++] = fd;
        }
        return 0;
}

static int check_bounds(const struct run_request *request, struct cli *cli, struct words *words) {
        size_t bytes = 0;

        for (size_t i = 0; i < request->n_argv; i++)
                bytes += strlen(request->argv[i]) + 1;
        for (size_t i = 0; i < request->n_envp; i++)
                bytes += strlen(request->envp[i]) + 1;
        if (request->n_envp > REQUEST_ENV_MAX || bytes > REQUEST_STRINGS_MAX)
                return misuse(
                        words,
                        cli_misused(cli,
                                    "command and environment have %zu variables and %zu bytes, "
                                    "at most %d and %d can be passed on; try 'env -i provium ...'",
                                    request->n_envp, bytes, REQUEST_ENV_MAX, REQUEST_STRINGS_MAX));
        return 0;
}

int run_options_parse(struct run_options *options, struct cli *cli, struct words *words,
                      char *const *environment) {
        struct run_request *request = &options->request;
        int option, r;

        for (size_t i = 0; i < _RESOURCE_N; i++)
                request->claim.amount[i] = REQUEST_DEFAULT;
        request->download_bytes_per_s = request->upload_bytes_per_s = REQUEST_DEFAULT;
        request->disk_read_bytes_per_s = request->disk_write_bytes_per_s = REQUEST_DEFAULT;
        request->disk_ios_per_s = request->vms = REQUEST_DEFAULT;
        request->wait_usec = REQUEST_WAIT_FOREVER;

        while ((option = words_option(cli, words)) > 0) {
                struct why why = {};

                r = set_option(options, option, words->value, &why);
                if (r < 0)
                        return misuse(words, cli_fault(cli, r));
                if (r)
                        return misuse(words, cli_misused(cli, "--%s: %s", option_name(cli, option),
                                                         why.text));
        }
        if (option < 0)
                return option;
        if (request->learn && request->detach)
                return misuse(words, cli_misused(cli, "--seccomp learn needs this command for as "
                                                      "long as the VM runs; leave --detach out"));

        if (request->reserves && request->detach && words->argc == 0)
                return open_disks(options, cli, words);
        if (request->reserves && request->detach)
                return misuse(words, cli_misused(cli, "give either --detach or a command"));
        if (request->reserves && request->dry_run && words->argc == 0)
                return open_disks(options, cli, words);
        request->console = request->detach && !options->no_console;
        r = copy_command(request, cli, words);
        if (!r)
                r = copy_environment(request, cli, words, environment);
        if (!r)
                r = check_bounds(request, cli, words);
        return r ?: open_disks(options, cli, words);
}

void run_options_close_disks(struct run_options *options) {
        fd_close_many(options->disk_fds, options->n_disk_fds);
        options->n_disk_fds = 0;
}

void run_options_deinit(struct run_options *options) {
        run_options_close_disks(options);
        run_request_deinit(&options->request);
}
