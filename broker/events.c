/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <broker/events.h>

int events_init(struct events *events, uint64_t first) {
        events->ring = calloc(EVENTS_RING, sizeof(*events->ring));
        if (!events->ring)
                return fault(-ENOMEM);
        events->next = first;
        return 0;
}

static void clear(struct event_entry *entry) {
        for (size_t i = 0; i < EVENT_FIELDS_MAX; i++)
                if (entry->fields[i].type == EVENT_TEXT)
                        free(entry->fields[i].copy);
                else if (entry->fields[i].type == EVENT_DEMAND)
                        free(entry->fields[i].demand);
        free(entry->text);
        *entry = (struct event_entry){};
}

void events_deinit(struct events *events) {
        for (size_t i = 0; events->ring && i < EVENTS_RING; i++)
                clear(&events->ring[i]);
        free(take(events->ring));
}

static bool copy_field(struct event_field *to, const struct event_field *from) {
        *to = *from;
        switch (from->type) {
        case EVENT_TEXT:
                to->copy = strdup(from->text);
                return to->copy != NULL;
        case EVENT_DEMAND:
                to->demand = malloc(sizeof(*to->demand));
                if (to->demand)
                        *to->demand = *from->charge;
                return to->demand != NULL;
        case EVENT_END:
        case EVENT_NUMBER:
        case EVENT_BOOL:
                break;
        }
        return true;
}

void events_add(struct events *events, const char *kind, const struct event_subject *subject,
                uint64_t ts_ns, const struct event_field *fields, size_t n) {
        struct event_entry *entry = &events->ring[events->next % EVENTS_RING];
        bool kept = true;

        assert(n <= EVENT_FIELDS_MAX);
        clear(entry);
        entry->seq = events->next++;
        entry->ts_ns = ts_ns;
        entry->kind = kind;
        entry->anyone = !subject;
        if (subject) {
                entry->uid = subject->uid;
                snprintf(entry->id, sizeof(entry->id), "%s", subject->id);
                snprintf(entry->name, sizeof(entry->name), "%s", subject->name);
                snprintf(entry->slice, sizeof(entry->slice), "%s", subject->slice);
        }
        for (size_t i = 0; kept && i < n; i++)
                kept = copy_field(&entry->fields[i], &fields[i]);
        if (!kept)
                clear(entry);
}

void events_restore(struct events *events, uint64_t seq, uid_t uid, bool anyone, const char *text) {
        struct event_entry *entry = &events->ring[seq % EVENTS_RING];
        char *copy = strdup(text);

        if (!copy)
                return;
        clear(entry);
        *entry = (struct event_entry){.seq = seq, .uid = uid, .anyone = anyone, .text = copy};
}

static bool filled(const struct event_entry *entry, uint64_t seq) {
        return entry->seq == seq && (entry->kind || entry->text);
}

uint64_t events_first(const struct events *events) {
        uint64_t first = events->next > EVENTS_RING ? events->next - EVENTS_RING : 0;

        while (first < events->next && !filled(&events->ring[first % EVENTS_RING], first))
                first++;
        return first;
}

const struct event_entry *events_find(const struct events *events, uint64_t seq) {
        const struct event_entry *entry = &events->ring[seq % EVENTS_RING];

        return seq < events->next && filled(entry, seq) ? entry : NULL;
}

static json_t *format_demand(const struct demand *demand) {
        json_t *object = json_object();

        for (unsigned i = 0; object && i < _RESOURCE_N; i++)
                /* As report_demand() has it. */
                if (i != RESOURCE_NETWORK_UPLOAD || demand->amount[i] > 0)
                        json_object_set_new(object, resource_name(i),
                                            json_integer((json_int_t)demand->amount[i]));
        return object;
}

static json_t *format_field(const struct event_field *field) {
        switch (field->type) {
        case EVENT_NUMBER:
                return json_integer(field->number);
        case EVENT_BOOL:
                return json_boolean(field->number);
        case EVENT_TEXT:
                return json_string(field->copy);
        case EVENT_DEMAND:
                return format_demand(field->demand);
        case EVENT_END:
                break;
        }
        return NULL;
}

json_t *event_format(const struct event_entry *entry) {
        json_t *object;
        int r = 0;

        if (entry->text)
                return json_loads(entry->text, 0, NULL);
        object = json_pack("{s:I s:I s:s}", "seq", (json_int_t)entry->seq, "ts_ns",
                           (json_int_t)entry->ts_ns, "kind", entry->kind);
        if (object && !entry->anyone)
                r = json_object_set_new(object, "id", json_string(entry->id)) |
                    json_object_set_new(object, "name", json_string(entry->name)) |
                    json_object_set_new(object, "slice", json_string(entry->slice)) |
                    json_object_set_new(object, "uid", json_integer((json_int_t)entry->uid));
        for (size_t i = 0; object && i < EVENT_FIELDS_MAX && entry->fields[i].type != EVENT_END;
             i++)
                r |= json_object_set_new(object, entry->fields[i].key,
                                         format_field(&entry->fields[i]));
        if (r) {
                json_decref(object);
                return NULL;
        }
        return object;
}
