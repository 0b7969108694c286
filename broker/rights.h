/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_RIGHTS_H
#define PROVIUM_BROKER_RIGHTS_H

/*
 * What the broker itself may do: of root's capabilities those in the table of rights.c, each with
 * its reason, and no system call of broker/syscalls.list. Both are given up at the start, before a
 * policy is read or a client is heard, and never come back: neither a new binary that is executed
 * in place nor anything else that it executes can gain more (no_new_privs).
 *
 * Its children inherit all of it, and a filter cannot be taken off. So the list denies only what no
 * hypervisor needs, and is no wall around VMs: those are [Sandbox]'s. What the broker needs to
 * build them (CAP_SYS_ADMIN above all) would be enough to undo most of what could be taken from
 * it besides; this makes what is left readable, and the kernel's rarely used doors stay shut.
 */

#include <base/macro.h>

struct findings;
struct why;

extern const char broker_syscalls[]; /* the text of broker/syscalls.list */

enum {
        _RIGHTS_E_SUCCESS,
        RIGHTS_E_HOST = 340, /* the kernel refused */
};

/*
 * Gives up what is not needed. @resumed: this process has executed itself anew, and its filter is
 * in force already. Where it has less than the table says, it goes on with that. Answers HOST;
 * negative: out of memory.
 */
_must_check_ int rights_limit(bool resumed, struct why *why);

/* Gives up everything: for the holder of the scope, which only waits. */
void rights_give_up(void);

/* A check of broker/doctor: what is missing, and what it would be for. */
void rights_check(struct findings *findings);

#endif
