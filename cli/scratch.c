/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/why.h>
#include <cli/interrupt.h>
#include <cli/scratch.h>

#define ALIGNMENT 65536 /* enough for direct I/O on whatever a disk calls a sector */
#define NAME_TRIES 16

static int refused(int errnum, const char *what, struct why *why) {
        switch (errnum) {
        case EACCES:
        case EPERM:
        case EROFS:
                return why_errno(why, SCRATCH_E_DENIED, errnum, "%s", what);
        case ENOSPC:
        case EDQUOT:
        case EFBIG:
                return why_errno(why, SCRATCH_E_FULL, errnum, "%s", what);
        }
        return why_errno(why, SCRATCH_E_HOST, errnum, "%s", what);
}

/* The descriptor, or -1 with errno. */
static int open_named(int dir_fd) {
        for (int try = 0; try < NAME_TRIES; try++) {
                char name[64];
                uint64_t random;
                int fd;

                if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                        return -1;
                snprintf(name, sizeof(name), ".provium-bench-%016jx", (uintmax_t)random);
                fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_DIRECT, 0600);
                if (fd >= 0) {
                        if (unlinkat(dir_fd, name, 0) == 0)
                                return fd;
                        fd_close(fd);
                        return -1;
                }
                /* Where there is no direct I/O the file may have been made before that was seen. */
                if (errno == EINVAL) {
                        unlinkat(dir_fd, name, 0);
                        errno = EINVAL;
                }
                if (errno != EEXIST)
                        return -1;
        }
        return -1;
}

int scratch_open(int dir_fd, int *fdp, struct why *why) {
        struct statfs fs;
        int fd;

        if (fstatfs(dir_fd, &fs) < 0)
                return refused(errno, "cannot examine the file system", why);
        /* Newer kernels have direct I/O on tmpfs: that of the memory. */
        if (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC)
                return why_set(why, SCRATCH_E_NO_DISK,
                               "the file system there is in memory (tmpfs); there is no disk to "
                               "measure");

        fd = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC | O_DIRECT, 0600);
        if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT))
                fd = open_named(dir_fd);
        if (fd < 0 && errno == EINVAL)
                return why_set(why, SCRATCH_E_NO_DISK,
                               "the file system there has no direct I/O; what it carries would be "
                               "the memory's figure, not the disk's");
        if (fd < 0)
                return refused(errno, "cannot make a file there", why);
        *fdp = fd;
        return 0;
}

/* A generator of our own (xorshift64*): noise that a disk cannot compress, faster than the disk. */
static void make_noise(uint64_t *words, size_t n, uint64_t *state) {
        for (size_t i = 0; i < n; i++) {
                *state ^= *state >> 12;
                *state ^= *state << 25;
                *state ^= *state >> 27;
                words[i] = *state * UINT64_C(0x2545f4914f6cdd1d);
        }
}

static int write_unit(int fd, const uint64_t *words, uint64_t at, struct why *why) {
        size_t done = 0;

        while (done < SCRATCH_UNIT) {
                ssize_t n = pwrite(fd, (const char *)words + done, SCRATCH_UNIT - done,
                                   (off_t)(at + done));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return refused(n < 0 ? errno : EIO, "cannot lay out the file", why);
                done += (size_t)n;
        }
        return 0;
}

int scratch_fill(int fd, uint64_t size_bytes, struct interrupt *interrupt, struct why *why) {
        _cleanup_(freep) uint64_t *words = aligned_alloc(ALIGNMENT, SCRATCH_UNIT);
        uint64_t state = UINT64_C(0x9e3779b97f4a7c15);
        int r;

        assert(size_bytes % SCRATCH_UNIT == 0);
        if (!words)
                return fault(-ENOMEM);
        for (uint64_t at = 0; at < size_bytes; at += SCRATCH_UNIT) {
                if (interrupt_came(interrupt))
                        return SCRATCH_E_INTERRUPTED;
                make_noise(words, SCRATCH_UNIT / sizeof(*words), &state);
                r = write_unit(fd, words, at, why);
                if (r)
                        return r;
        }
        /* The blocks are there; what the file system notes of them shall not be written later. */
        if (fsync(fd) < 0)
                return refused(errno, "cannot lay out the file", why);
        return 0;
}
