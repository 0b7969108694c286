/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_TRACE_H
#define PROVIUM_CLI_TRACE_H

/*
 * A trace: claims with the time of their arrival and how long each is kept once it is admitted.
 */

#include <base/macro.h>

struct why;

#define TRACE_ROWS_MAX 10000000
#define TRACE_SLICES_MAX 1024
#define TRACE_USERS_MAX 100000
#define TRACE_TIME_MAX_USEC                                                                        \
        (UINT64_C(100) * 365 * 24 * 3600 * 1000000) /* of one time: 100 years                      \
                                                     */
#define TRACE_PRIORITY_MAX 1000

enum {
        _TRACE_E_SUCCESS,
        TRACE_E_INVALID, /* something in it is wrong; the sentence begins with the line's number */
        TRACE_E_READ,    /* the descriptor cannot be read; with errno */
};

/* One claim, in the order of arrival. */
struct row {
        uint64_t arrival_usec, duration_usec;
        uint64_t cpu_milli, memory_bytes, disk_bytes;
        uint64_t disk_io_bytes_per_s, download_bytes_per_s, upload_bytes_per_s;
        uint64_t gpus;
        int32_t priority;
        uint32_t user, slice; /* places in the lists of names; 0 is who or what is not named */
        uint32_t line;        /* where it stood */
};

struct name;

/* Names, each once. */
struct names {
        struct name *by_text;
        char **list; /* list[0] is "" */
        uint32_t n;
};

struct trace {
        struct row *rows; /* sorted by arrival; those of one time as they stood */
        size_t n, n_allocated;
        struct names users, slices;
        bool charged;        /* amounts are what was charged, with all that is added to a claim */
        uint64_t n_unsorted; /* rows that came earlier than one before them */
        uint64_t n_unserved; /* in events: claims that left without having been admitted */
        uint64_t n_unknown;  /* in events: releases of what was refused, or admitted before they
                                begin */
        uint64_t n_open;     /* in events: claims that were held still when they end */
        uint64_t n_lost;     /* in events: events that their reader missed */
        uint64_t n_restarts; /* in events: of the broker, at which it may have missed some */
        uint64_t n_cut;      /* in events: bytes at the end that are the beginning of one */
};

/* Frees what @trace has. */
void trace_deinit(struct trace *trace);

/* A new row at the end, all 0, in *rowp until the next one. Answers TRACE_E_INVALID: too many. */
_must_check_ int trace_add(struct trace *trace, struct row **rowp, struct why *why);

/* Puts the rows in the order of arrival, and counts those that were not. */
void trace_sort(struct trace *trace);

/* The place of @text in @names, of which there may be @max. Answers TRACE_E_INVALID: too many. */
_must_check_ int names_find(struct names *names, const char *text, const char *what, uint32_t max,
                            uint32_t *placep, struct why *why);

#endif
