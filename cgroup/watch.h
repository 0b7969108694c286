/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CGROUP_WATCH_H
#define PROVIUM_CGROUP_WATCH_H

/*
 * News from groups, without polling: one inotify instance for all of them.
 *
 * kernfs reports two things on a watched directory: that somebody wrote to one of its files (cpu.max
 * changed under us), and that the kernel itself changed one that announces changes (cgroup.events when
 * the group became empty, memory.events after an OOM kill). Both arrive as IN_MODIFY with the
 * file's name. Reading a file first would be needed only for poll(2).
 */

#include <cgroup/cgroup.h>

struct watch {
        int fd; /* -1: none. For the loop: readable when there is news */
};

#define WATCH_NULL {.fd = -1}

/* Negative on a fault. */
_must_check_ int watch_open(struct watch *watch);
void watch_close(struct watch *watch);

/* Watches a group's directory; *idp names it in news. It ends with the directory. Answers HOST. */
_must_check_ int watch_add(struct watch *watch, int dir_fd, int *idp, struct why *why);

/*
 * Reads what there is and calls @fn for each piece: @file is the file's name, or NULL when the
 * directory is gone and @id with it. @id is -1, and @file NULL, when news was lost (the kernel's
 * queue overran): look at everything. Negative on a fault.
 */
_must_check_ int watch_read(struct watch *watch, void (*fn)(void *userdata, int id, const char *file),
                            void *userdata);

#endif
