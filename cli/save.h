/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_SAVE_H
#define PROVIUM_CLI_SAVE_H

/*
 * A file that events are appended to: one line of JSON each, or one MessagePack frame each if its
 * name ends in .msgpack.
 *
 * Several may write to one file at a time, and any of them may be killed. Each frame is written
 * under flock(2), at the end as it is then, with one write(2). The kernel may carry out a part of
 * that only: the disk is full, or SIGKILL comes between two pages. What a living writer cannot
 * complete it takes back; what a dead one has left is the end of the file when the next one has
 * the lock, which takes that away before it writes. So a reader finds whole frames, and at most the
 * last one cut, while it is written.
 *
 * A file that was moved away (logrotate) is noticed before the next frame, which begins a new one.
 */

#include <jansson.h>
#include <sys/types.h>

#include <base/macro.h>

struct why;

enum {
        _SAVE_E_SUCCESS,
        SAVE_E_OPEN,    /* it cannot be opened, or is no ordinary file */
        SAVE_E_FOREIGN, /* it holds something else than events; it is left as it is */
        SAVE_E_WRITE,   /* no more can be written; what is in it is whole */
};

struct save {
        const char *path; /* borrowed */
        int fd;
        bool frames;       /* MessagePack, else JSON */
        off_t whole;       /* up to here there are whole frames */
        uint64_t n_mended; /* bytes of cut frames that were taken away */
};

#define SAVE_NULL                                                                                  \
        { .fd = -1 }

/* Opens @path (borrowed), or makes it. Answers SAVE_E_OPEN, SAVE_E_FOREIGN. */
_must_check_ int save_open(struct save *save, const char *path, struct why *why);
/* Appends one. Waits for other writers, and for the disk. Answers any of the above; negative: out
 * of memory. */
_must_check_ int save_add(struct save *save, const json_t *event, struct why *why);
/* Closes it, when all is on the disk. Answers SAVE_E_WRITE if it does not get there. */
_must_check_ int save_close(struct save *save, struct why *why);
/* Closes it. Idempotent. */
void save_deinit(struct save *save);

#endif
