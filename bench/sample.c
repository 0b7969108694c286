/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <time.h>

#include <bench/sample.h>

static int compare(const void *a, const void *b) {
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

double sample_quantile(struct sample *sample, double q) {
        size_t at;

        if (sample->n == 0)
                return 0;
        qsort(sample->values, sample->n, sizeof(double), compare);
        at = (size_t)(q * (double)(sample->n - 1) + 0.5);
        return sample->values[at];
}

void sample_report(const char *bench, const char *metric, double q, struct sample *ours,
                   const char *against, struct sample *other, const char *context) {
        double a = sample_quantile(ours, q), b = sample_quantile(other, q);

        printf("{\"bench\":\"%s\",\"metric\":\"%s\",%s%s\"ours\":%.3f,\"against\":\"%s\","
               "\"other\":%.3f,\"ratio\":%.3f,\"n\":%zu,\"ours_p10\":%.3f,\"ours_p90\":%.3f,"
               "\"other_p10\":%.3f,\"other_p90\":%.3f}\n",
               bench, metric, context, *context ? "," : "", a, against, b, b > 0 ? a / b : 0,
               ours->n, sample_quantile(ours, 0.1), sample_quantile(ours, 0.9),
               sample_quantile(other, 0.1), sample_quantile(other, 0.9));
        fflush(stdout);
}

uint64_t sample_now_ns(void) {
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}
