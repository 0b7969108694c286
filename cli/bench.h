/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_BENCH_H
#define PROVIUM_CLI_BENCH_H

/*
 * What `provium bench disk` was asked for and has found: bench.c fills it, bench_report.c tells it.
 */

#include <cli/fio.h>
#include <cli/interrupt.h>

struct cli;
struct policy;

struct bench {
        struct cli *cli;
        const char *config_dir, *vendor_dir;
        unsigned seconds;
        uint64_t size_bytes; /* 0: not said */
        bool save;

        char path[512]; /* the directory that was measured */
        int dir_fd;
        char version[FIO_VERSION_MAX];
        enum fio_engine engine;
        struct interrupt interrupt;
        struct fio_result results[_FIO_N];
        uint64_t disk_io_bytes_per_s; /* what to write into the policy */
};

/* What fio does in this phase, for a person ("random read, 4k"). */
const char *bench_phase_title(enum fio_way way);

/* Loads the policy files; *policyp stays NULL if they have errors. Returns 0, or negative on a
 * fault. */
_must_check_ int bench_load_policy(const struct bench *bench, struct policy **policyp);

/* Whether --save could succeed. Says it, and returns a status, if not. */
_must_check_ int bench_check_save(const struct bench *bench);
/* Writes the drop-in. Returns a status. */
_must_check_ int bench_save(const struct bench *bench);
/* Prints what was found. Returns a status. */
_must_check_ int bench_print(const struct bench *bench);

#endif
