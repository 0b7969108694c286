/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_METRICS_TEXT_H
#define PROVIUM_BROKER_METRICS_TEXT_H

/*
 * Prometheus' text format 0.0.4, written into memory that grows. Values are integers, or fractions
 * of integers with their places: nothing is rounded.
 *
 * See https://prometheus.io/docs/instrumenting/exposition_formats/.
 */

#include <base/macro.h>

struct histogram;

struct metrics_text {
        char *body; /* owned; not ended with a NUL */
        size_t n, room;
        bool failed; /* out of memory: what is there is not whole */
};

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM };

/* One name, and what it means: a row of the table in docs/metrics.md. */
struct metrics_family {
        const char *name;
        enum metrics_type type;
        const char *labels; /* their names, with blanks between; "": none */
        const char *help;   /* one sentence */
};

void metrics_text_deinit(struct metrics_text *text);

/* HELP and TYPE; the samples of the family follow. */
void metrics_begin(struct metrics_text *text, const struct metrics_family *family);

/*
 * One sample: value / divisor, a power of ten. @labels: what stands between the braces, made by
 * metrics_label(); "" or NULL: none.
 */
void metrics_sample(struct metrics_text *text, const struct metrics_family *family,
                    const char *labels, uint64_t value, uint64_t divisor);
/* The same with a second part of labels (NULL: none): those that are not the same for a VM. */
void metrics_sample_more(struct metrics_text *text, const struct metrics_family *family,
                         const char *labels, const char *more, uint64_t value, uint64_t divisor);
/* All samples of a histogram of nanoseconds, in seconds. */
void metrics_histogram(struct metrics_text *text, const struct metrics_family *family,
                       const struct histogram *histogram);

/*
 * Adds name="value" to @labels (@size bytes), after a comma if there is something. Backslash, quote
 * and newline are escaped. What does not fit is cut off.
 */
void metrics_label(char *labels, size_t size, const char *name, const char *value);

#define METRICS_LABELS_MAX 512

/* "counter", "gauge", "histogram". */
const char *metrics_type_name(enum metrics_type type);

#endif
