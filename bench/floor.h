/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BENCH_FLOOR_H
#define PROVIUM_BENCH_FLOOR_H

/*
 * The floor: what the kernel alone asks for one VM's life, done by a program that does nothing
 * else. No socket, no decision, no record, no read-back, no watch, no event, no credentials to
 * drop: 31 system calls.
 *
 *     mkdir, open                             the group
 *     8 x open, write, close                  its limits, the same files and values as the broker's
 *     clone3 VM|VFORK|INTO_CGROUP|PIDFD|CLEAR_SIGHAND, and execve in the child
 *     waitid, close, close, rmdir             its end
 */

#include <base/macro.h>

struct floor {
        int parent_fd;       /* a group whose children have the controllers; -1: none, see limits */
        const char *program; /* static */
        char *argv[3];       /* its words */
        bool limits;         /* false: this hierarchy has no controllers (a hybrid host's) */
};

struct floor_times {
        uint64_t began_ns, ended_ns; /* CLOCK_REALTIME: before mkdir, after rmdir */
};

/* Opens @path, a group, which is made with its parent, and switches its controllers on. Exits with
 * a sentence if that fails. */
void floor_init(struct floor *floor, const char *path, const char *program, bool limits);

/* One life. Exits with a sentence if a step fails: a floor with a hole is no floor. */
void floor_launch(struct floor *floor, struct floor_times *times);

#endif
