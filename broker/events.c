/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <broker/events.h>

void events_init(struct events *events, uint64_t first) {
        memset(events, 0, sizeof(*events));
        events->next = first;
}

void events_deinit(struct events *events) {
        for (size_t i = 0; i < EVENTS_RING; i++)
                free(events->ring[i].text);
        memset(events, 0, sizeof(*events));
}

void events_add(struct events *events, const char *kind, uid_t uid, bool anyone,
                uint64_t realtime_ns, json_t *fields) {
        struct event_entry *entry = &events->ring[events->next % EVENTS_RING];
        json_t *object;

        free(entry->text);
        *entry = (struct event_entry){.seq = events->next, .uid = uid, .anyone = anyone};
        object = json_pack("{s:I s:I s:s}", "seq", (json_int_t)events->next, "ts_ns",
                           (json_int_t)realtime_ns, "kind", kind);
        if (object && fields && json_object_update(object, fields) == 0)
                entry->text = json_dumps(object, JSON_COMPACT);
        json_decref(object);
        json_decref(fields);
        events->next++;
}

void events_restore(struct events *events, uint64_t seq, uid_t uid, bool anyone, const char *text) {
        struct event_entry *entry = &events->ring[seq % EVENTS_RING];

        free(entry->text);
        *entry = (struct event_entry){
                .seq = seq, .uid = uid, .anyone = anyone, .text = strdup(text)};
}

uint64_t events_first(const struct events *events) {
        uint64_t first = events->next > EVENTS_RING ? events->next - EVENTS_RING : 0;

        while (first < events->next && (events->ring[first % EVENTS_RING].seq != first ||
                                        !events->ring[first % EVENTS_RING].text))
                first++;
        return first;
}

const struct event_entry *events_find(const struct events *events, uint64_t seq) {
        const struct event_entry *entry = &events->ring[seq % EVENTS_RING];

        return seq < events->next && entry->seq == seq && entry->text ? entry : NULL;
}
