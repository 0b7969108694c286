/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>

#include <launcher/bare.h>
#include <launcher/child.h>
#include <launcher/child_learn.h>
#include <launcher/child_quota.h>

/* What the child has that its arguments, which its parent reads too, do not hold. */
struct child {
        const struct child_args *args;
        long bell_fd;  /* -1: none */
        long cwd_fd;   /* -1: stay */
        long learn_fd; /* the socket of args->learn; -1: none */
};

static _bare_ long set_stdio(const struct child_args *args) {
        for (int i = 0; i < 3; i++) {
                long r = call(SYS_dup3, args->stdio[i], i, 0);

                if (r < 0)
                        return r;
        }
        return 0;
}

/* The pid in decimal, as cgroup/record reads it. */
static _bare_ long set_mark(const struct child_args *args) {
        char digits[16];
        size_t at = sizeof(digits);
        long pid;

        if (!args->mark_name)
                return 0;
        /* In a namespace of its own it would call itself 1. */
        pid = args->note->pid;
        do {
                digits[--at] = (char)('0' + pid % 10);
                pid /= 10;
        } while (pid > 0);
        return call5(SYS_fsetxattr, args->cgroup_fd, (long)args->mark_name, (long)(digits + at),
                     (long)(sizeof(digits) - at), 0);
}

static _bare_ long set_bell(struct child *child) {
        const struct child_args *args = child->args;

        if (!args->bell_file)
                return 0;
        child->bell_fd = call5(SYS_openat, args->cgroup_fd, (long)args->bell_file,
                               O_WRONLY | O_CLOEXEC, 0, 0);
        return child->bell_fd;
}

/* Where @fd can stay while the places 3 to @end - 1 are filled: above them if it lies in one. The
 * descriptor left behind there is overwritten; what it stands for stays open. */
static _bare_ long lift(long fd, long end) {
        if (fd < 0)
                return -EBADF;
        if (fd < CHILD_PASS_FIRST || fd >= end)
                return fd;
        return call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, end);
}

static _bare_ long set_pass(struct child *child) {
        const struct child_args *args = child->args;
        long *own[] = {&child->bell_fd, &child->cwd_fd, &child->learn_fd};
        long from[CHILD_PASS_MAX], end = CHILD_PASS_FIRST + (long)args->n_pass, r;

        if (args->n_pass == 0)
                return 0;
        for (long i = 0, to = CHILD_PASS_FIRST; to < end; i++, to++) {
                /* In its place already: nobody else's place, so nobody overwrites it. */
                from[i] = args->pass[i] == to ? to : lift(args->pass[i], end);
                if (from[i] < 0)
                        return from[i];
        }
        for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
                if (*own[i] < 0)
                        continue;
                *own[i] = lift(*own[i], end);
                if (*own[i] < 0)
                        return *own[i];
        }
        for (long i = 0, to = CHILD_PASS_FIRST; to < end; i++, to++) {
                /* dup3 onto itself is EINVAL, and would not be what makes it survive execve. */
                r = from[i] == to ? call(SYS_fcntl, to, F_SETFD, 0)
                                  : call(SYS_dup3, from[i], to, 0);
                if (r < 0)
                        return r;
        }
        return 0;
}

static _bare_ long set_signals(void) {
        uint64_t none = 0;

        return call5(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, (long)&none, 0, sizeof(none), 0);
}

/* Like execvpe(3): an entry that is not there gives way to the next; of all refusals EACCES is
 * told. */
static _bare_ long execute(const struct child_args *args) {
        long result = -ENOENT;

        for (size_t i = 0; args->paths[i]; i++) {
                long r = call(SYS_execve, args->paths[i], args->argv, args->envp);

                if (r == -EACCES)
                        result = r;
                else if (r != -ENOENT && r != -ENOTDIR)
                        return r;
        }
        return result;
}

static _bare_ long set_rlimits(const struct child_args *args) {
        const struct rlimit none = {}, all = {RLIM_INFINITY, RLIM_INFINITY};
        long r;

        r = call5(SYS_prlimit64, 0, RLIMIT_NOFILE, (long)&args->nofile, 0, 0);
        if (r == 0 && args->walls && !args->walls->core_dumps)
                r = call5(SYS_prlimit64, 0, RLIMIT_CORE, (long)&none, 0, 0);
        if (r == 0 && args->lock_memory)
                r = call5(SYS_prlimit64, 0, RLIMIT_MEMLOCK, (long)&all, 0, 0);
        return r;
}

static _bare_ long set_cwd(const struct child *child) {
        const struct child_walls *walls = child->args->walls;

        if (walls && walls->cwd)
                return call(SYS_chdir, walls->cwd, 0, 0);
        return child->cwd_fd >= 0 ? call(SYS_fchdir, child->cwd_fd, 0, 0) : 0;
}

static _bare_ long run_wall(const struct child_walls *walls, enum child_step step) {
        switch (step) {
        case CHILD_NAMESPACES:
                return child_enter_namespaces(walls);
        case CHILD_MOUNTS:
                return child_part_mounts(walls);
        case CHILD_READ_ONLY:
                return child_make_read_only(walls);
        case CHILD_PROC:
                return child_make_proc(walls);
        case CHILD_CGROUPFS:
                return child_hide_cgroups(walls);
        case CHILD_DEV:
                return child_make_dev(walls);
        case CHILD_TMP:
                return child_make_tmp(walls);
        case CHILD_BOUNDING:
                return child_drop_bounding(walls);
        case CHILD_CAPABILITIES:
                return child_drop_capabilities(walls);
        case CHILD_BATCH:
                return child_set_batch(walls);
        default:
                return -EINVAL;
        }
}

static _bare_ long run_step(struct child *child, enum child_step step) {
        const struct child_args *args = child->args;

        switch (step) {
        case CHILD_MARK:
                return set_mark(args);
        case CHILD_BELL:
                return set_bell(child);
        case CHILD_QUOTA:
                return args->quota ? child_set_quota(args->quota, args->note) : 0;
        case CHILD_OPEN:
                return args->open ? child_open_files(args->open, args->note) : 0;
        case CHILD_SESSION:
                return call(SYS_setsid, 0, 0, 0);
        case CHILD_STDIO:
                return set_stdio(args);
        case CHILD_PASS:
                return set_pass(child);
        case CHILD_CLOSE:
                return call(SYS_close_range, CHILD_PASS_FIRST + args->n_pass, ~0U,
                            CLOSE_RANGE_CLOEXEC);
        case CHILD_RLIMITS:
                return set_rlimits(args);
        case CHILD_NAMESPACES:
        case CHILD_MOUNTS:
        case CHILD_READ_ONLY:
        case CHILD_PROC:
        case CHILD_CGROUPFS:
        case CHILD_DEV:
        case CHILD_TMP:
        case CHILD_BOUNDING:
        case CHILD_CAPABILITIES:
        case CHILD_BATCH:
                return args->walls ? run_wall(args->walls, step) : 0;
        case CHILD_GROUPS:
                return args->set_identity ? call(SYS_setgroups, args->n_groups, args->groups, 0)
                                          : 0;
        case CHILD_GID:
                return args->set_identity ? call(SYS_setresgid, args->gid, args->gid, args->gid)
                                          : 0;
        case CHILD_UID:
                return args->set_identity ? call(SYS_setresuid, args->uid, args->uid, args->uid)
                                          : 0;
        case CHILD_CWD:
                return set_cwd(child);
        case CHILD_NONEWPRIVS:
                return call5(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        case CHILD_SIGNALS:
                return set_signals();
        case CHILD_SECCOMP:
                if (args->learn)
                        return child_start_learning(args->learn, child->learn_fd);
                return args->seccomp ? call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, args->seccomp)
                                     : 0;
        case CHILD_EXEC:
                return execute(args);
        case _CHILD_STEP_N:
                break;
        }
        return -EINVAL;
}

_bare_ int launcher_child(void *userdata) {
        struct child_args *args = userdata;
        struct child child = {.args = args, .bell_fd = -1, .cwd_fd = args->cwd_fd, .learn_fd = -1};

        if (args->learn)
                child.learn_fd = args->learn->socket_fd;

        for (enum child_step step = 0; step < _CHILD_STEP_N; step++) {
                long r = run_step(&child, step);

                if (r < 0) {
                        args->note->failed_step = step;
                        args->note->failed_errnum = (uint32_t)-r;
                        break;
                }
        }
        return 127;
}
