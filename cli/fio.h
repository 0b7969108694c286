/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_FIO_H
#define PROVIUM_CLI_FIO_H

/*
 * One run of fio(1) after another over an open file, and the few figures of its report.
 */

#include <base/macro.h>

struct interrupt;
struct why;

#define FIO_DEPTH 16 /* requests at once, where the engine can */
#define FIO_VERSION_MAX 32

enum {
        _FIO_E_SUCCESS,
        FIO_E_MISSING,     /* there is no fio on PATH */
        FIO_E_FAILED,      /* it cannot be executed, failed, or says nothing that we understand */
        FIO_E_INTERRUPTED, /* a signal came, fio has been ended; without a sentence */
};

enum fio_way {
        FIO_SEQUENTIAL_WRITE,
        FIO_SEQUENTIAL_READ,
        FIO_RANDOM_WRITE,
        FIO_RANDOM_READ,
        _FIO_N,
};

enum fio_engine {
        FIO_LIBAIO,
        FIO_PSYNC, /* one request at a time */
        _FIO_ENGINE_N,
};

struct fio_result {
        uint64_t bytes_per_s, iops;
        uint64_t median_ns, p99_ns; /* from submission to completion */
};

const char *fio_engine_name(enum fio_engine engine);

/* Whether fio is there, and what it calls itself ("fio-3.33"), fit for a terminal. */
_must_check_ int fio_version(char version[FIO_VERSION_MAX], struct interrupt *interrupt,
                             struct why *why);

/*
 * Reads or writes the first @size_bytes of @file_fd, which must be there, for @seconds; blocks so
 * long. fio opens the file by the descriptor, so it needs no name. It is killed when a signal
 * comes, and by the kernel when we are. Answers as above; negative on a fault.
 */
_must_check_ int fio_measure(enum fio_way way, enum fio_engine engine, int file_fd,
                             uint64_t size_bytes, unsigned seconds, struct interrupt *interrupt,
                             struct fio_result *resultp, struct why *why);

/* Takes the figures of @way from fio's report, which may have lines of text before its JSON. */
_must_check_ int fio_parse(const char *text, enum fio_way way, struct fio_result *resultp,
                           struct why *why);

#endif
