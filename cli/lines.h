/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_LINES_H
#define PROVIUM_CLI_LINES_H

/*
 * A descriptor read line by line, with a bound on how long one may be.
 */

#include <base/macro.h>

enum {
        _LINES_E_SUCCESS,
        LINES_E_END,     /* nothing more will come */
        LINES_E_TOO_BIG, /* a line is longer than its bound */
        LINES_E_READ,    /* errno says why */
};

struct lines {
        int fd; /* borrowed */
        char *text;
        size_t size, start, scanned, used; /* text[start..used) was not given out yet */
        size_t max;                        /* bytes of a line, with its newline */
        bool ended;
};

/* Allocates nothing yet. */
void lines_init(struct lines *lines, int fd, size_t max);
void lines_deinit(struct lines *lines);

/*
 * The next line without its newline (or CR and newline), or NULL if no whole one is there; after
 * the end what is left counts as one. Holds until the next call of either.
 */
const char *lines_next(struct lines *lines);

/* Reads once, and blocks if there is nothing: poll(2) first. Answers END, TOO_BIG, READ; negative:
 * out of memory. */
_must_check_ int lines_fill(struct lines *lines);

#endif
