/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_RUN_H
#define PROVIUM_CLI_RUN_H

/*
 * provium run, in five pieces: the options (run_options.c), the life of the claim as the client
 * sees it (session.c), the signals that go to the VM (forward.c), what is told meanwhile
 * (tell.c), and what is learnt of it (learn.c).
 */

#include <proto/request.h>

#include <cli/cli.h>
#include <cli/client.h>

#define RUN_RECONNECT_USEC (60 * UINT64_C(1000000))

struct run_options {
        struct run_request request;      /* argv, envp and disks are owned by it */
        bool no_console;                 /* a detached VM keeps our stdio */
        uint64_t reconnect_usec;         /* how long a broker that went away may stay away */
        int disk_fds[REQUEST_DISKS_MAX]; /* O_PATH of request.disks; open until the VM is started */
        size_t n_disk_fds;
        const char *learn_path; /* --seccomp learn:FILE, borrowed; "" without FILE */
};

#define RUN_OPTIONS_NULL                                                                           \
        { .reconnect_usec = RUN_RECONNECT_USEC }

/*
 * Reads options, command and environment, and opens the disks. Returns 0, or less than 0 with
 * words->status set after a mistake was told. @environment is an envp; entries that cannot be
 * passed on are left out.
 */
_must_check_ int run_options_parse(struct run_options *options, struct cli *cli,
                                   struct words *words, char *const *environment);
/* Closes the disks. Idempotent. */
void run_options_close_disks(struct run_options *options);
void run_options_deinit(struct run_options *options);

/* Signals on their way to the VM, on connections of their own. */
struct forward {
        struct cli *cli;
        const char *vm; /* borrowed; NULL: nothing runs yet */
        struct client client;
        uint64_t waiting;       /* bit n - 1: signal n is yet to be sent */
        int sent;               /* the one whose reply is awaited, or 0 */
        uint64_t retry_at_usec; /* not before */
};

#define FORWARD_NULL                                                                               \
        { .client = CLIENT_NULL }

void forward_add(struct forward *forward, int signal_number);
/* Goes on as far as it can without waiting. Negative: out of memory. */
_must_check_ int forward_step(struct forward *forward, uint64_t now_usec);
/* When to step at the latest, UINT64_MAX: not of itself. */
uint64_t forward_deadline(const struct forward *forward);
void forward_deinit(struct forward *forward);

/* The line that tells why a claim waits: kept up to date on a terminal, else one per change. */
struct tell {
        struct cli *cli;
        bool terminal; /* the error output is one */
        bool shown;    /* the cursor's line holds our text */
        uint64_t since_usec;
        char text[512]; /* what it waits for; "": nothing */
        char key[64];   /* the part of it whose change is news */
};

void tell_init(struct tell *tell, struct cli *cli);
void tell_waiting(struct tell *tell, const json_t *queued);
/* The same while the broker is away. */
void tell_away(struct tell *tell, const char *reason);
/* Brings the seconds on the terminal up to date. */
void tell_tick(struct tell *tell);
/* Takes the line away before anything else is printed. */
void tell_clear(struct tell *tell);
/* Prints the reply to --dry-run. Negative: out of memory. */
_must_check_ int tell_dry_run(struct cli *cli, const json_t *run);

/* Asks, waits, follows. Returns the exit status. */
int session_run(struct cli *cli, struct run_options *options);

#endif
