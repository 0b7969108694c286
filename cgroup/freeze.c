/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/file.h>
#include <base/why.h>
#include <cgroup/freeze.h>

static int answer_of(int errnum) {
        return errnum == ENOENT || errnum == ENODEV ? CGROUP_E_GONE : CGROUP_E_HOST;
}

int freeze_begin(int dir_fd, struct why *why) {
        int r;

        r = file_write_at(dir_fd, "cgroup.freeze", "1");
        return r ? why_errno(why, answer_of(r), r, "cannot freeze the group") : 0;
}

int freeze_end(int dir_fd, struct why *why) {
        int r;

        r = file_write_at(dir_fd, "cgroup.freeze", "0");
        return r ? why_errno(why, answer_of(r), r, "cannot thaw the group") : 0;
}

#define DEPTH_MAX 16
#define KERNEL_THREAD 0x00200000 /* PF_KTHREAD, in the ninth field of a stat */

/* Its state and flags; false: it is gone. */
static bool thread_look(const char *tid, char *statep, unsigned *flagsp) {
        char path[64], text[512], *at;
        int r;

        snprintf(path, sizeof(path), "/proc/%.16s/stat", tid);
        r = file_read_at(AT_FDCWD, path, text, sizeof(text));
        at = r ? NULL : strrchr(text, ')'); /* its name may hold anything */
        return at && sscanf(at, ") %c %*d %*d %*d %*d %*d %u", statep, flagsp) == 2;
}

struct look {
        unsigned kernel, running; /* threads */
};

static int look_at_threads(int dir_fd, struct look *look, struct why *why) {
        int fd = openat(dir_fd, "cgroup.threads", O_RDONLY | O_CLOEXEC);
        FILE *file = fd < 0 ? NULL : fdopen(fd, "re");
        char tid[32], state;
        unsigned flags;

        if (!file) {
                fd_close(fd);
                return why_errno(why, answer_of(errno), errno, "cannot read cgroup.threads");
        }
        while (fgets(tid, sizeof(tid), file)) {
                tid[strcspn(tid, "\n")] = '\0';
                if (!thread_look(tid, &state, &flags))
                        continue;
                if (flags & KERNEL_THREAD)
                        look->kernel++;
                else if (!strchr("STtZX", state))
                        look->running++;
        }
        fclose(file);
        return 0;
}

static int look_below(int dir_fd, unsigned depth, struct look *look, struct why *why);

/* A group that went meanwhile has nothing that runs. */
static int look_at_child(int dir_fd, const char *name, unsigned depth, struct look *look,
                         struct why *why) {
        _cleanup_(fd_closep) int fd =
                openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int r = fd < 0 ? 0 : look_below(fd, depth, look, why);

        return r == CGROUP_E_GONE ? 0 : r;
}

static int look_at_children(int dir_fd, unsigned depth, struct look *look, struct why *why) {
        int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        const struct dirent *entry;

        if (!dir) {
                fd_close(fd);
                return why_errno(why, answer_of(errno), errno, "cannot list the group");
        }
        while (r == 0 && (entry = readdir(dir)))
                if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
                        r = look_at_child(dir_fd, entry->d_name, depth + 1, look, why);
        closedir(dir);
        return r;
}

static int look_below(int dir_fd, unsigned depth, struct look *look, struct why *why) {
        int r;

        if (depth == DEPTH_MAX) {
                look->running++;
                return 0;
        }
        r = look_at_threads(dir_fd, look, why);
        return r ?: look_at_children(dir_fd, depth, look, why);
}

/*
 * KVM's and vhost's kernel threads are members of the group and never stop: with one the kernel
 * (up to 6.13) never says that the group is frozen, nor those above it. Then the others are looked
 * at. Each has a pending signal that it cannot take, so it sleeps interruptibly in that trap
 * (do_freezer_trap(), kernel/signal.c) and nowhere else.
 */
static int all_but_kernel_threads(int dir_fd, bool *frozenp, struct why *why) {
        struct look look = {};
        int r;

        r = look_below(dir_fd, 0, &look, why);
        *frozenp = r == 0 && look.kernel > 0 && look.running == 0;
        return r;
}

int freeze_is_frozen(int dir_fd, bool *frozenp, struct why *why) {
        char text[256];
        uint64_t value;
        int r;

        r = file_read_at(dir_fd, "cgroup.events", text, sizeof(text));
        if (r)
                return why_errno(why, answer_of(r), r, "cannot read cgroup.events");
        if (!file_keyed_u64(text, "frozen", &value))
                return why_set(why, CGROUP_E_HOST, "cgroup.events has no line 'frozen'");
        if (value == 0)
                return all_but_kernel_threads(dir_fd, frozenp, why);
        *frozenp = true;
        return 0;
}

static uint64_t now_usec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* POLLPRI comes once for each change after the file was last read through this descriptor. */
static int wait_frozen(int dir_fd, int events_fd, uint64_t deadline_usec, struct why *why) {
        for (;;) {
                struct pollfd pollfd = {.fd = events_fd, .events = POLLPRI};
                uint64_t now = now_usec();
                struct timespec left;
                bool frozen = false;
                char text[256];
                int r;

                if (pread(events_fd, text, sizeof(text), 0) < 0)
                        return why_errno(why, answer_of(errno), errno, "cannot read cgroup.events");
                r = freeze_is_frozen(dir_fd, &frozen, why);
                if (r || frozen)
                        return r;
                if (now >= deadline_usec)
                        return why_set(why, CGROUP_E_BUSY, "the group does not freeze in time");
                left.tv_sec = (time_t)((deadline_usec - now) / 1000000);
                left.tv_nsec = (long)((deadline_usec - now) % 1000000) * 1000;
                if (ppoll(&pollfd, 1, &left, NULL) < 0 && errno != EINTR)
                        return why_errno(why, CGROUP_E_HOST, errno, "cannot wait for the group");
        }
}

int freeze_wait(int dir_fd, uint64_t timeout_usec, struct why *why) {
        _cleanup_(fd_closep) int events_fd = -1;
        int r;

        events_fd = openat(dir_fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
        if (events_fd < 0)
                return why_errno(why, answer_of(errno), errno, "cannot open cgroup.events");
        r = freeze_begin(dir_fd, why);
        if (r)
                return r;
        r = wait_frozen(dir_fd, events_fd, now_usec() + timeout_usec, why);
        /* A group that stays frozen is the worse news. */
        return r ? freeze_end(dir_fd, why) ?: r : 0;
}
