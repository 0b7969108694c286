/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <base/fd.h>
#include <broker/usage_log.h>

#define OPEN_TRIES 16
#define FILE_BYTES_MAX (UINT64_C(256) * 1024 * 1024) /* more of one file is not read */

static const char *file_name(unsigned number, char name[32]) {
        if (number == 0)
                return USAGE_LOG_NAME;
        snprintf(name, 32, USAGE_LOG_NAME ".%u", number);
        return name;
}

static int open_directory(const char *path, bool make, int *fdp) {
        int fd;

        if (make && mkdir(path, 0755) < 0 && errno != EEXIST)
                return errno;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno;
        *fdp = fd;
        return 0;
}

/* Only what root alone made is ours: no link, no pipe that would never answer. */
static int open_file(int dir_fd, const char *name, int flags, int *fdp, struct stat *st) {
        _cleanup_(fd_closep) int fd = -1;

        fd = openat(dir_fd, name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
        if (fd < 0 || fstat(fd, st) < 0)
                return errno;
        if (!S_ISREG(st->st_mode))
                return EBADF;
        *fdp = take_fd(fd);
        return 0;
}

/* The newest file, locked: two brokers of one host may share a log. Whoever waited for the lock may
 * find that the file is not the newest any more. */
static int open_newest(int dir_fd, int *fdp, struct stat *st) {
        for (unsigned i = 0; i < OPEN_TRIES; i++) {
                _cleanup_(fd_closep) int fd = -1;
                struct stat named;
                int r;

                r = open_file(dir_fd, USAGE_LOG_NAME, O_RDWR | O_APPEND | O_CREAT, &fd, st);
                if (r)
                        return r;
                if (flock(fd, LOCK_EX) < 0 || fstat(fd, st) < 0)
                        return errno;
                if (fstatat(dir_fd, USAGE_LOG_NAME, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
                    named.st_ino == st->st_ino && named.st_dev == st->st_dev) {
                        *fdp = take_fd(fd);
                        return 0;
                }
        }
        return EAGAIN;
}

/* Each file moves up by one, as far as the first number that is free: a turn that was cut short
 * left one. */
static int turn(const struct usage_log *log, int dir_fd) {
        char from[32], to[32];
        unsigned free_number = 1;

        while (free_number < log->older &&
               faccessat(dir_fd, file_name(free_number, to), F_OK, AT_SYMLINK_NOFOLLOW) == 0)
                free_number++;
        for (unsigned i = log->older + 1; i <= USAGE_LOG_FILES_MAX; i++)
                if (unlinkat(dir_fd, file_name(i, to), 0) < 0 && errno != ENOENT)
                        return errno;
        for (unsigned i = free_number; i > 0; i--)
                if (renameat(dir_fd, file_name(i - 1, from), dir_fd, file_name(i, to)) < 0)
                        return errno;
        return 0;
}

/* After a line that was torn the next begins on its own. */
static int begin_line(int fd, const struct stat *st) {
        char last;

        if (st->st_size == 0 || (pread(fd, &last, 1, st->st_size - 1) == 1 && last == '\n'))
                return 0;
        return write(fd, "\n", 1) == 1 ? 0 : errno ?: EIO;
}

static int write_lines(int dir_fd, int fd, const struct stat *st, const char *lines,
                       size_t length) {
        ssize_t n;
        int r;

        r = begin_line(fd, st);
        if (r)
                return r;
        n = write(fd, lines, length);
        r = n < 0 ? errno : (size_t)n < length ? ENOSPC : fdatasync(fd) < 0 ? errno : 0;
        if (r) {
                if (ftruncate(fd, st->st_size) < 0)
                        return r; /* then a torn line stays: see above */
                return r;
        }
        if (st->st_size == 0 && fsync(dir_fd) < 0) /* its name is new, too */
                return errno;
        return 0;
}

int usage_log_append(const struct usage_log *log, const char *lines, size_t length) {
        _cleanup_(fd_closep) int dir_fd = -1, fd = -1;
        struct stat st = {};
        int r;

        r = open_directory(log->directory, true, &dir_fd);
        if (r == 0)
                r = open_newest(dir_fd, &fd, &st);
        if (r == 0 && st.st_size > 0 && (uint64_t)st.st_size + length > log->file_bytes) {
                r = turn(log, dir_fd);
                fd = fd_close(fd);
                if (r == 0)
                        r = open_newest(dir_fd, &fd, &st);
        }
        return r ?: write_lines(dir_fd, fd, &st, lines, length);
}

/* ---- reading ---- */

static int read_whole(int fd, const struct stat *st, char **textp, size_t *lengthp) {
        size_t size = (size_t)min_u64((uint64_t)st->st_size, FILE_BYTES_MAX), used = 0;
        /* Of a longer one the end, which is the newest. */
        off_t start = st->st_size - (off_t)size;
        char *text;

        text = malloc(size + 1);
        if (!text)
                return fault(-ENOMEM);
        while (used < size) {
                ssize_t n = pread(fd, text + used, size - used, start + (off_t)used);

                if (n < 0) {
                        int r = errno;

                        free(text);
                        return r;
                }
                if (n == 0)
                        break; /* somebody cut it meanwhile */
                used += (size_t)n;
        }
        *textp = text;
        *lengthp = used;
        return 0;
}

static bool each_line_backwards(const char *text, size_t length, usage_log_fn fn, void *userdata) {
        while (length > 0) {
                size_t end = text[length - 1] == '\n' ? length - 1 : length;
                const char *newline = end > 0 ? memrchr(text, '\n', end) : NULL;
                size_t start = newline ? (size_t)(newline + 1 - text) : 0;

                if (end > start && !fn(userdata, text + start, end - start))
                        return false;
                length = start;
        }
        return true;
}

int usage_log_read(const struct usage_log *log, usage_log_fn fn, void *userdata) {
        _cleanup_(fd_closep) int dir_fd = -1;
        bool goes_on = true;
        int result = 0, r;

        r = open_directory(log->directory, false, &dir_fd);
        if (r)
                return r == ENOENT ? 0 : r;
        for (unsigned i = 0; goes_on && i <= USAGE_LOG_FILES_MAX; i++) {
                _cleanup_(fd_closep) int fd = -1;
                _cleanup_(freep) char *text = NULL;
                size_t length = 0;
                struct stat st = {};
                char name[32];

                r = open_file(dir_fd, file_name(i, name), O_RDONLY, &fd, &st);
                if (r == 0)
                        r = read_whole(fd, &st, &text, &length);
                if (r < 0)
                        return r;
                if (r == 0)
                        goes_on = each_line_backwards(text, length, fn, userdata);
                else if (r != ENOENT)
                        result = r;
        }
        return result;
}
