/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <admission/ledger.h>
#include <broker/broker.h>
#include <broker/http.h>
#include <broker/metrics.h>
#include <broker/report.h>
#include <broker/slice.h>

/* ---- what there is and what is sold ---- */

#define AMOUNTS(resource, unit, what)                                                              \
        {                                                                                          \
                {"provium_" resource "_capacity_" unit, METRICS_GAUGE, "",                         \
                 "What the host has of " what "."},                                                \
                        {"provium_" resource "_effective_limit_" unit, METRICS_GAUGE, "",          \
                         "How much of " what " may be sold: (capacity - reserve) x ratio."},       \
                        {"provium_" resource "_allocated_" unit, METRICS_GAUGE, "",                \
                         "How much of " what " is sold to VMs."},                                  \
                        {"provium_" resource "_available_" unit, METRICS_GAUGE, "",                \
                         "How much of " what " may still be sold."},                               \
                        {"provium_" resource "_guaranteed_" unit, METRICS_GAUGE, "",               \
                         "How much of " what " VMs have even when all want theirs."},              \
        }

static const struct metrics_family host[_RESOURCE_N][_METRICS_AMOUNT_N] = {
        [RESOURCE_CPU] = AMOUNTS("cpu", "cores", "CPUs"),
        [RESOURCE_MEMORY] = AMOUNTS("memory", "bytes", "memory"),
        [RESOURCE_DISK] = AMOUNTS("disk", "bytes", "disk space"),
        [RESOURCE_DISK_IO] =
                AMOUNTS("disk_io", "bytes_per_second", "disk I/O, each disk by itself"),
        [RESOURCE_NETWORK] = AMOUNTS("network", "bytes_per_second", "the network"),
        [RESOURCE_NETWORK_UPLOAD] =
                AMOUNTS("network_upload", "bytes_per_second", "uploads on a full-duplex link"),
        [RESOURCE_GPU] = AMOUNTS("gpu", "slots", "GPU slots"),
};

enum slice_amount { SLICE_ALLOCATED, SLICE_LIMIT, _SLICE_AMOUNT_N };

#define SLICE_AMOUNTS(resource, unit, what)                                                        \
        {                                                                                          \
                {"provium_slice_" resource "_allocated_" unit, METRICS_GAUGE, "slice",             \
                 "How much of " what " is sold to VMs in the slice and in those within it."},      \
                        {"provium_slice_" resource "_limit_" unit, METRICS_GAUGE, "slice",         \
                         "How much of " what " may be sold in the slice, if it has a limit."},     \
        }

static const struct metrics_family of_slices[_RESOURCE_N][_SLICE_AMOUNT_N] = {
        [RESOURCE_CPU] = SLICE_AMOUNTS("cpu", "cores", "CPUs"),
        [RESOURCE_MEMORY] = SLICE_AMOUNTS("memory", "bytes", "memory"),
        [RESOURCE_DISK] = SLICE_AMOUNTS("disk", "bytes", "disk space"),
        [RESOURCE_DISK_IO] = SLICE_AMOUNTS("disk_io", "bytes_per_second", "disk I/O"),
        [RESOURCE_NETWORK] = SLICE_AMOUNTS("network", "bytes_per_second", "the network"),
        [RESOURCE_NETWORK_UPLOAD] = SLICE_AMOUNTS("network_upload", "bytes_per_second",
                                                  "uploads on a full-duplex link"),
        [RESOURCE_GPU] = SLICE_AMOUNTS("gpu", "slots", "GPU slots"),
};

static const struct metrics_family
        ratio = {"provium_oversubscription_ratio", METRICS_GAUGE, "resource",
                 "How often the resource is sold."},
        enforced = {"provium_resource_enforced", METRICS_GAUGE, "resource",
                    "1 if claims are held against the resource, 0 if it is only counted."},
        slice_vms = {"provium_slice_vms", METRICS_GAUGE, "slice",
                     "VMs in the slice and in those within it."},
        slice_waiting = {"provium_slice_claims_waiting", METRICS_GAUGE, "slice",
                         "Claims that wait in the slice itself."};

/* CPUs are kept in thousandths. */
static uint64_t divisor_of(unsigned resource) {
        return resource == RESOURCE_CPU ? 1000 : 1;
}

static void render_host(struct metrics *metrics) {
        struct metrics_text *text = &metrics->text;
        char labels[METRICS_LABELS_MAX];

        for (unsigned i = 0; i < _RESOURCE_N; i++)
                for (unsigned j = 0; metrics->shown[i] && j < _METRICS_AMOUNT_N; j++) {
                        metrics_begin(text, &host[i][j]);
                        metrics_sample(text, &host[i][j], NULL, metrics->amounts[i][j],
                                       divisor_of(i));
                }
        metrics_begin(text, &ratio);
        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                labels[0] = '\0';
                metrics_label(labels, sizeof(labels), "resource", resource_name(i));
                if (metrics->shown[i])
                        metrics_sample(text, &ratio, labels, metrics->ratio_milli[i], 1000);
        }
        metrics_begin(text, &enforced);
        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                labels[0] = '\0';
                metrics_label(labels, sizeof(labels), "resource", resource_name(i));
                if (metrics->shown[i])
                        metrics_sample(text, &enforced, labels, metrics->enforced[i], 1);
        }
}

static void slice_label(const struct metrics *metrics, size_t i, char labels[METRICS_LABELS_MAX]) {
        labels[0] = '\0';
        metrics_label(labels, METRICS_LABELS_MAX, "slice", metrics->survey->slices[i].name);
}

static void render_slices(struct metrics *metrics) {
        struct metrics_text *text = &metrics->text;
        char labels[METRICS_LABELS_MAX];

        for (unsigned i = 0; i < _RESOURCE_N; i++)
                for (unsigned j = 0; metrics->shown[i] && j < _SLICE_AMOUNT_N; j++) {
                        const struct metrics_family *family = &of_slices[i][j];

                        metrics_begin(text, family);
                        for (size_t k = 0; k < metrics->n_slices; k++) {
                                const struct metrics_slice *slice = &metrics->slices[k];
                                uint64_t value =
                                        j == SLICE_LIMIT ? slice->limit[i] : slice->allocated[i];

                                if (j == SLICE_LIMIT && value == LEDGER_NO_LIMIT)
                                        continue;
                                slice_label(metrics, k, labels);
                                metrics_sample(text, family, labels, value, divisor_of(i));
                        }
                }
        metrics_begin(text, &slice_vms);
        for (size_t i = 0; i < metrics->n_slices; i++) {
                slice_label(metrics, i, labels);
                metrics_sample(text, &slice_vms, labels, metrics->slices[i].vms, 1);
        }
        metrics_begin(text, &slice_waiting);
        for (size_t i = 0; i < metrics->n_slices; i++) {
                slice_label(metrics, i, labels);
                metrics_sample(text, &slice_waiting, labels, metrics->slices[i].waiting, 1);
        }
}

void metrics_render(void *userdata) {
        struct metrics *metrics = userdata;

        render_host(metrics);
        render_slices(metrics);
        metrics_render_self(metrics);
        metrics_render_usage(metrics);
}

void metrics_each_family(void (*fn)(void *userdata, const struct metrics_family *family),
                         void *userdata) {
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                for (unsigned j = 0; j < _METRICS_AMOUNT_N; j++)
                        fn(userdata, &host[i][j]);
        fn(userdata, &ratio);
        fn(userdata, &enforced);
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                for (unsigned j = 0; j < _SLICE_AMOUNT_N; j++)
                        fn(userdata, &of_slices[i][j]);
        fn(userdata, &slice_vms);
        fn(userdata, &slice_waiting);
        metrics_each_self_family(fn, userdata);
        metrics_each_usage_family(fn, userdata);
}

/* ---- on the loop ---- */

static void copy_resources(const struct broker *broker, struct metrics *metrics) {
        const struct ledger *ledger = &broker->ledger;

        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                uint64_t *amounts = metrics->amounts[i];

                metrics->shown[i] = report_counts(broker, i);
                metrics->enforced[i] = ledger->enforced[i];
                metrics->ratio_milli[i] = ledger->ratio_milli.amount[i];
                amounts[METRICS_CAPACITY] = ledger->capacity.amount[i];
                amounts[METRICS_EFFECTIVE_LIMIT] = ledger->effective.amount[i];
                amounts[METRICS_ALLOCATED] = ledger_allocated(ledger, i);
                amounts[METRICS_AVAILABLE] = ledger_host_available(ledger, i);
                amounts[METRICS_GUARANTEED] =
                        ledger_guarantee(ledger, i, amounts[METRICS_ALLOCATED]);
        }
}

/* Those that the survey has, which may be a second old. */
static void copy_slices(struct broker *broker, struct metrics *metrics) {
        for (size_t i = 0; i < metrics->n_slices; i++) {
                const struct slice *slice = slice_find(broker, metrics->survey->slices[i].name);
                struct metrics_slice *copy = &metrics->slices[i];

                memset(copy->limit, 0xff, sizeof(copy->limit)); /* LEDGER_NO_LIMIT */
                if (!slice)
                        continue;
                memcpy(copy->allocated, slice->account.allocated.amount, sizeof(copy->allocated));
                memcpy(copy->limit, slice->account.limit.amount, sizeof(copy->limit));
                copy->vms = slice->account.vms;
                copy->waiting = slice->n_waiting;
        }
}

/* As many as there are connections, at most. */
static void copy_queue(const struct broker *broker, struct metrics *metrics) {
        uint64_t now = broker_now_usec();
        struct claim *claim;

        TAILQ_FOREACH(claim, &broker->queue.claims, all) {
                const struct lease *lease = claim_lease(claim);
                uint64_t waited = now - min_u64(lease->arrived_usec, now);

                metrics->waiting[lease->told_reason]++;
                metrics->oldest_usec[lease->told_reason] =
                        max_u64(metrics->oldest_usec[lease->told_reason], waited);
        }
}

struct metrics *metrics_new(struct broker *broker, struct survey *survey, uid_t uid) {
        struct metrics *metrics = calloc(1, sizeof(*metrics));

        if (!metrics)
                return NULL;
        metrics->survey = survey_ref(survey);
        metrics->uid = uid;
        metrics->n_slices = survey->n_slices;
        metrics->slices = calloc(survey->n_slices + 1, sizeof(*metrics->slices));
        if (!metrics->slices) {
                metrics_free(metrics);
                return NULL;
        }
        snprintf(metrics->proc_dir, sizeof(metrics->proc_dir), "%s", broker->options->proc_dir);
        copy_resources(broker, metrics);
        copy_slices(broker, metrics);
        copy_queue(broker, metrics);
        metrics->varlink_connections = broker->control->n_connections;
        metrics->http_connections = http_connections(broker);
        metrics->started_ns = broker_realtime_ns() - (broker_now_ns() - broker->started_ns);
        metrics->draining = broker->gates.draining;
        metrics->paused = broker->gates.state != PRESSURE_OPEN;
        metrics->meter = *meter_figures(broker);
        return metrics;
}

void metrics_free(struct metrics *metrics) {
        if (!metrics)
                return;
        survey_unref(metrics->survey);
        metrics_text_deinit(&metrics->text);
        free(metrics->slices);
        free(metrics);
}
