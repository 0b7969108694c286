/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BENCH_SAMPLE_H
#define PROVIUM_BENCH_SAMPLE_H

/*
 * Measured values, their quantiles, and the one form in which every bench reports: a JSON object a
 * line. Values are in whatever unit the metric's name says.
 */

#include <base/macro.h>

#define SAMPLE_MAX 4096 /* values; later ones are dropped */

struct sample {
        double values[SAMPLE_MAX];
        size_t n;
};

static inline void sample_add(struct sample *sample, double value) {
        if (sample->n < SAMPLE_MAX)
                sample->values[sample->n++] = value;
}

/* The value below which the share @q of the sample lies; sorts the sample. 0 if it is empty. */
double sample_quantile(struct sample *sample, double q);

/*
 * One line for the @q quantile of @ours against @other, which is called @against, with their
 * spread (p10, p90). @context is more members, '"groups":0', or "".
 */
void sample_report(const char *bench, const char *metric, double q, struct sample *ours,
                   const char *against, struct sample *other, const char *context);

/* CLOCK_REALTIME, the clock of the broker's events and of bench-static's notes. */
uint64_t sample_now_ns(void);

#endif
