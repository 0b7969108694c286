/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BASE_FD_H
#define PROVIUM_BASE_FD_H

/*
 * Descriptors: born as -1, closed by the variable that owns them.
 */

#include <base/macro.h>

/* Closes @fd if it is one, keeps errno, returns -1 so that the owner can be reset in one line. */
int fd_close(int fd);

/* Closes @n descriptors and sets each to -1. Runs of neighbours go in one close_range(2). */
void fd_close_many(int *fds, size_t n);

static inline void fd_closep(int *fdp) {
        *fdp = fd_close(*fdp);
}

#endif
