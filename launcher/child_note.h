/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_LAUNCHER_CHILD_NOTE_H
#define PROVIUM_LAUNCHER_CHILD_NOTE_H

#include <sys/types.h>

#include <base/macro.h>

/*
 * What is told of a child, in memory that it shares with its parent, and that others may read: a
 * cache line for each. What the child writes before it leaves is valid once it no longer shares
 * memory.
 */
struct child_note {
        volatile uint32_t shares_memory; /* cleared by the kernel */
        volatile pid_t pid;              /* written by clone3, before the child runs */
        volatile uint32_t failed_errnum; /* 0: nothing failed */
        volatile uint32_t failed_step;   /* an enum child_step */
        volatile uint32_t failed_file;   /* CHILD_OPEN: index of the file, + 1; 0: none */
        volatile uint32_t quota_held;    /* files under the quota, which is in force if not 0 */
        volatile uint32_t quota_refused; /* errno: why there is none */
} __attribute__((aligned(64)));

#endif
