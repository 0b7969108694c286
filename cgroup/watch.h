/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CGROUP_WATCH_H
#define PROVIUM_CGROUP_WATCH_H

/*
 * News from groups, without polling: one inotify instance for all of them.
 *
 * kernfs reports two things on a watched directory: that somebody wrote to one of its files
 * (cpu.max changed under us), and that the kernel itself changed one that announces changes
 * (cgroup.events when the group became empty, memory.events after an OOM kill). Both arrive as
 * IN_MODIFY with the file's name, the kernel's own changes only as long as the file's inode is in
 * memory: whoever waits for them holds the file (watch_hold). And a file that was open for writing
 * and is closed gives IN_CLOSE_WRITE: the bell that rings at a child's execve (launcher/child.h).
 *
 * The end of a directory is no news, and its watch does not end with it (kernfs never brings the
 * link count to 0): whoever removes the group removes the watch, or it stays for ever.
 */

#include <cgroup/cgroup.h>

enum watch_news {
        WATCH_MODIFIED, /* somebody, or the kernel, wrote to the file */
        WATCH_CLOSED,   /* a descriptor open for writing was closed */
        WATCH_GONE,     /* the watch has ended (removed, or the hierarchy unmounted); no file */
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

/* Watches a group's directory; *idp names it in news. Answers HOST. */
_must_check_ int watch_add(struct watch *watch, int dir_fd, bool closed_too, int *idp,
                           struct why *why);

/*
 * Holds the files by which the kernel itself tells of a group, so that it does. The descriptors are
 * the caller's; they do not keep the group from being removed. Answers GONE, HOST.
 */
#define WATCH_HELD 2
_must_check_ int watch_hold(int dir_fd, int fds[WATCH_HELD], struct why *why);

/* Ends a watch; ids are not used again soon, and what is on its way still comes. */
void watch_remove(struct watch *watch, int id);

/* Reads what there is and calls @fn for each piece. Negative on a fault. */
typedef void (*watch_fn)(void *userdata, int id, enum watch_news news, const char *file);
_must_check_ int watch_read(struct watch *watch, watch_fn fn, void *userdata);

#endif
