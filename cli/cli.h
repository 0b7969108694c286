/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_CLI_H
#define PROVIUM_CLI_CLI_H

/*
 * What every command of `provium` shares: where the broker is, where output goes, how a failure is
 * told, and the one table of commands from which dispatch, usage, help and the check of options all
 * come.
 */

#include <jansson.h>
#include <stdio.h>

#include <base/macro.h>

/* Exit statuses (provium(1) lists them). */
enum {
        STATUS_OK = 0,
        STATUS_PROBLEM = 1,     /* doctor has found one; bench cannot measure; QEMU says no */
        STATUS_USAGE = 64,      /* the command line, or a value in it */
        STATUS_BAD_DATA = 65,   /* a trace has an error */
        STATUS_NOT_FOUND = 66,  /* no such VM, claim, slice or file */
        STATUS_NO_BROKER = 69,  /* nobody answers on the socket, or on a VM's */
        STATUS_EXISTS = 73,     /* the name is taken */
        STATUS_OUTPUT = 74,     /* our own output cannot be written */
        STATUS_FULL = 75,       /* no room now; later perhaps */
        STATUS_DENIED = 77,     /* the policy says no */
        STATUS_BAD_POLICY = 78, /* a policy file has an error */
        STATUS_BROKER = 125,    /* the broker failed, or the VM's status was lost */
};

#define CLI_SOCKET "/run/provium/control"
#define CLI_CONFIG_DIR "/etc/provium"
#define CLI_VENDOR_DIR "/usr/lib/provium"

struct command;

struct cli {
        const char *socket;            /* borrowed */
        bool json;                     /* one object per line instead of text for people */
        FILE *out, *err;               /* borrowed */
        const struct command *command; /* NULL until one is chosen */
};

/* One option of a command; a table of them ends with a row without a name. */
struct option_row {
        int id; /* of the command's own enum, from 1 */
        const char *name;
        const char *argument; /* NULL: it takes none */
        const char *help;
};

/* What is left of a command line; after the last option, argv[0] is the first word. */
struct words {
        int argc;
        char **argv;
        const char *value; /* of the option returned last */
        int status;        /* what to exit with when words_option() returned less than 0 */
};

struct command {
        const char *name;                 /* one word, or two ("policy check") */
        const char *arguments;            /* as in usage */
        const char *help;                 /* one line */
        const char *more;                 /* paragraphs for --help, or NULL */
        const struct option_row *options; /* or NULL */
        bool stops;                       /* from the first word on, nothing is an option of ours */
        int (*call)(struct cli *cli, struct words *words); /* returns the exit status */
};

/* Ends with a row without a name. */
extern const struct command commands[];

/* Runs one command line and returns its exit status. @argv[0] is the program. */
int cli_main(int argc, char **argv, FILE *out, FILE *err);

/*
 * The next option of the command: its id, 0 when there are no more, less than 0 when the command is
 * over (help was printed, or a mistake was told): return words->status then. --help, --json and
 * --socket are taken care of.
 */
int words_option(struct cli *cli, struct words *words);
/* For a command with @least to @most words and no options of its own. Returns 0, or less as above.
 */
int words_only(struct cli *cli, struct words *words, int least, int most);
/* Checks the number of words left. Returns 0, or less than 0 with words->status set. */
int words_count(struct cli *cli, struct words *words, int least, int most);

/* Says "provium: COMMAND: sentence" on the error output. */
void cli_say(struct cli *cli, const char *format, ...) _printf_(2, 3);
/* The same, and returns @status. */
int cli_fail(struct cli *cli, int status, const char *format, ...) _printf_(3, 4);
/* The same with STATUS_USAGE and a hint where help is. */
int cli_misused(struct cli *cli, const char *format, ...) _printf_(2, 3);
/* For a negative answer of ours: says it and returns STATUS_BROKER. */
int cli_fault(struct cli *cli, int error);

/* Prints @object as one line and flushes. Does not consume it. */
void cli_print_json(struct cli *cli, const json_t *object);
/* @status, or STATUS_OUTPUT with a sentence if what was printed could not be written. */
int cli_finish(struct cli *cli, int status);

/* Prints the usage of everything, or the help of the commands that @name names (one or a group). */
void help_print_all(FILE *file);
bool help_print(FILE *file, const char *name);
void help_print_command(FILE *file, const struct command *command);

/* The time that goes on while the host sleeps, in microseconds. */
uint64_t cli_now_usec(void);

/* One per command; see the table. */
int command_run(struct cli *cli, struct words *words);
int command_claim(struct cli *cli, struct words *words);
int command_release(struct cli *cli, struct words *words);
int command_ps(struct cli *cli, struct words *words);
int command_show(struct cli *cli, struct words *words);
int command_resources(struct cli *cli, struct words *words);
int command_image_check(struct cli *cli, struct words *words);
int command_kill(struct cli *cli, struct words *words);
int command_resize(struct cli *cli, struct words *words);
int command_qmp(struct cli *cli, struct words *words);
int command_console(struct cli *cli, struct words *words);
int command_explain(struct cli *cli, struct words *words);
int command_policy_check(struct cli *cli, struct words *words);
int command_policy_show(struct cli *cli, struct words *words);
int command_policy_reload(struct cli *cli, struct words *words);
int command_doctor(struct cli *cli, struct words *words);
int command_usage(struct cli *cli, struct words *words);
int command_events(struct cli *cli, struct words *words);
int command_simulate(struct cli *cli, struct words *words);
int command_bench_disk(struct cli *cli, struct words *words);
int command_top(struct cli *cli, struct words *words);
int command_drain(struct cli *cli, struct words *words);
int command_upgrade(struct cli *cli, struct words *words);
int command_version(struct cli *cli, struct words *words);
int command_help(struct cli *cli, struct words *words);

/* The options of those that have some. */
extern const struct option_row run_option_rows[];
extern const struct option_row claim_option_rows[];
extern const struct option_row release_option_rows[];
extern const struct option_row drain_option_rows[];
extern const struct option_row kill_option_rows[];
extern const struct option_row resize_option_rows[];
extern const struct option_row qmp_option_rows[];
extern const struct option_row console_option_rows[];
extern const struct option_row policy_option_rows[];
extern const struct option_row policy_show_option_rows[];
extern const struct option_row usage_option_rows[];
extern const struct option_row events_option_rows[];
extern const struct option_row top_option_rows[];
extern const struct option_row simulate_option_rows[];
extern const struct option_row bench_option_rows[];

#endif
