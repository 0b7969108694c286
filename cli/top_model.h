/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_TOP_MODEL_H
#define PROVIUM_CLI_TOP_MODEL_H

/*
 * What `provium top` knows of the host: the broker's answers as numbers, and rates from what two of
 * them count. Pure: no terminal, no clock, no socket.
 *
 * Whatever is not known is TOP_UNKNOWN, never 0: a member that is absent, a rate of which there is
 * one sample only, or whose counter went back.
 */
#include <jansson.h>

#include <base/demand.h>
#include <base/text.h>

#define TOP_UNKNOWN UINT64_MAX
#define TOP_EVENTS 200 /* kept, the last ones */
#define TOP_ID_MAX TEXT_NAME_MAX

/* Of the host. Amounts in the units of enum resource. */
struct top_resource {
        bool there; /* the broker speaks of it */
        bool enforced;
        uint64_t capacity, limit, sold, guaranteed, used;
        double ratio;
};

enum top_pressure { TOP_PRESSURE_CPU, TOP_PRESSURE_MEMORY, TOP_PRESSURE_IO, _TOP_PRESSURE_N };

/* Share of the last ten seconds in percent; below 0: not known. */
struct top_psi {
        double some, full;
};

struct top_claim {
        uint64_t cpu_milli, memory_bytes, disk_io, network; /* bytes per second */
};

struct top_vm {
        const char *id, *name, *slice, *state, *detail, *command; /* never NULL */
        uint64_t uid, pid, created_ns;
        struct top_claim claim;
        /* Used: now, or from the sample before to this one. */
        uint64_t cpu_milli, memory_bytes, read_bytes_per_s, write_bytes_per_s;
        uint64_t down_bytes_per_s, up_bytes_per_s; /* the VM's download and upload */
        uint64_t held_permille; /* of the periods in which it ran, those in which it ran out of CPU
                                 */
};

struct top_waiting {
        const char *name, *slice, *reason, *detail; /* never NULL; name: or the ticket's id */
        uint64_t uid, position, since_ns;
        struct top_claim claim;
};

struct top_event {
        uint64_t ts_ns, uid; /* uid: TOP_UNKNOWN if it is nobody's */
        char kind[32], slice[TEXT_NAME_MAX + 1], name[TEXT_NAME_MAX + 1];
        char text[240]; /* the rest, fit for a terminal */
};

/* What a VM's counters were at a time of one clock. */
struct top_sample {
        char id[TOP_ID_MAX + 1];
        uint64_t at_usec;
        uint64_t cpu_usec, periods, held_periods, read_bytes, written_bytes, down_bytes, up_bytes;
};

struct top_samples {
        struct top_sample *list; /* sorted by id once it is complete */
        size_t n, size;
};

struct top_model {
        struct top_resource resources[_RESOURCE_N];
        struct top_psi pressure[_TOP_PRESSURE_N];
        char gate[32]; /* "open", "paused", "one_by_one", or "" */
        bool draining;
        uint64_t n_host_vms, vms_max, n_host_waiting; /* also those that are not shown to us */

        struct top_vm *vms;
        size_t n_vms;
        struct top_waiting *waiting;
        size_t n_waiting;
        json_t *parts; /* owns the texts of both */
        json_t *next;  /* the list that is coming in */

        struct top_samples before, now;

        uint64_t next_event; /* the number of the first one that has not been seen */
        struct top_event events[TOP_EVENTS]; /* a ring; events_end is behind the last */
        size_t n_events, events_end;
};

#define TOP_MODEL_NULL                                                                             \
        {}

/* Nothing is known. */
void top_model_init(struct top_model *model);
/* Idempotent. */
void top_model_deinit(struct top_model *model);

/*
 * One round: the parts of List in order, between begin and end; each VM's counters; at last
 * Resources. The model changes with _end_list(), _end_usage() and _take_resources() only, so it can
 * be drawn at any time. Negative: out of memory.
 */
_must_check_ int top_model_begin_list(struct top_model *model);
_must_check_ int top_model_add_list(struct top_model *model, json_t *parameters);
_must_check_ int top_model_end_list(struct top_model *model);

void top_model_begin_usage(struct top_model *model);
/* @sample is copied; memory_bytes is what is used now. */
_must_check_ int top_model_add_sample(struct top_model *model, const struct top_sample *sample,
                                      uint64_t memory_bytes);
void top_model_end_usage(struct top_model *model);

/* The time between the two samples that rates are of; TOP_UNKNOWN: there are no two. */
uint64_t top_model_apart_usec(const struct top_model *model);

void top_model_take_resources(struct top_model *model, const json_t *parameters);

/* Keeps an event of Events; "pool_state" and the gap before the first one are none for people. */
void top_model_add_event(struct top_model *model, const json_t *event);
/* The @i-th last event, 0 being the last; NULL: there are not so many. */
const struct top_event *top_model_event(const struct top_model *model, size_t i);

struct top_vm *top_model_find(const struct top_model *model, const char *id);

/* Sum of what is known; TOP_UNKNOWN if neither is. */
uint64_t top_sum(uint64_t a, uint64_t b);
/* @used in thousandths of @whole; TOP_UNKNOWN if one is, or the whole is 0. */
uint64_t top_share(uint64_t used, uint64_t whole);

#endif
