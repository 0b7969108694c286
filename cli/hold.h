/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_HOLD_H
#define PROVIUM_CLI_HOLD_H

/*
 * The command that runs while a reservation stands: a child of ours, as any that a shell starts.
 * The broker knows nothing of it; when it has ended we ask for the reservation's end, and wait for
 * that.
 */

#include <sys/types.h>

#include <cli/client.h>

struct cli;

struct hold {
        struct cli *cli;
        pid_t pid;  /* 0: not started */
        int pidfd;  /* -1: not started, or ended */
        bool ended; /* and status is its exit status, or 128 + its signal */
        int status;
        struct client client; /* of the call of Release */
        bool asked;
};

#define HOLD_NULL                                                                                  \
        { .pidfd = -1, .client = CLIENT_NULL }

/* Executes @argv with this environment, terminal and directory. If that cannot be, it has ended,
 * with 126 or 127, and that was told. */
void hold_start(struct hold *hold, struct cli *cli, char *const *argv);
/* Is it running? */
bool hold_runs(const struct hold *hold);
/* Passes a signal on. One that came from the terminal (@from_kernel) it has had already. */
void hold_signal(struct hold *hold, int signal_number, bool from_kernel);

/*
 * Looks whether it has ended, and then asks for the end of the reservation @id. *donep: that is
 * over. Negative: out of memory.
 */
_must_check_ int hold_step(struct hold *hold, const char *id, bool *donep);

void hold_deinit(struct hold *hold);

#endif
