/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_CONSOLE_H
#define PROVIUM_CLI_CONSOLE_H

/*
 * What console.c (the command line, the log) and console_session.c (the loop) share; nobody else
 * includes this.
 */

#include <cli/fate.h>
#include <cli/terminal.h>
#include <proto/console.h>

#define CONSOLE_ALL_LINES UINT64_MAX

struct console_options {
        int escape; /* TERMINAL_NO_KEY: no key leaves */
        bool log_only, read_only;
        uint64_t lines; /* of the log, its last */
};

struct console {
        struct cli *cli;
        struct console_options options;
        const char *vm, *id; /* borrowed */
        int fd;              /* the console's socket; -1: it has ended; owned */
        struct fate fate;
        struct terminal terminal; /* the input, if that is one and goes to the VM */
        int window_fd;            /* a terminal whose size the VM is told; -1: none */

        bool live; /* the log is over, and its last lines were shown */
        size_t n_log;
        char log[CONSOLE_LOG_MAX + 1]; /* until then; behind it room for a NUL */

        bool input_ended;
        size_t n_input; /* for the VM, and not sent yet */
        char input[CONSOLE_DATA_MAX];
        size_t n_output, output_done;
        char output[CONSOLE_LOG_MAX];

        bool done;
        int status;
};

/* Reads one packet; until live, DATA is gathered in console->log, then put into console->output,
 * which must be empty. Ends the session if there is nothing more. */
void console_take(struct console *console);
/* The last lines of the log, in *np bytes. */
const char *console_tail(const struct console *console, size_t *np);
/* Ends the session with that exit status. */
void console_finish(struct console *console, int status);

/* Passes bytes both ways until the VM's end or until the person leaves. Returns the exit status. */
int console_attach(struct console *console);

#endif
