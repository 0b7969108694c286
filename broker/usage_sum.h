/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_USAGE_SUM_H
#define PROVIUM_BROKER_USAGE_SUM_H

/*
 * Sums over the lines of the usage log. Pure: no clock, no file.
 *
 * Each lease counts once, by its id: the first line that is added of it is taken, so lines are to
 * come from the newest to the oldest. Of a VM whose life lies only in part within the window, that
 * part counts: the same share of what it was sold and of what it used, as if evenly, for nobody
 * wrote down when. So windows that meet add up to the whole, to the last microsecond and byte but
 * for rounding down.
 */

#include <broker/usage_line.h>
#include <proto/request.h>

#define USAGE_ROWS_MAX 1000 /* what is beyond them is one more row */

struct usage_row {
        char vm[TEXT_NAME_MAX + 1], slice[TEXT_NAME_MAX + 1]; /* "" where rows are not by them */
        uid_t uid;
        uint64_t vms, running; /* how many; of those, that had not ended */
        uint64_t in_part;      /* of those, that were not within the window all the time */
        uint64_t least_cpu, least_disk, least_network; /* of which only a lower bound is known */
        /* Sums, that stay at their end. */
        uint64_t held_usec, claimed_cpu_usec, claimed_memory_mib_ms, cpu_usec;
        uint64_t read_bytes, write_bytes, download_bytes, upload_bytes;
        uint64_t memory_peak_bytes; /* the largest */
};

struct usage_sum {
        /* what is asked */
        enum usage_by by;
        uint64_t since_ns, until_ns; /* CLOCK_REALTIME; from, and before */
        bool everybody;              /* else only @uid's */
        uid_t uid;

        struct usage_row *rows; /* owned; in the order in which they came first */
        size_t n_rows, n_allocated;
        struct usage_row total;
        struct usage_row others;   /* beyond USAGE_ROWS_MAX: sums, without a name */
        uint64_t first_ns;         /* the earliest beginning that counts; 0: there is none */
        uint64_t bad_lines;        /* torn, or not understood */
        struct usage_place *index; /* of rows; owned */
        char (*ids)[USAGE_ID_MAX]; /* seen already: an open table; owned */
        size_t n_ids, ids_size;
};

/* Frees what it owns. */
void usage_sum_deinit(struct usage_sum *sum);

/* Adds one. Negative: out of memory. */
_must_check_ int usage_sum_add(struct usage_sum *sum, const struct usage_line *line);
/* The same for a line as text, which may be anything. */
_must_check_ int usage_sum_add_text(struct usage_sum *sum, const char *text, size_t length);

#endif
