/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <poll.h>
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

int freeze_is_frozen(int dir_fd, bool *frozenp, struct why *why) {
        char text[256];
        uint64_t value;
        int r;

        r = file_read_at(dir_fd, "cgroup.events", text, sizeof(text));
        if (r)
                return why_errno(why, answer_of(r), r, "cannot read cgroup.events");
        if (!file_keyed_u64(text, "frozen", &value))
                return why_set(why, CGROUP_E_HOST, "cgroup.events has no line 'frozen'");
        *frozenp = value != 0;
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
