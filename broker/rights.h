/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_RIGHTS_H
#define PROVIUM_BROKER_RIGHTS_H

/*
 * What the broker and the launcher may do: of root's capabilities those in the two tables of
 * rights.c, each with its reason, and no system call of broker/syscalls.list. Both are given up at
 * the start, before a policy is read or a client is heard, and never come back: neither a new
 * binary that is executed in place nor anything else that is executed can gain more (no_new_privs).
 *
 * The launcher's children inherit all of it, and a filter cannot be taken off. So the list denies
 * only what no hypervisor needs, and is no wall around VMs: those are [Sandbox]'s. The broker, whom
 * clients talk to, starts nothing but the keeper of the scope, and has next to nothing: for the
 * rest it asks the launcher (launcher/errands), which decides nothing and hears nobody else.
 */

#include <base/macro.h>

struct findings;
struct why;

extern const char broker_syscalls[]; /* the text of broker/syscalls.list */

enum {
        _RIGHTS_E_SUCCESS,
        RIGHTS_E_HOST = 340, /* the kernel refused */
};

enum rights_of {
        RIGHTS_OF_LAUNCHER,
        RIGHTS_OF_BROKER,
        _RIGHTS_OF_N,
};

/*
 * Gives up what @who does not need. @resumed: this process has executed itself anew, and its filter
 * is in force already. Where it has less than the table says, it goes on with that. Answers HOST;
 * negative: out of memory.
 */
_must_check_ int rights_limit(enum rights_of who, bool resumed, struct why *why);

/* Gives up everything: for the holder of the scope, which only waits. */
void rights_give_up(void);

/* A check of broker/doctor: what the two lack, and what it would be for. */
void rights_check(struct findings *findings);

#endif
