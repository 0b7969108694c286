/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/prctl.h>
#include <linux/quota.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <launcher/child.h>

/* No instrumentation and no stack guard: this code runs on memory another thread of control owns.
 */
#define _bare_                                                                                     \
        __attribute__((__no_sanitize__("address", "undefined"), __optimize__("no-stack-"           \
                                                                             "protector")))
#if defined(__clang__)
#undef _bare_
#define _bare_ __attribute__((__no_sanitize__("address", "undefined"), __no_stack_protector__))
#endif

/* What the child has that its arguments, which the broker reads too, do not hold. */
struct child {
        const struct child_args *args;
        long bell_fd; /* -1: none */
        long cwd_fd;  /* -1: stay */
};

static inline _bare_ long call5(long number, long a, long b, long c, long d, long e) {
        register long r10 __asm__("r10") = d;
        register long r8 __asm__("r8") = e;
        long result;

        __asm__ volatile("syscall"
                         : "=a"(result)
                         : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                         : "rcx", "r11", "memory");
        return result;
}

#define call(number, a, b, c) call5((number), (long)(a), (long)(b), (long)(c), 0, 0)

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
        pid = call(SYS_getpid, 0, 0, 0);
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
        long from[CHILD_PASS_MAX], end = CHILD_PASS_FIRST + (long)args->n_pass, r;

        if (args->n_pass == 0)
                return 0;
        for (long i = 0, to = CHILD_PASS_FIRST; to < end; i++, to++) {
                /* In its place already: nobody else's place, so nobody overwrites it. */
                from[i] = args->pass[i] == to ? to : lift(args->pass[i], end);
                if (from[i] < 0)
                        return from[i];
        }
        if (child->bell_fd >= 0) {
                child->bell_fd = lift(child->bell_fd, end);
                if (child->bell_fd < 0)
                        return child->bell_fd;
        }
        if (child->cwd_fd >= 0) {
                child->cwd_fd = lift(child->cwd_fd, end);
                if (child->cwd_fd < 0)
                        return child->cwd_fd;
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

/* ---- quota: quotactl_fd(2), include/uapi/linux/{quota,dqblk_xfs,fs}.h ---- */

static _bare_ long quota_call(long fd, long command, uint32_t project, void *argument) {
        return call5(SYS_quotactl_fd, fd, QCMD(command, PRJQUOTA), (long)project, (long)argument,
                     0);
}

/* Limits that are only counted, as ext4 does without the mount option, would hold nobody. */
static _bare_ long quota_enforced(long fd) {
        struct fs_quota_statv state;
        long r;

        state.qs_version = FS_QSTATV_VERSION1;
        r = quota_call(fd, Q_XGETQSTATV, 0, &state);
        if (r < 0)
                return r;
        return state.qs_flags & FS_QUOTA_PDQ_ENFD ? 0 : -ESRCH;
}

/* Some file systems have nothing of a project that was never used. */
static _bare_ long quota_read(long fd, uint32_t project, struct if_dqblk *block) {
        long r;

        block->dqb_bhardlimit = block->dqb_curspace = block->dqb_curinodes = 0;
        r = quota_call(fd, Q_GETQUOTA, project, block);
        return r == -ENOENT ? 0 : r;
}

static _bare_ long quota_write(long fd, uint32_t project, uint64_t limit_kib) {
        struct if_dqblk block;

        block.dqb_bhardlimit = limit_kib;
        block.dqb_bsoftlimit = 0;
        block.dqb_valid = QIF_BLIMITS;
        return quota_call(fd, Q_SETQUOTA, project, &block);
}

/* Opens the file if it is one that the quota is for: -ENODATA if not. */
static _bare_ long quota_open(const struct child_quota *quota, const char *path,
                              struct fsxattr *attributes) {
        struct if_dqblk other;
        struct stat st;
        long fd, r;

        fd = call5(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                   0, 0);
        if (fd < 0)
                return fd;
        r = call(SYS_fstat, fd, &st, 0);
        if (r == 0 && (st.st_uid != quota->uid || !(st.st_mode & S_IWUSR)))
                r = -ENODATA;
        if (r == 0)
                r = call(SYS_ioctl, fd, FS_IOC_FSGETXATTR, attributes);
        if (r == 0)
                r = quota_enforced(fd);
        if (r == 0 && attributes->fsx_projid != 0) {
                if (attributes->fsx_projid < CHILD_PROJECT_MIN ||
                    attributes->fsx_projid > CHILD_PROJECT_MAX)
                        r = -EBUSY;
                else
                        r = quota_read(fd, attributes->fsx_projid, &other);
                if (r == 0 && other.dqb_bhardlimit)
                        r = -EBUSY;
        }
        if (r == 0)
                return fd;
        call(SYS_close, fd, 0, 0);
        return r;
}

/* Answers how many are held; what was done is undone if it fails. */
static _bare_ long quota_hold(struct child_quota *quota, const long *fds, struct fsxattr *all,
                              long n) {
        struct if_dqblk block;
        long done = 0, r;

        r = quota_read(fds[0], quota->project, &block);
        if (r == 0 && (block.dqb_bhardlimit || block.dqb_curspace || block.dqb_curinodes))
                r = -EEXIST;
        if (r == 0)
                r = quota_write(fds[0], quota->project, quota->limit_kib);
        if (r < 0)
                return r;
        for (; r == 0 && done < n; done++) {
                all[done].fsx_projid = quota->project;
                r = call(SYS_ioctl, fds[done], FS_IOC_FSSETXATTR, &all[done]);
        }
        if (r == 0)
                r = quota_read(fds[0], quota->project, &block);
        /* Who sets it may go beyond it, so the kernel did not compare. */
        if (r == 0 && block.dqb_bhardlimit != quota->limit_kib)
                r = -EIO;
        else if (r == 0 && block.dqb_curspace > quota->limit_kib * 1024)
                r = -EDQUOT;
        if (r == 0)
                return n;
        while (done-- > 0) {
                all[done].fsx_projid = 0;
                call(SYS_ioctl, fds[done], FS_IOC_FSSETXATTR, &all[done]);
        }
        quota_write(fds[0], quota->project, 0);
        return r;
}

static _bare_ long set_quota(struct child_quota *quota) {
        struct fsxattr attributes[CHILD_QUOTA_FILES_MAX];
        long fds[CHILD_QUOTA_FILES_MAX], n = 0, r;

        for (size_t i = 0; i < quota->n_files; i++) {
                r = quota_open(quota, quota->files[i], &attributes[n]);
                if (r >= 0)
                        fds[n++] = r;
                else
                        quota->refused = (uint32_t)-r;
        }
        r = n > 0 ? quota_hold(quota, fds, attributes, n) : 0;
        for (long i = 0; i < n; i++)
                call(SYS_close, fds[i], 0, 0);
        if (r < 0)
                return r;
        quota->n_held = (uint32_t)r;
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

static _bare_ long run_step(struct child *child, enum child_step step) {
        const struct child_args *args = child->args;

        switch (step) {
        case CHILD_MARK:
                return set_mark(args);
        case CHILD_BELL:
                return set_bell(child);
        case CHILD_QUOTA:
                return args->quota ? set_quota(args->quota) : 0;
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
                return call5(SYS_prlimit64, 0, RLIMIT_NOFILE, (long)&args->nofile, 0, 0);
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
                return child->cwd_fd >= 0 ? call(SYS_fchdir, child->cwd_fd, 0, 0) : 0;
        case CHILD_NONEWPRIVS:
                return call5(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        case CHILD_SIGNALS:
                return set_signals();
        case CHILD_EXEC:
                return execute(args);
        case _CHILD_STEP_N:
                break;
        }
        return -EINVAL;
}

_bare_ int launcher_child(void *userdata) {
        struct child_args *args = userdata;
        struct child child = {.args = args, .bell_fd = -1, .cwd_fd = args->cwd_fd};

        for (enum child_step step = 0; step < _CHILD_STEP_N; step++) {
                long r = run_step(&child, step);

                if (r < 0) {
                        args->failed_step = step;
                        args->failed_errnum = (uint32_t)-r;
                        break;
                }
        }
        return 127;
}
