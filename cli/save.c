/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/why.h>
#include <cli/frame.h>
#include <cli/save.h>

#define SUFFIX ".msgpack"
#define READ_SIZE (2 * FRAME_MAX)

static int open_file(struct save *save, struct why *why) {
        struct stat st;

        save->fd = fd_close(save->fd);
        save->whole = 0;
        /* Not to be held up by a FIFO. */
        save->fd = open(save->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                        0640);
        if (save->fd < 0 || fstat(save->fd, &st) < 0)
                return why_errno(why, SAVE_E_OPEN, errno, "cannot open '%s'", save->path);
        if (!S_ISREG(st.st_mode))
                return why_set(why, SAVE_E_OPEN,
                               "'%s' is no ordinary file; --json prints events to anything else",
                               save->path);
        return 0;
}

static int lock(struct save *save, int operation, struct why *why) {
        while (flock(save->fd, operation) < 0)
                if (errno != EINTR)
                        return why_errno(why, SAVE_E_OPEN, errno, "cannot lock '%s'", save->path);
        return 0;
}

static int foreign(const struct save *save, off_t at, struct why *why) {
        return why_set(why, SAVE_E_FOREIGN,
                       "'%s' is no file of events (%s; byte %lld): it is left as it is", save->path,
                       save->frames ? "MessagePack" : "JSON lines", (long long)at);
}

static ssize_t read_at(const struct save *save, char *buffer, size_t size, off_t at,
                       struct why *why) {
        ssize_t n;

        do
                n = pread(save->fd, buffer, size, at);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -why_errno(why, SAVE_E_OPEN, errno, "cannot read '%s'", save->path);
        return n;
}

static int cut(struct save *save, off_t from, off_t size, struct why *why) {
        if (ftruncate(save->fd, from) < 0)
                return why_errno(why, SAVE_E_WRITE, errno, "cannot mend the end of '%s'",
                                 save->path);
        save->n_mended += (uint64_t)(size - from);
        save->whole = from;
        return 0;
}

/* The last line has its newline, or is the beginning of an event. */
static int mend_lines(struct save *save, char *buffer, off_t size, struct why *why) {
        off_t from = size > FRAME_MAX ? size - FRAME_MAX : 0;
        const char *newline;
        ssize_t n;

        n = save->whole == 0 ? read_at(save, buffer, 1, 0, why) : 0;
        if (n > 0 && *buffer != '{')
                return foreign(save, 0, why);
        if (n >= 0)
                n = read_at(save, buffer, FRAME_MAX, from, why);
        if (n <= 0)
                return (int)-n;
        newline = memrchr(buffer, '\n', (size_t)n);
        if (newline == buffer + n - 1) {
                save->whole = size;
                return 0;
        }
        if ((!newline && from > 0) || (newline ? newline[1] : *buffer) != '{')
                return foreign(save, size, why);
        return cut(save, newline ? from + (newline + 1 - buffer) : 0, size, why);
}

static int mend_frames(struct save *save, char *buffer, off_t size, struct why *why) {
        for (;;) {
                ssize_t n = read_at(save, buffer, READ_SIZE, save->whole, why);
                size_t done = 0, length = 0;
                int r = 0;

                if (n <= 0)
                        return (int)-n;
                while (done < (size_t)n &&
                       (r = frame_length(buffer + done, (size_t)n - done, &length)) == 0)
                        done += length;
                save->whole += (off_t)done;
                if (r == FRAME_E_INVALID)
                        return foreign(save, save->whole, why);
                if (r && done == 0)
                        return cut(save, save->whole, size, why);
        }
}

/* Looks at what others have written since, and takes away what one of them could not finish. */
static int mend(struct save *save, struct why *why) {
        _cleanup_(freep) char *buffer = NULL;
        struct stat st;

        if (fstat(save->fd, &st) < 0)
                return why_errno(why, SAVE_E_OPEN, errno, "cannot look at '%s'", save->path);
        if (st.st_size == save->whole)
                return 0;
        if (st.st_size < save->whole) /* somebody has emptied it */
                save->whole = 0;
        buffer = malloc(READ_SIZE);
        if (!buffer)
                return fault(-ENOMEM);
        return save->frames ? mend_frames(save, buffer, st.st_size, why)
                            : mend_lines(save, buffer, st.st_size, why);
}

static bool is_still_there(const struct save *save) {
        struct stat named, opened;

        return stat(save->path, &named) == 0 && fstat(save->fd, &opened) == 0 &&
               named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}

/* The lock of the file that has the name, whole up to its end. */
static int enter(struct save *save, struct why *why) {
        int r;

        r = lock(save, LOCK_EX, why);
        while (!r && !is_still_there(save)) {
                r = open_file(save, why);
                if (!r)
                        r = lock(save, LOCK_EX, why);
        }
        return r ?: mend(save, why);
}

int save_open(struct save *save, const char *path, struct why *why) {
        size_t length = strlen(path), end = strlen(SUFFIX);
        int r;

        *save = (struct save){.path = path, .fd = -1};
        save->frames = length > end && strcmp(path + length - end, SUFFIX) == 0;
        /* A limit on the size of files shall be an error, and no signal. */
        signal(SIGXFSZ, SIG_IGN);
        r = open_file(save, why);
        if (!r)
                r = enter(save, why);
        if (!r)
                r = lock(save, LOCK_UN, why);
        if (r)
                save_deinit(save);
        return r;
}

static int format(const struct save *save, const json_t *event, char **bytesp, size_t *lengthp,
                  struct why *why) {
        char *text;
        int r;

        if (save->frames) {
                r = frame_pack(event, bytesp, lengthp);
                return r > 0 ? why_set(why, SAVE_E_WRITE, "the broker sent what is no event") : r;
        }
        text = json_dumps(event, JSON_COMPACT | JSON_ENSURE_ASCII);
        if (!text)
                return fault(-ENOMEM);
        *lengthp = strlen(text) + 1;
        text[*lengthp - 1] = '\n'; /* in the place of the NUL */
        *bytesp = text;
        return 0;
}

/* All of it, or nothing. One write, but where the kernel stops in the middle. */
static int write_whole(struct save *save, const char *bytes, size_t length, struct why *why) {
        size_t done = 0;

        while (done < length) {
                ssize_t n = write(save->fd, bytes + done, length - done);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0) {
                        why_errno(why, SAVE_E_WRITE, n < 0 ? errno : ENOSPC, "cannot write to '%s'",
                                  save->path);
                        if (done > 0 && ftruncate(save->fd, save->whole) < 0)
                                return why_errno(why, SAVE_E_WRITE, errno,
                                                 "cannot write to '%s', nor take back a part",
                                                 save->path);
                        return SAVE_E_WRITE;
                }
                done += (size_t)n;
        }
        save->whole += (off_t)length;
        return 0;
}

int save_add(struct save *save, const json_t *event, struct why *why) {
        _cleanup_(freep) char *bytes = NULL;
        struct why ignored;
        size_t length = 0;
        sigset_t all, before;
        int r;

        r = format(save, event, &bytes, &length, why);
        if (r)
                return r;
        r = enter(save, why);
        if (!r) {
                /* Nothing but SIGKILL ends us in the middle of it. */
                sigfillset(&all);
                sigprocmask(SIG_BLOCK, &all, &before);
                r = write_whole(save, bytes, length, why);
                sigprocmask(SIG_SETMASK, &before, NULL);
        }
        if (save->fd >= 0 && lock(save, LOCK_UN, &ignored) && !r)
                r = why_set(why, SAVE_E_WRITE, "%s", ignored.text);
        return r;
}

int save_close(struct save *save, struct why *why) {
        int r = 0;

        if (save->fd >= 0 && fsync(save->fd) < 0)
                r = why_errno(why, SAVE_E_WRITE, errno, "'%s' does not get to the disk",
                              save->path);
        save_deinit(save);
        return r;
}

void save_deinit(struct save *save) {
        save->fd = fd_close(save->fd);
}
