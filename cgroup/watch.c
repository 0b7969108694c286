/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/why.h>
#include <cgroup/watch.h>

int watch_open(struct watch *watch) {
        watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        return watch->fd < 0 ? fault(-errno) : 0;
}

void watch_close(struct watch *watch) {
        watch->fd = fd_close(watch->fd);
}

int watch_add(struct watch *watch, int dir_fd, bool closed_too, int *idp, struct why *why) {
        char path[32];
        int id;

        /* inotify knows paths only; this one names the open directory, whatever it is called. */
        snprintf(path, sizeof(path), "/proc/self/fd/%d", dir_fd);
        id = inotify_add_watch(watch->fd, path,
                               IN_MODIFY | IN_ONLYDIR | (closed_too ? IN_CLOSE_WRITE : 0));
        if (id < 0)
                return why_errno(why, CGROUP_E_HOST, errno,
                                 errno == ENOSPC ? "cannot watch the group: raise "
                                                   "fs.inotify.max_user_watches"
                                                 : "cannot watch the group");
        *idp = id;
        return 0;
}

int watch_hold(int dir_fd, int fds[WATCH_HELD], struct why *why) {
        static const char *const files[WATCH_HELD] = {"cgroup.events", "memory.events"};

        for (size_t i = 0; i < WATCH_HELD; i++) {
                fds[i] = openat(dir_fd, files[i], O_PATH | O_CLOEXEC);
                if (fds[i] < 0) {
                        int saved = errno;

                        fd_close_many(fds, i);
                        return why_errno(why, saved == ENOENT ? CGROUP_E_GONE : CGROUP_E_HOST,
                                         saved, "cannot open %s", files[i]);
                }
        }
        return 0;
}

void watch_remove(struct watch *watch, int id) {
        inotify_rm_watch(watch->fd, id);
}

int watch_read(struct watch *watch, watch_fn fn, void *userdata) {
        char buffer[16 * 1024] __attribute__((__aligned__(__alignof__(struct inotify_event))));
        ssize_t n;

        n = read(watch->fd, buffer, sizeof(buffer));
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : fault(-errno);

        for (ssize_t at = 0; at < n;) {
                const struct inotify_event *event = (const void *)(buffer + at);

                if (event->mask & IN_Q_OVERFLOW)
                        fn(userdata, -1, WATCH_LOST, NULL);
                else if (event->mask & IN_IGNORED)
                        fn(userdata, event->wd, WATCH_GONE, NULL);
                else if (event->len > 0)
                        fn(userdata, event->wd,
                           event->mask & IN_CLOSE_WRITE ? WATCH_CLOSED : WATCH_MODIFIED,
                           event->name);
                at += (ssize_t)sizeof(*event) + event->len;
        }
        return 0;
}
