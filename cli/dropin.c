/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/text.h>
#include <base/why.h>
#include <cli/dropin.h>

#define TEMPORARY_MAX 64

static int refused(int errnum, const char *what, const char *path, struct why *why) {
        char quoted[256];
        int code = errnum == ENOENT || errnum == ENOTDIR                    ? DROPIN_E_ABSENT
                   : errnum == EACCES || errnum == EPERM || errnum == EROFS ? DROPIN_E_DENIED
                                                                            : DROPIN_E_HOST;

        return why_errno(why, code, errnum, "cannot %s %s", what,
                         text_escape(path, quoted, sizeof(quoted)));
}

int dropin_check(const char *config_dir, struct why *why) {
        _cleanup_(fd_closep) int fd = open(config_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return refused(errno, "open", config_dir, why);
        if (faccessat(fd, DROPIN_DIR, W_OK | X_OK, 0) < 0 &&
            (errno != ENOENT || faccessat(fd, ".", W_OK | X_OK, 0) < 0))
                return refused(errno, "write below", config_dir, why);
        return 0;
}

static int write_all(int fd, const char *text) {
        size_t length = strlen(text);

        while (length > 0) {
                ssize_t n = write(fd, text, length);

                if (n < 0 && errno != EINTR)
                        return -1;
                if (n > 0) {
                        text += n;
                        length -= (size_t)n;
                }
        }
        return 0;
}

/* Everybody may read it: `provium policy check` needs no root. */
static bool write_file(int dir_fd, const char *name, const char *text) {
        _cleanup_(fd_closep) int fd =
                openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

        return fd >= 0 && write_all(fd, text) == 0 && fchmod(fd, 0644) == 0 && fsync(fd) == 0;
}

int dropin_write(const char *config_dir, const char *name, const char *text, struct why *why) {
        _cleanup_(fd_closep) int config_fd = open(config_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(fd_closep) int dir_fd = -1;
        char temporary[TEMPORARY_MAX];

        if (config_fd < 0)
                return refused(errno, "open", config_dir, why);
        if (mkdirat(config_fd, DROPIN_DIR, 0755) == 0)
                fsync(config_fd);
        else if (errno != EEXIST)
                return refused(errno, "make " DROPIN_DIR " in", config_dir, why);
        dir_fd = openat(config_fd, DROPIN_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (dir_fd < 0)
                return refused(errno, "open " DROPIN_DIR " in", config_dir, why);

        /* The broker reads only what ends in ".conf". */
        snprintf(temporary, sizeof(temporary), ".%s.%d", name, (int)getpid());
        unlinkat(dir_fd, temporary, 0);
        if (!write_file(dir_fd, temporary, text) || renameat(dir_fd, temporary, dir_fd, name) < 0) {
                int error = errno;

                unlinkat(dir_fd, temporary, 0);
                return refused(error, "write a drop-in in " DROPIN_DIR " of", config_dir, why);
        }
        fsync(dir_fd);
        return 0;
}
