/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_SCRATCH_H
#define PROVIUM_CLI_SCRATCH_H

/*
 * A file without a name to measure a disk with: it is gone with its last descriptor, whatever ends
 * the process that had it.
 */

#include <base/macro.h>

struct interrupt;
struct why;

enum {
        _SCRATCH_E_SUCCESS,
        SCRATCH_E_NO_DISK,     /* a file system in memory, or one without direct I/O */
        SCRATCH_E_DENIED,      /* we may not write there */
        SCRATCH_E_FULL,        /* no room, or quota */
        SCRATCH_E_HOST,        /* the kernel refused something else */
        SCRATCH_E_INTERRUPTED, /* a signal came; without a sentence */
};

#define SCRATCH_UNIT (UINT64_C(1) << 20) /* sizes are multiples of it */

/*
 * Opens an empty file of the file system of the directory @dir_fd for direct I/O, by O_TMPFILE; on
 * a file system that has none, with a name that is taken away at once. Answers as above.
 */
_must_check_ int scratch_open(int dir_fd, int *fdp, struct why *why);

/*
 * Writes @size_bytes of noise into it, so that each later read and write meets real blocks: those
 * that were only reserved are read as zeros without asking the disk. Blocks; looks at @interrupt
 * after each unit. Answers as above; negative on a fault.
 */
_must_check_ int scratch_fill(int fd, uint64_t size_bytes, struct interrupt *interrupt,
                              struct why *why);

#endif
