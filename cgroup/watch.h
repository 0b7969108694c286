/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CGROUP_WATCH_H
#define PROVIUM_CGROUP_WATCH_H

/*
 * News from groups, without polling: one inotify instance for all of them.
 *
 * kernfs reports two things on a watched directory: that somebody wrote to one of its files
 * (cpu.max changed under us), and that the kernel itself changed one that announces changes
 * (cgroup.events when the group became empty, memory.events after an OOM kill). Both arrive as
 * IN_MODIFY with the file's name. Reading a file first would be needed only for poll(2). And a file
 * that was open for writing and is closed gives IN_CLOSE_WRITE: the bell that rings at a child's
 * execve (launcher/child.h).
 */

#include <cgroup/cgroup.h>

enum watch_news {
        WATCH_MODIFIED, /* somebody, or the kernel, wrote to the file */
        WATCH_CLOSED,   /* a descriptor open for writing was closed */
        WATCH_GONE,     /* the directory is gone, and the id with it; no file */
        WATCH_LOST,     /* the kernel's queue overran: look at everything; no id, no file */
};

struct watch {
        int fd; /* -1: none. For the loop: readable when there is news */
};

#define WATCH_NULL                                                                                 \
        { .fd = -1 }

/* Negative on a fault. */
_must_check_ int watch_open(struct watch *watch);
void watch_close(struct watch *watch);

/* Watches a group's directory; *idp names it in news. It ends with the directory. Answers HOST. */
_must_check_ int watch_add(struct watch *watch, int dir_fd, bool closed_too, int *idp,
                           struct why *why);

/* Ends a watch before its directory ends. */
void watch_remove(struct watch *watch, int id);

/* Reads what there is and calls @fn for each piece. Negative on a fault. */
typedef void (*watch_fn)(void *userdata, int id, enum watch_news news, const char *file);
_must_check_ int watch_read(struct watch *watch, watch_fn fn, void *userdata);

#endif
