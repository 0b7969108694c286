/* SPDX-License-Identifier: MIT */
/*
 * quotactl_fd(2), include/uapi/linux/{quota,dqblk_xfs,fs}.h.
 */
#include <fcntl.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <sys/stat.h>

#include <launcher/bare.h>
#include <launcher/child_note.h>
#include <launcher/child_quota.h>

static _bare_ long quota_call(long fd, long command, uint32_t project, void *argument) {
        return call5(SYS_quotactl_fd, fd, QCMD(command, PRJQUOTA), (long)project, (long)argument,
                     0);
}

/* Limits that are only counted, as ext4 does without the mount option, would hold nobody. */
static _bare_ long quota_enforced(long fd) {
        struct fs_quota_statv state;
        long r;

        state.qs_version = FS_QSTATV_VERSION1;
        state.qs_flags = 0;
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
static _bare_ long quota_open(const struct child_quota *quota, size_t i,
                              struct fsxattr *attributes) {
        struct if_dqblk other;
        struct stat st;
        long fd, r;

        /* The analyser does not know that a bare call fills them. */
        attributes->fsx_projid = st.st_uid = st.st_mode = 0;
        other.dqb_bhardlimit = 0;
        fd = call5(SYS_openat, AT_FDCWD, (long)quota->paths[i],
                   O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0, 0);
        if (fd < 0)
                return fd;
        r = call(SYS_fstat, fd, &st, 0);
        if (r == 0 &&
            ((st.st_uid != quota->uid && st.st_uid != quota->owners[i]) || !(st.st_mode & S_IWUSR)))
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
static _bare_ long quota_hold(const struct child_quota *quota, const long *fds, struct fsxattr *all,
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

_bare_ long child_set_quota(const struct child_quota *quota, struct child_note *note) {
        struct fsxattr attributes[CHILD_QUOTA_FILES_MAX];
        long fds[CHILD_QUOTA_FILES_MAX], n = 0, r;

        for (size_t i = 0; i < quota->n_files; i++) {
                r = quota_open(quota, i, &attributes[n]);
                if (r >= 0)
                        fds[n++] = r;
                else
                        note->quota_refused = (uint32_t)-r;
        }
        r = n > 0 ? quota_hold(quota, fds, attributes, n) : 0;
        for (long i = 0; i < n; i++)
                call(SYS_close, fds[i], 0, 0);
        if (r < 0)
                return r;
        note->quota_held = (uint32_t)r;
        return 0;
}
