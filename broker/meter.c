/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <broker/broker.h>
#include <broker/events.h>
#include <broker/meter.h>

struct meter {
        struct events_watcher watcher;
        struct meter_figures figures;
};

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define S UINT64_C(1000000000)

const uint64_t meter_bounds_ns[METER_BOUNDS] = {
        10 * US,   25 * US, 50 * US, 100 * US, 250 * US, 500 * US, 1 * MS,   2500 * US,
        5 * MS,    10 * MS, 25 * MS, 50 * MS,  100 * MS, 250 * MS, 500 * MS, 1 * S,
        2500 * MS, 5 * S,   10 * S,  30 * S,   60 * S,   300 * S,
};

void histogram_note(struct histogram *histogram, uint64_t ns) {
        unsigned i = 0;

        while (i < METER_BOUNDS && ns > meter_bounds_ns[i])
                i++;
        histogram->buckets[i]++;
        histogram->sum_ns += ns;
        histogram->n++;
}

void reason_note(struct reason_counts *counts, const char *reason) {
        size_t length = strlen(reason);

        for (size_t i = 0; i < counts->n; i++)
                if (strcmp(counts->list[i].reason, reason) == 0) {
                        counts->list[i].n++;
                        return;
                }
        if (counts->n == METER_REASONS || length > METER_REASON_MAX) {
                counts->n_other++;
                return;
        }
        memcpy(counts->list[counts->n].reason, reason, length + 1);
        counts->list[counts->n++].n = 1;
}

/* ---- from the events ---- */

static const struct event_field *field_of(const struct event_entry *entry, const char *key) {
        for (unsigned i = 0; i < EVENT_FIELDS_MAX && entry->fields[i].type != EVENT_END; i++)
                if (strcmp(entry->fields[i].key, key) == 0)
                        return &entry->fields[i];
        return NULL;
}

static void note_usec(struct histogram *histogram, const struct event_entry *entry,
                      const char *key) {
        const struct event_field *field = field_of(entry, key);

        if (field && field->type == EVENT_NUMBER && field->number >= 0)
                histogram_note(histogram, (uint64_t)field->number * US);
}

/* Of a claim that waited and never ran there is no charge in the event: what it was told is a
 * refusal. */
static void note_released(struct meter_figures *figures, const struct event_entry *entry) {
        const struct event_field *reason = field_of(entry, "reason");

        if (reason && reason->type == EVENT_TEXT && field_of(entry, "charge"))
                reason_note(&figures->released, reason->copy[0] ? reason->copy : "other");
}

static void note_drift(struct meter_figures *figures, const struct event_entry *entry) {
        const struct event_field *repaired = field_of(entry, "repaired");

        figures->counts[METER_DRIFT_FOUND]++;
        if (repaired && repaired->number)
                figures->counts[METER_DRIFT_REPAIRED]++;
}

static void note_oom(struct meter_figures *figures, const struct event_entry *entry) {
        const struct event_field *kills = field_of(entry, "kills");

        if (kills && kills->number > 0)
                figures->counts[METER_OOM_KILLS] += (uint64_t)kills->number;
}

static void on_event(struct events_watcher *watcher, const struct event_entry *entry) {
        struct meter *meter = container_of(watcher, struct meter, watcher);
        struct meter_figures *figures = &meter->figures;
        const char *kind;

        if (!entry->kind)
                return;
        figures->events[min_u64((uint64_t)(entry->kind - event_kinds), METER_KINDS - 1)]++;
        kind = entry->kind->name;
        if (strcmp(kind, "claim_acquired") == 0) {
                figures->counts[METER_CLAIMS_GRANTED]++;
                note_usec(&figures->admission, entry, "admission_us");
        } else if (strcmp(kind, "vm_spawned") == 0) {
                note_usec(&figures->setup, entry, "setup_us");
                note_usec(&figures->exec, entry, "exec_us");
        } else if (strcmp(kind, "claim_released") == 0) {
                note_released(figures, entry);
        } else if (strcmp(kind, "vm_oom") == 0) {
                note_oom(figures, entry);
        } else if (strcmp(kind, "drift") == 0) {
                note_drift(figures, entry);
        }
}

/* ---- what is no event ---- */

int meter_init(struct broker *broker) {
        struct meter *meter = calloc(1, sizeof(*meter));

        if (!meter)
                return fault(-ENOMEM);
        meter->watcher.added = on_event;
        events_watch(&broker->events, &meter->watcher);
        broker->meter = meter;
        return 0;
}

void meter_free(struct broker *broker) {
        if (!broker->meter)
                return;
        events_unwatch(&broker->events, &broker->meter->watcher);
        free(take(broker->meter));
}

const struct meter_figures *meter_figures(const struct broker *broker) {
        return &broker->meter->figures;
}

void meter_count(struct broker *broker, enum meter_count count) {
        broker->meter->figures.counts[count]++;
}

void meter_refused(struct broker *broker, const char *reason) {
        reason_note(&broker->meter->figures.refused, reason);
}

void meter_turn(struct broker *broker, uint64_t took_ns) {
        struct meter_figures *figures = &broker->meter->figures;

        histogram_note(&figures->turn, took_ns);
        figures->longest_turn_ns = max_u64(figures->longest_turn_ns, took_ns);
}
