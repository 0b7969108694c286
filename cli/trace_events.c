/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <uthash.h>

#include <base/demand.h>
#include <base/text.h>
#include <base/why.h>
#include <cli/human.h>
#include <cli/trace.h>
#include <cli/trace_events.h>

#define ID_MAX 64

/* A claim that is held, or waits. */
struct held {
        char id[ID_MAX];
        bool admitted; /* else it waits */
        size_t row;
        uint64_t since_usec;
        UT_hash_handle hh;
};

/* A member that is a number from 0 to @max. */
static int number(const json_t *object, const char *key, uint64_t max, uint64_t *valuep,
                  struct why *why) {
        if (!human_number(object, key, valuep) || *valuep > max)
                return why_set(why, TRACE_E_INVALID,
                               "'%s' is missing, or no number as a broker writes it", key);
        return 0;
}

static int optional(const json_t *object, const char *key, uint64_t *valuep, struct why *why) {
        return json_object_get(object, key) ? number(object, key, INT64_MAX / 2, valuep, why) : 0;
}

static int read_charge(const json_t *charge, struct row *row, struct why *why) {
        int r;

        r = number(charge, "cpu", INT64_MAX / 2, &row->cpu_milli, why);
        if (!r)
                r = number(charge, "memory", INT64_MAX / 2, &row->memory_bytes, why);
        if (!r)
                r = optional(charge, "disk", &row->disk_bytes, why);
        if (!r)
                r = optional(charge, "disk_io", &row->disk_io_bytes_per_s, why);
        if (!r)
                r = optional(charge, "network", &row->download_bytes_per_s, why);
        if (!r)
                r = optional(charge, "network_upload", &row->upload_bytes_per_s, why);
        if (!r)
                r = optional(charge, "gpu", &row->gpus, why);
        return r;
}

static int read_whose(struct trace *trace, const json_t *event, struct row *row, struct why *why) {
        const char *slice = human_string(event, "slice");
        uint64_t uid = 0;
        char user[32];
        int r;

        r = *slice ? text_check_slice("name of a slice", slice, why) : 0;
        if (!r)
                r = names_find(&trace->slices, slice, "slices", TRACE_SLICES_MAX, &row->slice, why);
        if (!r)
                r = optional(event, "uid", &uid, why);
        if (r)
                return r;
        snprintf(user, sizeof(user), "%llu", (unsigned long long)uid);
        return names_find(&trace->users, user, "users", TRACE_USERS_MAX, &row->user, why);
}

static int hold(struct trace_events *events, const char *id, struct held **heldp) {
        struct held *held = calloc(1, sizeof(*held));

        if (!held)
                return fault(-ENOMEM);
        strcpy(held->id, id);
        HASH_ADD_STR(events->by_id, id, held);
        *heldp = held;
        return 0;
}

static int acquired(struct trace_events *events, struct trace *trace, const json_t *event,
                    const char *id, uint64_t now_usec, uint32_t line, struct held *held,
                    struct why *why) {
        const json_t *priority = json_object_get(event, "priority");
        uint64_t waited_usec;
        struct row *row;
        int r;

        if (held && held->admitted)
                return why_set(why, TRACE_E_INVALID, "this id was acquired before");
        r = number(event, "admission_us", now_usec, &waited_usec, why);
        if (!r)
                r = trace_add(trace, &row, why);
        if (!r)
                r = read_charge(json_object_get(event, "charge"), row, why);
        if (!r)
                r = read_whose(trace, event, row, why);
        if (!r && !held)
                r = hold(events, id, &held);
        if (r)
                return r;
        if (json_is_integer(priority) && llabs(json_integer_value(priority)) <= TRACE_PRIORITY_MAX)
                row->priority = (int32_t)json_integer_value(priority);
        row->line = line;
        row->arrival_usec = now_usec - waited_usec;
        held->admitted = true;
        held->since_usec = now_usec;
        held->row = trace->n - 1;
        return 0;
}

static void drop(struct trace_events *events, struct held *held) {
        HASH_DEL(events->by_id, held);
        free(held);
}

static void released(struct trace_events *events, struct trace *trace, struct held *held,
                     uint64_t now_usec) {
        if (!held) {
                trace->n_unknown++;
                return;
        }
        /* The clock of the events may have been set back. */
        if (held->admitted && now_usec > held->since_usec)
                trace->rows[held->row].duration_usec = now_usec - held->since_usec;
        trace->n_unserved += !held->admitted;
        drop(events, held);
}

int trace_events_take(struct trace_events *events, struct trace *trace, const json_t *event,
                      uint32_t line, struct why *why) {
        const char *kind = human_string(event, "kind"), *id = human_string(event, "id");
        struct held *held = NULL;
        uint64_t ts_ns, from, to, now_usec;
        int r;

        trace->charged = true;
        if (strcmp(kind, "gap") == 0) {
                /* Of the numbers around a restart most were never used. */
                if (json_is_true(json_object_get(event, "restarted")))
                        trace->n_restarts++;
                else if (human_number(event, "from", &from) && human_number(event, "to", &to) &&
                         to >= from && to - from < UINT32_MAX)
                        trace->n_lost += to - from + 1;
                return 0;
        }
        if (strncmp(kind, "claim_", strlen("claim_")) != 0)
                return *kind ? 0
                             : why_set(why, TRACE_E_INVALID,
                                       "'kind' is missing; this is no event of a broker");
        r = number(event, "ts_ns", TRACE_TIME_MAX_USEC * 1000, &ts_ns, why);
        if (r)
                return r;
        if (!*id || strlen(id) >= ID_MAX)
                return why_set(why, TRACE_E_INVALID, "'id' is missing, or too long");
        now_usec = ts_ns / 1000;
        events->latest_usec = max_u64(events->latest_usec, now_usec);
        HASH_FIND_STR(events->by_id, id, held);
        if (strcmp(kind, "claim_acquired") == 0)
                return acquired(events, trace, event, id, now_usec, line, held, why);
        if (strcmp(kind, "claim_queued") == 0 && !held)
                return hold(events, id, &held);
        if (strcmp(kind, "claim_released") == 0)
                released(events, trace, held, now_usec);
        return 0;
}

int trace_events_line(struct trace_events *events, struct trace *trace, const char *text, bool cut,
                      uint32_t line, struct why *why) {
        json_error_t error;
        json_t *event = json_loads(text, 0, &error);
        int r;

        if (!event && cut && *text == '{') {
                trace->n_cut = strlen(text);
                return 0;
        }
        if (!event || !json_is_object(event)) {
                json_decref(event);
                return why_set(why, TRACE_E_INVALID,
                               "this is no JSON object; give one event a line, as 'provium events "
                               "--json' prints them");
        }
        r = trace_events_take(events, trace, event, line, why);
        json_decref(event);
        return r;
}

int trace_events_end(struct trace_events *events, struct trace *trace, struct why *why) {
        const struct held *held;

        for (held = events->by_id; held; held = held->hh.next) {
                struct row *row = held->admitted ? &trace->rows[held->row] : NULL;

                trace->n_open += held->admitted;
                trace->n_unserved += !held->admitted;
                if (row && events->latest_usec > held->since_usec)
                        row->duration_usec = events->latest_usec - held->since_usec;
        }
        if (trace->n == 0)
                return why_set(why, TRACE_E_INVALID, "there is no claim_acquired in these events");
        return 0;
}

void trace_events_deinit(struct trace_events *events) {
        struct held *held, *next;

        HASH_ITER(hh, events->by_id, held, next) {
                drop(events, held);
        }
}
