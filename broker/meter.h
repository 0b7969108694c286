/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_METER_H
#define PROVIUM_BROKER_METER_H

/*
 * What the broker counts of itself, for /metrics: how often, and how long it took, since the
 * program began. Most of it is taken from the events as they are noted, so that those who do the
 * work know nothing of it; what is no event is told here. A few additions each: it is always on.
 *
 * Times are put into fixed buckets, as Prometheus' histograms have them.
 */

#include <base/macro.h>

struct broker;
struct meter;

#define METER_BOUNDS 22  /* from 10 us to 5 minutes */
#define METER_REASONS 24 /* kinds of reasons told apart; all others are "other" */
#define METER_REASON_MAX 31
#define METER_KINDS 64 /* of events */

extern const uint64_t meter_bounds_ns[METER_BOUNDS];

struct histogram {
        uint64_t buckets[METER_BOUNDS + 1]; /* not cumulative; the last one is beyond all bounds */
        uint64_t n, sum_ns;
};

struct reason_count {
        char reason[METER_REASON_MAX + 1];
        uint64_t n;
};

struct reason_counts {
        struct reason_count list[METER_REASONS];
        size_t n;
        uint64_t n_other;
};

enum meter_count {
        METER_CLAIMS_GRANTED,
        METER_OOM_KILLS,
        METER_DRIFT_FOUND,
        METER_DRIFT_REPAIRED,
        METER_VARLINK_ACCEPTED,
        METER_VARLINK_TURNED_AWAY,
        METER_HTTP_ACCEPTED,
        METER_HTTP_TURNED_AWAY,
        _METER_COUNT_N,
};

struct meter_figures {
        struct histogram admission, setup, exec; /* of claims that were granted, VMs that started */
        struct histogram turn;                   /* of the loop: what one event took */
        uint64_t longest_turn_ns;
        uint64_t counts[_METER_COUNT_N];
        uint64_t events[METER_KINDS]; /* by the row in event_kinds */
        struct reason_counts refused; /* answers to claims and resizes */
        struct reason_counts released;
};

/* Begins to count. Negative: out of memory. */
_must_check_ int meter_init(struct broker *broker);
void meter_free(struct broker *broker);

const struct meter_figures *meter_figures(const struct broker *broker);

void meter_count(struct broker *broker, enum meter_count count);
/* A claim or a resize got a no. */
void meter_refused(struct broker *broker, const char *reason);
/* One event of the loop was seen to. */
void meter_turn(struct broker *broker, uint64_t took_ns);

void histogram_note(struct histogram *histogram, uint64_t ns);
void reason_note(struct reason_counts *counts, const char *reason);

#endif
