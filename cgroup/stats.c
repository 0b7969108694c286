/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <base/file.h>
#include <base/why.h>
#include <cgroup/stats.h>

static const char *const limit_files[] = {
        "cpu.max",         "cpu.weight",       "memory.max", "memory.high", "memory.low",
        "memory.swap.max", "memory.oom.group", "pids.max",   "io.max",
};

static const char *const statistic_files[] = {
        "cgroup.events", "cpu.stat",      "cpu.pressure",    "memory.current",
        "memory.peak",   "memory.events", "memory.pressure", "memory.swap.current",
        "pids.current",  "pids.peak",     "io.stat",         "io.pressure",
};

static void each(int dir_fd, const char *const *files, size_t n,
                 void (*fn)(void *userdata, const char *file, const char *text), void *userdata) {
        char text[STATS_TEXT_MAX];

        for (size_t i = 0; i < n; i++) {
                int r;

                r = file_read_at(dir_fd, files[i], text, sizeof(text));
                if (r == ENOENT)
                        continue;
                if (r)
                        snprintf(text, sizeof(text), "error: %s", strerrordesc_np(r));
                fn(userdata, files[i], text);
        }
}

void stats_each_limit(int dir_fd, void (*fn)(void *userdata, const char *file, const char *text),
                      void *userdata) {
        each(dir_fd, limit_files, ARRAY_SIZE(limit_files), fn, userdata);
}

void stats_each_statistic(int dir_fd,
                          void (*fn)(void *userdata, const char *file, const char *text),
                          void *userdata) {
        each(dir_fd, statistic_files, ARRAY_SIZE(statistic_files), fn, userdata);
}

int stats_memory_events(int dir_fd, struct memory_events *events, struct why *why) {
        struct memory_events result = {};
        char text[1024];
        int r;

        r = file_read_at(dir_fd, "memory.events", text, sizeof(text));
        if (r)
                return why_errno(why, r == ENODEV || r == ENOENT ? CGROUP_E_GONE : CGROUP_E_HOST, r,
                                 "cannot read memory.events");
        if (!file_keyed_u64(text, "oom", &result.oom) ||
            !file_keyed_u64(text, "oom_kill", &result.oom_kill))
                return why_set(why, CGROUP_E_HOST, "memory.events lacks oom or oom_kill");
        *events = result;
        return 0;
}

int stats_memory_held(int dir_fd, uint64_t *bytesp, struct why *why) {
        /* Memory of a hypervisor that shares it with others (memfd) is shmem. Keys that this kernel
         * has not got count as nothing. */
        static const char *const keys[] = {"anon", "shmem", "kernel_stack", "pagetables",
                                           "slab_unreclaimable"};
        char text[STATS_TEXT_MAX];
        uint64_t sum = 0, value;
        int r;

        r = file_read_at(dir_fd, "memory.stat", text, sizeof(text));
        if (r)
                return why_errno(why, r == ENODEV || r == ENOENT ? CGROUP_E_GONE : CGROUP_E_HOST, r,
                                 "cannot read memory.stat");
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                if (file_keyed_u64(text, keys[i], &value))
                        sum += value;
        *bytesp = sum;
        return 0;
}
