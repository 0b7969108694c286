/* SPDX-License-Identifier: MIT */
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <base/file.h>
#include <base/why.h>
#include <cgroup/freeze.h>
#include <cgroup/limits.h>
#include <cgroup/reclaim.h>

#define MARGIN_SHARE 32
#define PAUSE_MS                                                                                   \
        50 /* after a try that gave nothing: what it waits for may be on its way to a disk */

uint64_t reclaim_target(uint64_t max_bytes) {
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

        return (max_bytes - max_bytes / MARGIN_SHARE) / page * page;
}

uint64_t reclaim_least_max(uint64_t bytes) {
        uint64_t max = limits_page_ceil(bytes + bytes / (MARGIN_SHARE - 1) + 1);

        while (reclaim_target(max) < bytes)
                max = limits_page_ceil(max + 1);
        return max;
}

static uint64_t now_usec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static int answer_of(int errnum) {
        return errnum == ENODEV || errnum == ENOENT ? CGROUP_E_GONE : CGROUP_E_HOST;
}

static int in_use(int dir_fd, uint64_t *bytesp, struct why *why) {
        int r = file_read_u64_at(dir_fd, "memory.current", bytesp);

        return r ? why_errno(why, answer_of(r), r, "cannot read memory.current") : 0;
}

static int set_high(int dir_fd, uint64_t bytes, struct why *why) {
        struct limits limits = LIMITS_KEEP_ALL;

        limits.memory_high_bytes = bytes;
        return limits_apply(dir_fd, &limits, why);
}

/* Asks for so many bytes. That it got fewer, or was interrupted, the next look will tell. */
static int take_some(int dir_fd, uint64_t bytes, uint64_t target_bytes, struct why *why) {
        char text[32];
        int r;

        snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
        r = file_write_at(dir_fd, "memory.reclaim", text);
        if (r == 0 || r == EAGAIN || r == EINTR)
                return 0;
        /* An older kernel: setting the limit again reclaims as well. */
        if (r == ENOENT)
                return set_high(dir_fd, target_bytes, why);
        return why_errno(why, answer_of(r), r, "cannot write memory.reclaim");
}

int reclaim_to(int dir_fd, uint64_t target_bytes, const atomic_bool *give_up,
               uint64_t *least_bytesp, struct why *why) {
        uint64_t begin = now_usec(), progress = begin, bytes;
        int r;

        *least_bytesp = UINT64_MAX;
        r = set_high(dir_fd, target_bytes, why);
        if (r)
                return r;
        for (;;) {
                uint64_t now = now_usec();

                r = in_use(dir_fd, &bytes, why);
                if (r)
                        return r;
                if (bytes < *least_bytesp) {
                        *least_bytesp = bytes;
                        progress = now;
                } else if (bytes > target_bytes) {
                        poll(NULL, 0, PAUSE_MS);
                }
                if (bytes <= target_bytes)
                        return 0;
                if (*give_up || now - progress > RECLAIM_STUCK_USEC || now - begin > RECLAIM_USEC)
                        return why_set(why, CGROUP_E_BUSY, "it holds what it has");
                r = take_some(dir_fd, bytes - target_bytes, target_bytes, why);
                if (r)
                        return r;
        }
}

/* It is frozen. */
static int set_max(int dir_fd, uint64_t target_bytes, uint64_t max_bytes, struct why *why) {
        struct limits limits = LIMITS_KEEP_ALL;
        uint64_t bytes;
        int r;

        r = in_use(dir_fd, &bytes, why);
        if (r)
                return r;
        if (bytes > target_bytes)
                return why_set(why, CGROUP_E_BUSY, "it takes back what was taken from it");
        limits.memory_max_bytes = max_bytes;
        return limits_apply(dir_fd, &limits, why);
}

int reclaim_seal(int dir_fd, uint64_t target_bytes, uint64_t max_bytes, uint64_t high_bytes,
                 struct why *why) {
        struct why thaw = {};
        int r, thawed;

        r = freeze_wait(dir_fd, RECLAIM_FREEZE_USEC, why);
        if (r)
                return r;
        r = set_max(dir_fd, target_bytes, max_bytes, why);
        thawed = freeze_end(dir_fd, &thaw);
        if (r == 0 && thawed) {
                *why = thaw;
                return thawed;
        }
        return r ?: set_high(dir_fd, high_bytes, why);
}

int reclaim_undo(int dir_fd, uint64_t max_bytes, uint64_t high_bytes, struct why *why) {
        struct limits limits = LIMITS_KEEP_ALL;

        limits.memory_max_bytes = max_bytes;
        limits.memory_high_bytes = high_bytes;
        return limits_apply(dir_fd, &limits, why);
}
