/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_LAUNCHER_CHILD_H
#define PROVIUM_LAUNCHER_CHILD_H

/*
 * The child between clone3 and execve.
 *
 * It shares the launcher's memory while the launcher goes on, so it may do nothing but bare system
 * calls on memory that was prepared for it: no allocation, no C library (whose errno is the
 * launcher's too), no lock. It works through its steps in the order below; at the first that fails
 * it notes which one and the errno in the memory it shares, and leaves.
 *
 *   1. mark       the pid goes into an extended attribute of the group: from here on whoever finds
 * the group knows its main process, also if the broker dies this instant
 *   2. bell       one of the group's files is opened for writing and left open: the moment execve
 * (or death) closes it, the broker's watch on the group says IN_CLOSE_WRITE
 *   3. quota      its own disk images are put under a project quota, if one was asked for; here and
 * not in the launcher, for it may have to wait for their disk
 *   4. open       those it is to have open are opened by the right of who asked for the VM:
 *                 launcher/child_open.h
 *   5. session    a session of its own: no terminal's signals but those forwarded
 *   6. stdio      the client's stdin, stdout and stderr become 0, 1, 2
 *   7. pass       what it is given besides (taps, vhost, sockets) becomes 3, 4, 5 and so on
 *   8. close      every other descriptor is marked to be closed by execve
 *   9. rlimits    the descriptor limit the launcher raised for itself is not inherited; no core
 * dumps; memory may be locked if a device is to reach it, for memory.max bounds that, too
 *  10. walls      namespaces, mounts and capabilities: launcher/child_walls.h
 *  11. groups, gid, uid   the caller's, from the socket's credentials, or the policy's; in this
 *                 order, because each needs a right that the next one gives up
 *  12. capabilities   none is left, also to root
 *  13. cwd        the caller's directory, with the rights that are left
 *  14. nonewprivs nothing it executes may gain a right (setuid programs)
 *  15. batch      its scheduling, if asked
 *  16. signals    mask emptied (handlers were reset by CLONE_CLEAR_SIGHAND)
 *  17. seccomp    from here on it may do what its filter lets it; or the client is asked at each
 *                 call, to learn what it does (launcher/child_learn.h)
 *  18. exec       the candidates in order
 *
 * The table of descriptors is its own (no CLONE_FILES), so it may put them where it likes. But the
 * places that pass fills are taken: by what is to be passed, in any order, by the bell, which would
 * ring if it were closed, by the caller's directory, by the socket for what is learnt. So these are
 * first duplicated to above the places, and only then are the places filled, each of which may be
 * overwritten by then. The group's directory is not needed after the bell.
 *
 * What it must not do here is touch oom_score_adj: while memory is shared the kernel would change
 * the launcher's own with it. The parent does that once the child is on its own.
 */

#include <sys/resource.h>
#include <sys/types.h>

#include <base/macro.h>
#include <launcher/child_note.h>
#include <launcher/child_open.h>
#include <launcher/child_quota.h>
#include <launcher/child_walls.h>

struct child_learn;
struct sock_fprog;

#define CHILD_PASS_FIRST 3
#define CHILD_PASS_MAX 72

enum child_step {
        CHILD_MARK,
        CHILD_BELL,
        CHILD_QUOTA,
        CHILD_OPEN,
        CHILD_SESSION,
        CHILD_STDIO,
        CHILD_PASS,
        CHILD_CLOSE,
        CHILD_RLIMITS,
        CHILD_NAMESPACES,
        CHILD_MOUNTS,
        CHILD_READ_ONLY,
        CHILD_PROC,
        CHILD_CGROUPFS,
        CHILD_DEV,
        CHILD_TMP,
        CHILD_BOUNDING,
        CHILD_GROUPS,
        CHILD_GID,
        CHILD_UID,
        CHILD_CAPABILITIES,
        CHILD_CWD,
        CHILD_NONEWPRIVS,
        CHILD_BATCH,
        CHILD_SIGNALS,
        CHILD_SECCOMP,
        CHILD_EXEC,
        _CHILD_STEP_N,
};

struct child_args {
        char *const *argv;
        char *const *envp;
        char *const *paths;        /* candidates for execve */
        int cgroup_fd;             /* the group's directory */
        const char *mark_name;     /* the attribute that takes the pid; NULL: none */
        const char *bell_file;     /* a writable file of the group; NULL: none */
        struct child_quota *quota; /* NULL: none */
        struct child_open *open;   /* NULL: none; of its descriptors, some are in pass */
        int stdio[3];              /* above 2 */
        const int *pass;           /* become 3, 4, 5, ...; above 2, borrowed; one may occur twice */
        size_t n_pass;             /* up to CHILD_PASS_MAX */
        int cwd_fd;                /* -1: stay */
        bool set_identity;         /* false: not root, everything runs as ourselves */
        uid_t uid;
        gid_t gid;
        const gid_t *groups;
        size_t n_groups;
        struct rlimit nofile;
        bool lock_memory; /* RLIMIT_MEMLOCK is lifted: DMA needs its memory to stay where it is */
        const struct child_walls *walls;  /* NULL: none */
        const struct sock_fprog *seccomp; /* NULL: no filter */
        struct child_learn *learn;        /* NULL; else in its place */

        struct child_note *note; /* never NULL in the child */
};

/* Runs in the child; see above. */
int launcher_child(void *args);

struct clone_args;
long launcher_clone3(struct clone_args *args, size_t size, int (*fn)(void *), void *arg);

#endif
