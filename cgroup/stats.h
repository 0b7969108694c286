/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CGROUP_STATS_H
#define PROVIUM_CGROUP_STATS_H

/*
 * What the kernel says about a group right now. Nothing here is remembered.
 */

#include <cgroup/cgroup.h>

#define STATS_TEXT_MAX 4096

/*
 * Reads the limit files (cpu.max, memory.max, ...) or the statistics (cpu.stat, memory.current,
 * ...) of the group and calls @fn with each file's name and text. A file this kernel does not have
 * is left out; one that cannot be read is given as "error: ..." (a pressure file without PSI is
 * unknown, not 0).
 */
void stats_each_limit(int dir_fd, void (*fn)(void *userdata, const char *file, const char *text),
                      void *userdata);
void stats_each_statistic(int dir_fd,
                          void (*fn)(void *userdata, const char *file, const char *text),
                          void *userdata);

struct memory_events {
        uint64_t oom;      /* times the limit was hit and reclaim failed */
        uint64_t oom_kill; /* processes killed by any OOM killer */
};

/* From memory.events. Answers GONE, HOST. */
_must_check_ int stats_memory_events(int dir_fd, struct memory_events *events, struct why *why);

/*
 * How much memory of the group and all below it, those that are gone included, is not available to
 * others: from memory.stat, without what is page cache, which MemAvailable counts. Answers GONE,
 * HOST.
 */
_must_check_ int stats_memory_held(int dir_fd, uint64_t *bytesp, struct why *why);

#endif
