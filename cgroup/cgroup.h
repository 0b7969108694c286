/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CGROUP_CGROUP_H
#define PROVIUM_CGROUP_CGROUP_H

/*
 * The answers that all files of this room share, and the few operations every group has, whichever
 * its level. Everything works relative to an open directory descriptor of the group.
 */

#include <base/macro.h>

struct why;

enum {
        _CGROUP_E_SUCCESS,
        CGROUP_E_UNSUPPORTED, /* this host has no cgroup v2 with the controllers we need */
        CGROUP_E_EXISTS,      /* a group of that name is already there */
        CGROUP_E_GONE,        /* the group is not, or no longer, there */
        CGROUP_E_BUSY,        /* it still has processes or children */
        CGROUP_E_LIMIT,       /* a limit could not be set, or does not read back as it was set */
        CGROUP_E_RECORD,      /* the lease record is missing, torn, or of a newer version */
        CGROUP_E_HOST,        /* the kernel refused otherwise; the errno is in why */
};

/* Makes the child group @name below @parent_fd and opens it. The descriptor is the caller's.
 * Answers EXISTS, HOST. */
_must_check_ int cgroup_create_at(int parent_fd, const char *name, int *dir_fdp, struct why *why);

/* Opens the child group @name. Answers GONE, HOST. */
_must_check_ int cgroup_open_at(int parent_fd, const char *name, int *dir_fdp, struct why *why);

/* Removes the empty child group @name; 0 also if it is gone. Answers BUSY (processes or children
 * are left, or their memory is still being torn down), HOST. */
_must_check_ int cgroup_remove_at(int parent_fd, const char *name, struct why *why);

/*
 * Switches cpu, memory, io and pids on for the children of the group, those that are not on yet,
 * all at once. @path names it in messages. Answers UNSUPPORTED, BUSY (with the process that is in
 * the way), HOST.
 */
_must_check_ int cgroup_enable_controllers(int dir_fd, const char *path, struct why *why);

/*
 * The same with every empty group below it first, deepest first: whoever had the right to may have
 * made some inside. At most CGROUP_DEPTH_MAX levels.
 */
#define CGROUP_DEPTH_MAX 16
_must_check_ int cgroup_remove_tree_at(int parent_fd, const char *name, struct why *why);

/* SIGKILL to every process in the group and below, atomically (cgroup.kill, Linux 5.14). */
_must_check_ int cgroup_kill(int dir_fd, struct why *why);

/* Has the group, or one below it, a process? (cgroup.events: populated.) Answers GONE, HOST. */
_must_check_ int cgroup_populated(int dir_fd, bool *populatedp, struct why *why);

/*
 * The processes in the group itself, at most @n of them. *np is how many were stored. Answers GONE,
 * HOST.
 */
_must_check_ int cgroup_processes(int dir_fd, int *pids, size_t n, size_t *np, struct why *why);

#endif
