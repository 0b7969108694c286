/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_SIM_ENDS_H
#define PROVIUM_CLI_SIM_ENDS_H

/*
 * What runs, and when each will end: a heap whose first is the next to end, among those of one time
 * the one that started first.
 */

#include <base/macro.h>

struct end {
        uint64_t at_usec, order;
        void *what;
};

struct ends {
        struct end *heap;
        size_t n, n_allocated;
        uint64_t order;
};

/* Adds @what, borrowed. Negative: out of memory. */
_must_check_ int ends_add(struct ends *ends, uint64_t at_usec, void *what);
/* Takes the next one out, of which there must be one. */
void *ends_take(struct ends *ends);
void ends_deinit(struct ends *ends);

#endif
