/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_METRICS_H
#define PROVIUM_BROKER_METRICS_H

/*
 * Everything that /metrics says, as Prometheus' text.
 *
 * What only the loop knows is copied on the loop, in some microseconds for each slice; the text, of
 * a thousand VMs some megabytes, is written by a thread that has the copy and the survey, which
 * nobody changes any more.
 *
 * Series are bounded: of VMs there are at most METRICS_VMS_MAX with series of their own, and of
 * each at most METRICS_DISKS_MAX devices; names of labels and, but for VMs, slices and devices,
 * their values are fixed. docs/metrics.md has the table, and a test holds it against this.
 */

#include <sys/types.h>

#include <broker/meter.h>
#include <broker/metrics_text.h>
#include <broker/survey.h>

#define METRICS_VMS_MAX 4096
#define METRICS_DISKS_MAX 8
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum metrics_amount {
        METRICS_CAPACITY,
        METRICS_EFFECTIVE_LIMIT,
        METRICS_ALLOCATED,
        METRICS_AVAILABLE,
        METRICS_GUARANTEED,
        _METRICS_AMOUNT_N,
};

struct metrics_slice {
        uint64_t allocated[_RESOURCE_N], limit[_RESOURCE_N]; /* LEDGER_NO_LIMIT */
        uint64_t vms, waiting;
};

/* What was copied on the loop. */
struct metrics {
        struct survey *survey; /* a reference */
        uid_t uid;             /* who sees it: root sees all VMs, others their own */
        char proc_dir[128];

        bool shown[_RESOURCE_N], enforced[_RESOURCE_N];
        uint64_t amounts[_RESOURCE_N][_METRICS_AMOUNT_N];
        uint64_t ratio_milli[_RESOURCE_N];
        struct metrics_slice *slices; /* as those of the survey; owned */
        size_t n_slices;

        uint64_t waiting[_WAIT_REASON_N], oldest_usec[_WAIT_REASON_N];
        uint64_t varlink_connections, http_connections;
        uint64_t started_ns; /* of the epoch */
        bool draining, paused;
        struct meter_figures meter;

        struct metrics_text text; /* the result */
};

/* On the loop: copies what is known now beside @survey. NULL: out of memory. */
struct metrics *metrics_new(struct broker *broker, struct survey *survey, uid_t uid);
/* On the loop. */
void metrics_free(struct metrics *metrics);

/* Writes the text; in whatever thread. */
void metrics_render(void *metrics);

/* The parts of it. */
void metrics_render_usage(struct metrics *metrics);
void metrics_render_self(struct metrics *metrics);

/* Calls @fn with every family that there is. */
void metrics_each_family(void (*fn)(void *userdata, const struct metrics_family *family),
                         void *userdata);
void metrics_each_usage_family(void (*fn)(void *userdata, const struct metrics_family *family),
                               void *userdata);
void metrics_each_self_family(void (*fn)(void *userdata, const struct metrics_family *family),
                              void *userdata);

#endif
