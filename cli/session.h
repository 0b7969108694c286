/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_SESSION_H
#define PROVIUM_CLI_SESSION_H

/*
 * What session.c (the loop, the connection, our signals) and life.c (what the replies mean) share;
 * nobody else includes this.
 */

#include <base/why.h>
#include <cli/hold.h>
#include <cli/learn.h>
#include <cli/run.h>

enum phase {
        PHASE_ASKED,
        PHASE_QUEUED,
        PHASE_STARTED,
};

struct session {
        struct cli *cli;
        struct run_options *options;
        struct client client;
        struct forward forward;
        struct tell tell;
        struct learn learn;
        struct hold hold; /* of a reservation: the command that runs under it */
        bool over;        /* which has ended, while that still runs */
        int signal_fd;

        enum phase phase;
        char id[TEXT_NAME_MAX + 1];
        char name[TEXT_NAME_MAX + 1];
        uint64_t wait_until_usec; /* 0: not asked yet; UINT64_MAX: for ever */

        uint64_t lost_at_usec; /* 0: the broker has answered since */
        uint64_t retry_at_usec, retry_step_usec;
        bool away_told;
        unsigned kept; /* signals that would end us, kept while the broker was away */
        struct why lost;

        bool done;
        int status;
};

/* Ends the loop with that exit status. */
void session_finish(struct session *session, int status);

/* Takes one reply to Run or Attach, in whatever phase. */
void life_take_reply(struct session *session, const struct reply *reply);

#endif
