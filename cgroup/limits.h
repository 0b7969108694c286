/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CGROUP_LIMITS_H
#define PROVIUM_CGROUP_LIMITS_H

/*
 * The limits of one group: formatted, written, read back and compared before anybody relies on
 * them. A limit that does not read back as it was written is no limit.
 *
 * The files are opened one after the other and closed together, which keeps a VM's life short in
 * system calls: open, write and read back per file, one close_range(2) for all. See cgroup-v2.rst
 * in the kernel's documentation for what each file means.
 */

#include <cgroup/cgroup.h>

#define LIMIT_NONE UINT64_MAX       /* "max" */
#define LIMIT_KEEP (UINT64_MAX - 1) /* leave this file alone */

#define LIMITS_WEIGHT_MAX 10000

struct limits {
        uint64_t cpu_quota_usec; /* per period; LIMIT_NONE */
        uint64_t cpu_period_usec;
        uint64_t cpu_weight;       /* 1..10000 */
        uint64_t memory_max_bytes; /* whole pages, see limits_page_ceil */
        uint64_t memory_high_bytes;
        uint64_t memory_low_bytes;
        uint64_t swap_max_bytes;
        uint64_t oom_group; /* 0 or 1 */
        uint64_t pids_max;
};

#define LIMITS_KEEP_ALL                                                                            \
        {                                                                                          \
                .cpu_quota_usec = LIMIT_KEEP, .cpu_weight = LIMIT_KEEP,                            \
                .memory_max_bytes = LIMIT_KEEP, .memory_high_bytes = LIMIT_KEEP,                   \
                .memory_low_bytes = LIMIT_KEEP, .swap_max_bytes = LIMIT_KEEP,                      \
                .oom_group = LIMIT_KEEP, .pids_max = LIMIT_KEEP                                    \
        }

/*
 * Sets quota and period for @cpu_milli thousandths of a CPU plus @headroom_milli thousandths of
 * that: a period of 100 ms, or of 1 s where the quota would be below the kernel's 1 ms.
 */
void limits_set_cpu(struct limits *limits, uint64_t cpu_milli, uint64_t headroom_milli);

/* Rounds up to whole pages, as the kernel counts (it rounds down, which would be less than
 * claimed). */
uint64_t limits_page_ceil(uint64_t bytes);

/*
 * Writes every value that is not LIMIT_KEEP into the group and reads it back. Answers LIMIT (which
 * file, what was written, what it reads), GONE. What was written before stays: the caller removes
 * the group.
 */
_must_check_ int limits_apply(int dir_fd, const struct limits *limits, struct why *why);

/*
 * The same for a policy that says best effort: what cannot be set is passed over, told in @missing
 * (a sentence for each; empty if all is in force), and made LIMIT_KEEP in @limits.
 */
void limits_apply_best(int dir_fd, struct limits *limits, char *missing, size_t size);

/* What is LIMIT_KEEP in @known becomes so in @limits: it was not wanted, or could not be set. */
void limits_keep(struct limits *limits, const struct limits *known);

/* Compares the group's files with @limits without writing. Answers LIMIT for the first that
 * differs. */
_must_check_ int limits_verify(int dir_fd, const struct limits *limits, struct why *why);

/*
 * Calls @fn for each value that is not LIMIT_KEEP, with its file's name and the text that would be
 * written: what a dry run shows is what a launch writes.
 */
void limits_each(const struct limits *limits,
                 void (*fn)(void *userdata, const char *file, const char *text), void *userdata);

/* Writes one number into an open limit file (a slice's cpu.weight or memory.low). 0 or a positive
 * errno. */
_must_check_ int limits_write_fd(int fd, uint64_t value);

/* Does an open limit file hold @value? False also if it cannot be read. */
_must_check_ bool limits_holds_fd(int fd, uint64_t value);

#endif
