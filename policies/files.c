/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <policies/errors.h>
#include <policies/files.h>
#include <policies/policy.h>

void dir_join(const struct dir *dir, const char *name, char path[FILES_PATH_MAX]) {
        size_t used = strlen(dir->path);

        memmove(path, dir->path, used + 1);
        snprintf(path + used, FILES_PATH_MAX - used, "/%s", name);
}

/* May root believe what lies there? The text of a refusal, or NULL. */
static const char *distrust(const struct stat *st) {
        if (geteuid() != 0)
                return NULL;
        if (st->st_uid != 0)
                return "it does not belong to root; a policy must be root's own (chown root)";
        if (st->st_mode & (S_IWGRP | S_IWOTH))
                return "others than root can write it (chmod go-w)";
        return NULL;
}

/* What the kernel said to open(2) in words that help; O_NOFOLLOW says ELOOP. */
static void complain_open(struct policy_errors *errors, const char *path, int errnum) {
        if (errnum == ELOOP)
                errors_add(errors, path, 0, NULL, NULL,
                           "it is a symbolic link; put the file itself here");
        else if (errnum == ENOTDIR)
                errors_add(errors, path, 0, NULL, NULL, "it is not a directory");
        else
                errors_add(errors, path, 0, NULL, NULL, "cannot be opened: %s",
                           strerrordesc_np(errnum) ?: "?");
}

void dir_open(struct dir *dir, const struct dir *parent, const char *name,
              struct policy_errors *errors) {
        int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
        const char *reason;
        struct stat st;

        dir->fd = -1;
        if (!parent) {
                snprintf(dir->path, sizeof(dir->path), "%s", name);
                dir->fd = open(name, flags);
        } else if (parent->fd >= 0) {
                dir_join(parent, name, dir->path);
                dir->fd = openat(parent->fd, name, flags | O_NOFOLLOW);
        } else {
                return;
        }
        if (dir->fd < 0) {
                if (errno == ENOTDIR && parent &&
                    fstatat(parent->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
                        errno = ELOOP; /* O_DIRECTORY comes before O_NOFOLLOW */
                if (errno != ENOENT)
                        complain_open(errors, dir->path, errno);
                return;
        }
        if (fstat(dir->fd, &st) < 0)
                reason = "cannot be examined";
        else
                reason = distrust(&st);
        if (reason) {
                errors_add(errors, dir->path, 0, NULL, NULL, "%s", reason);
                dir_close(dir);
        }
}

void dir_close(struct dir *dir) {
        dir->fd = fd_close(dir->fd);
}

static void closedirp(DIR **streamp) {
        if (*streamp)
                closedir(*streamp);
}

static bool has_ending(const char *name, const char *ending) {
        size_t length = strlen(name), tail = strlen(ending);

        return length > tail && strcmp(name + length - tail, ending) == 0;
}

static int add_name(char ***namesp, size_t *np, const char *name) {
        char **names;
        char *copy;

        names = reallocarray(*namesp, *np + 1, sizeof(*names));
        if (!names)
                return fault(-ENOMEM);
        *namesp = names;
        copy = strdup(name);
        if (!copy)
                return fault(-ENOMEM);
        names[(*np)++] = copy;
        return 0;
}

static bool has_name(char *const *names, size_t n, const char *name) {
        for (size_t i = 0; i < n; i++)
                if (strcmp(names[i], name) == 0)
                        return true;
        return false;
}

int dir_list(const struct dir *dir, const char *ending, char ***namesp, size_t *np, size_t max,
             struct policy_errors *errors) {
        _cleanup_(closedirp) DIR *stream = NULL;
        _cleanup_(fd_closep) int fd = -1;
        const struct dirent *entry;

        if (dir->fd < 0)
                return 0;
        fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) {
                complain_open(errors, dir->path, errno);
                return 0;
        }
        stream = fdopendir(fd);
        if (!stream)
                return fault(-ENOMEM);
        fd = -1; /* the stream's now */

        while ((void)(errno = 0), (entry = readdir(stream))) {
                int r;

                if (entry->d_name[0] == '.' || !has_ending(entry->d_name, ending) ||
                    has_name(*namesp, *np, entry->d_name))
                        continue;
                if (*np == max) {
                        errors_add(errors, dir->path, 0, NULL, NULL,
                                   "there are more than %zu files *%s", max, ending);
                        return 0;
                }
                r = add_name(namesp, np, entry->d_name);
                if (r)
                        return r;
        }
        if (errno)
                errors_add(errors, dir->path, 0, NULL, NULL, "cannot be read: %s",
                           strerrordesc_np(errno) ?: "?");
        return 0;
}

/* Reads up to @size bytes; returns how many, or -1 with errno. */
static ssize_t read_all(int fd, char *buffer, size_t size) {
        size_t used = 0;

        while (used < size) {
                ssize_t n = read(fd, buffer + used, size - used);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -1;
                if (n == 0)
                        break;
                used += (size_t)n;
        }
        return (ssize_t)used;
}

static bool is_same_version(const struct stat *a, const struct stat *b) {
        return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
               a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* The text of a refusal, or NULL and the text of the file. */
static const char *read_file(int fd, char *text, size_t *lengthp) {
        struct stat before, after;
        ssize_t n;

        if (fstat(fd, &before) < 0)
                return "cannot be examined";
        if (!S_ISREG(before.st_mode))
                return "it is not a regular file";
        if (distrust(&before))
                return distrust(&before);
        n = read_all(fd, text, POLICY_FILE_MAX + 1);
        if (n < 0)
                return "cannot be read";
        if (n > POLICY_FILE_MAX)
                return "it is larger than 256 KiB";
        if (fstat(fd, &after) < 0 || !is_same_version(&before, &after) || n != after.st_size)
                return "it changed while it was read; replace a policy by rename(2)";
        *lengthp = (size_t)n;
        return NULL;
}

_Static_assert(POLICY_FILE_MAX == 256 * 1024, "the sentence above says so");

int file_load(const struct dir *dir, const char *name, bool *foundp, char **textp, size_t *lengthp,
              struct policy_errors *errors) {
        _cleanup_(fd_closep) int fd = -1;
        _cleanup_(freep) char *text = NULL;
        char path[FILES_PATH_MAX];
        const char *reason;

        *foundp = false;
        if (dir->fd < 0)
                return 0;
        dir_join(dir, name, path);
        /* O_NONBLOCK: a FIFO must not hold us up before it is refused. */
        fd = openat(dir->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0) {
                *foundp = errno != ENOENT;
                if (*foundp)
                        complain_open(errors, path, errno);
                return 0;
        }
        *foundp = true;
        text = malloc(POLICY_FILE_MAX + 1);
        if (!text)
                return fault(-ENOMEM);
        reason = read_file(fd, text, lengthp);
        if (reason) {
                errors_add(errors, path, 0, NULL, NULL, "%s", reason);
                return 0;
        }
        *textp = take(text);
        return 0;
}
