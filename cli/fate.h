/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_FATE_H
#define PROVIUM_CLI_FATE_H

/*
 * How a VM ends, for a command that does not follow it: as the broker's events tell it, across a
 * broker that goes and comes back.
 */

#include <cli/client.h>

struct fate {
        struct cli *cli;
        const char *id; /* of the VM; borrowed */
        struct client client;
        uint64_t retry_at_usec;
        int64_t next;      /* the number of the next event; -1: none was seen */
        bool ended, known; /* known: status is */
        int status;        /* as an exit status */
};

#define FATE_NULL                                                                                  \
        { .client = CLIENT_NULL, .next = -1 }

/* Takes what has come; connects (again) if it is time. Negative: out of memory. */
_must_check_ int fate_step(struct fate *fate, uint64_t now_usec);
/* When to step at the latest; UINT64_MAX: when its descriptor has news. */
uint64_t fate_deadline(const struct fate *fate);
/* Asks the broker whether it still knows the VM; waits for the answer. */
_must_check_ bool fate_still_runs(const struct fate *fate);
void fate_deinit(struct fate *fate);

static inline void fate_deinitp(struct fate *fate) {
        fate_deinit(fate);
}

#endif
