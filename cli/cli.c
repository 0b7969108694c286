/* SPDX-License-Identifier: MIT */
/*
 * From a command line to a command, and from its end to an exit status.
 *
 * Nothing here is kept between two calls: the context is a variable of cli_main(), so that tests
 * run many command lines in one process with output of their own.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <base/text.h>
#include <cli/cli.h>

#define QUOTED_MAX 80

static void _printf_(2, 0) say(struct cli *cli, const char *format, va_list args) {
        fputs("provium: ", cli->err);
        if (cli->command)
                fprintf(cli->err, "%s: ", cli->command->name);
        vfprintf(cli->err, format, args);
        fputc('\n', cli->err);
        fflush(cli->err);
}

void cli_say(struct cli *cli, const char *format, ...) {
        va_list args;

        va_start(args, format);
        say(cli, format, args);
        va_end(args);
}

int cli_fail(struct cli *cli, int status, const char *format, ...) {
        va_list args;

        va_start(args, format);
        say(cli, format, args);
        va_end(args);
        return status;
}

int cli_misused(struct cli *cli, const char *format, ...) {
        va_list args;

        va_start(args, format);
        say(cli, format, args);
        va_end(args);
        fprintf(cli->err, "Try 'provium %s%s--help'.\n", cli->command ? cli->command->name : "",
                cli->command ? " " : "");
        return STATUS_USAGE;
}

int cli_fault(struct cli *cli, int error) {
        return cli_fail(cli, STATUS_BROKER, "cannot go on: %s", strerror(-error));
}

void cli_print_json(struct cli *cli, const json_t *object) {
        if (json_dumpf(object, cli->out, JSON_COMPACT) < 0)
                cli_say(cli, "cannot print the answer");
        fputc('\n', cli->out);
        fflush(cli->out);
}

int cli_finish(struct cli *cli, int status) {
        errno = 0;
        if (fflush(cli->out) == 0 && !ferror(cli->out))
                return status;
        /* A reader that has seen enough ("| head") needs no sentence. */
        if (errno != EPIPE)
                cli_say(cli, "cannot write the output: %s", strerror(errno ?: EIO));
        return status ?: STATUS_OUTPUT;
}

uint64_t cli_now_usec(void) {
        struct timespec now;

        clock_gettime(CLOCK_BOOTTIME, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* The command that the words at @argv name, and in *nwordsp how many of them did; NULL: none. */
static const struct command *find_command(int argc, char **argv, int *nwordsp) {
        for (const struct command *command = commands; command->name; command++) {
                size_t length = strcspn(command->name, " ");
                bool two = command->name[length];

                if (strlen(argv[0]) != length || strncmp(command->name, argv[0], length) != 0)
                        continue;
                if (two && (argc < 2 || strcmp(command->name + length + 1, argv[1]) != 0))
                        continue;
                *nwordsp = two ? 2 : 1;
                return command;
        }
        return NULL;
}

/* Takes the options that stand before the command. Returns 0, or less with *statusp set. */
static int global_options(struct cli *cli, int argc, char **argv, int *statusp) {
        static const struct option rows[] = {
                {"socket", required_argument, NULL, 's'},
                {"json", no_argument, NULL, 'j'},
                {"help", no_argument, NULL, 'h'},
                {"version", no_argument, NULL, 'V'},
                {},
        };
        char quoted[QUOTED_MAX];
        int c;

        optind = 0;
        opterr = 0;
        while ((c = getopt_long(argc, argv, "+:hV", rows, NULL)) != -1) {
                switch (c) {
                case 's':
                        cli->socket = optarg;
                        continue;
                case 'j':
                        cli->json = true;
                        continue;
                case 'h':
                        help_print_all(cli->out);
                        *statusp = STATUS_OK;
                        return -1;
                case 'V':
                        *statusp = command_version(cli, NULL);
                        return -1;
                case ':':
                        *statusp = cli_misused(cli, "option %s needs a value", argv[optind - 1]);
                        return -1;
                }
                *statusp = cli_misused(
                        cli,
                        "unknown option %s before the command; known are --socket, --json, "
                        "--help and --version",
                        text_escape(argv[optind > 1 ? optind - 1 : 1], quoted, sizeof(quoted)));
                return -1;
        }
        return 0;
}

static int dispatch(struct cli *cli, int argc, char **argv) {
        struct words words = {};
        char quoted[QUOTED_MAX];
        int n, status = STATUS_OK;

        if (global_options(cli, argc, argv, &status) < 0)
                return status;
        argc -= optind;
        argv += optind;
        if (argc == 0) {
                help_print_all(cli->err);
                return STATUS_USAGE;
        }

        cli->command = find_command(argc, argv, &n);
        if (!cli->command) {
                if (argc > 1 && strcmp(argv[1], "--help") == 0 && help_print(cli->out, argv[0]))
                        return STATUS_OK;
                if (help_print(cli->err, argv[0]))
                        return cli_misused(cli, "'%s' needs one of the words above",
                                           text_escape(argv[0], quoted, sizeof(quoted)));
                return cli_misused(cli, "unknown command '%s'",
                                   text_escape(argv[0], quoted, sizeof(quoted)));
        }
        /* The last word of the command's name takes the place of the program's for getopt. */
        words.argc = argc - n + 1;
        words.argv = argv + n - 1;
        optind = 0;
        return cli->command->call(cli, &words);
}

int cli_main(int argc, char **argv, FILE *out, FILE *err) {
        struct cli cli = {.out = out, .err = err, .socket = getenv("PROVIUM_SOCKET")};

        /* A reader that leaves shall be an error we can tell, not a silent death. */
        signal(SIGPIPE, SIG_IGN);
        if (!cli.socket || !*cli.socket)
                cli.socket = CLI_SOCKET;
        return cli_finish(&cli, dispatch(&cli, argc, argv));
}
