/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <base/why.h>
#include <broker/events.h>

int events_init(struct events *events, uint64_t first, uint64_t now_ns) {
        events->ring = calloc(EVENTS_RING, sizeof(*events->ring));
        if (!events->ring)
                return fault(-ENOMEM);
        events->begun = events->first = events->next = first;
        events->lost_ns = now_ns;
        events->bytes = 0;
        TAILQ_INIT(&events->watchers);
        return 0;
}

/* What an entry has on the heap. */
static size_t size_of(const struct event_entry *entry) {
        size_t size = entry->text ? strlen(entry->text) + 1 : 0;

        for (size_t i = 0; i < EVENT_FIELDS_MAX; i++)
                if (entry->fields[i].type == EVENT_TEXT)
                        size += entry->fields[i].copy ? strlen(entry->fields[i].copy) + 1 : 0;
                else if (entry->fields[i].type == EVENT_DEMAND)
                        size += sizeof(*entry->fields[i].demand);
        return size;
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

void events_watch(struct events *events, struct events_watcher *watcher) {
        TAILQ_INSERT_TAIL(&events->watchers, watcher, link);
}

void events_unwatch(struct events *events, struct events_watcher *watcher) {
        TAILQ_REMOVE(&events->watchers, watcher, link);
}

static struct event_entry *slot(const struct events *events, uint64_t seq) {
        return &events->ring[seq % EVENTS_RING];
}

static void drop_first(struct events *events) {
        struct event_entry *entry = slot(events, events->first++);

        if (entry->ts_ns)
                events->lost_ns = entry->ts_ns;
        events->bytes -= size_of(entry);
        clear(entry);
}

static void make_room(struct events *events) {
        while (events->next - events->first >= EVENTS_RING)
                drop_first(events);
}

static void count_bytes(struct events *events, const struct event_entry *entry) {
        events->bytes += size_of(entry);
        /* The newest itself is less than that. */
        while (events->bytes > EVENTS_BYTES_MAX)
                drop_first(events);
}

/* Each field has its member, in the table's order, and only optional ones are left out. */
static bool conforms(const struct event_kind *kind, const struct event_field *fields, size_t n) {
        const struct event_member *member = kind->members;

        for (size_t i = 0; i < n && fields[i].type != EVENT_END; i++, member++) {
                while (member->name && member->optional && strcmp(member->name, fields[i].key) != 0)
                        member++;
                if (!member->name || strcmp(member->name, fields[i].key) != 0 ||
                    member->type != fields[i].type)
                        return false;
        }
        while (member->name && member->optional)
                member++;
        return !member->name;
}

static bool copy_field(struct event_field *to, const struct event_field *from) {
        *to = *from;
        switch (from->type) {
        case EVENT_TEXT:
                to->copy = strndup(from->text, EVENT_TEXT_MAX);
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

static bool fill(struct event_entry *entry, const struct event_subject *subject,
                 const struct event_field *fields, size_t n) {
        entry->anyone = !subject;
        if (subject) {
                entry->uid = subject->uid;
                snprintf(entry->id, sizeof(entry->id), "%s", subject->id);
                snprintf(entry->name, sizeof(entry->name), "%s", subject->name);
                snprintf(entry->slice, sizeof(entry->slice), "%s", subject->slice);
        }
        for (size_t i = 0; i < n; i++)
                if (!copy_field(&entry->fields[i], &fields[i]))
                        return false;
        return true;
}

void events_add(struct events *events, const char *kind, const struct event_subject *subject,
                uint64_t ts_ns, const struct event_field *fields, size_t n) {
        struct event_entry *entry;
        struct events_watcher *watcher;

        make_room(events);
        entry = slot(events, events->next);
        *entry = (struct event_entry){
                .seq = events->next++,
                .ts_ns = ts_ns,
                .kind = event_kind_find(kind),
        };
        assert(entry->kind && entry->kind->about_vm == (subject != NULL));
        assert(n <= EVENT_FIELDS_MAX && conforms(entry->kind, fields, n));
        if (!fill(entry, subject, fields, n))
                clear(entry);
        count_bytes(events, entry);
        TAILQ_FOREACH(watcher, &events->watchers, link)
                watcher->added(watcher, entry);
}

void events_resume(struct events *events, uint64_t begun, uint64_t first, uint64_t lost_ns) {
        events->begun = begun;
        events->first = events->next = first;
        events->lost_ns = lost_ns;
}

void events_restore(struct events *events, uint64_t seq, uid_t uid, bool anyone, const char *text) {
        json_t *object = json_loads(text, 0, NULL);
        const char *kind = json_string_value(json_object_get(object, "kind"));
        json_int_t ts_ns = json_integer_value(json_object_get(object, "ts_ns"));
        char *copy = object ? strdup(text) : NULL;

        if (copy && seq >= events->next) {
                while (seq - events->first >= EVENTS_RING)
                        drop_first(events);
                *slot(events, seq) = (struct event_entry){
                        .seq = seq,
                        .ts_ns = (uint64_t)ts_ns,
                        .kind = kind ? event_kind_find(kind) : NULL,
                        .uid = uid,
                        .anyone = anyone,
                        .text = take(copy),
                };
                events->next = seq + 1;
                count_bytes(events, slot(events, seq));
        }
        free(copy);
        json_decref(object);
}

int events_seek(const struct events *events, struct events_reader *reader, uint64_t since,
                struct why *why) {
        if (since > events->next)
                return why_set(why, 1,
                               "since is %" PRIu64 ", and there is no such event yet: the next one "
                               "will be %" PRIu64 ", and %" PRIu64 " is the oldest that is kept; "
                               "numbers start anew when the host boots",
                               since, events->next, events->first);
        reader->next = since;
        return 0;
}

const struct event_entry *events_find(const struct events *events, uint64_t seq) {
        const struct event_entry *entry = slot(events, seq);

        return seq >= events->first && seq < events->next && entry->seq == seq &&
                               (entry->kind || entry->text)
                       ? entry
                       : NULL;
}

/* From the reader's place on nothing is there: up to the next one that is. */
static json_t *read_gap(const struct events *events, struct events_reader *reader) {
        uint64_t from = reader->next, to = max_u64(from, events->first);
        json_t *object;

        while (to < events->next && !events_find(events, to))
                to++;
        reader->next = to;
        object = json_pack("{s:I s:I s:s s:I s:I}", "seq", (json_int_t)(to - 1), "ts_ns",
                           (json_int_t)events->lost_ns, "kind", "gap", "from", (json_int_t)from,
                           "to", (json_int_t)(to - 1));
        if (object && from < events->begun &&
            json_object_set_new(object, "restarted", json_true()) < 0)
                json_decref(take(object));
        return object;
}

static bool may_see(const struct events_reader *reader, const struct event_entry *entry) {
        if (!entry->anyone && reader->uid != 0 && entry->uid != reader->uid)
                return false;
        /* A kind that only the last program knew is nobody's choice. */
        return reader->kinds == EVENT_KINDS_ALL ||
               (entry->kind && (reader->kinds & event_kind_bit(entry->kind)));
}

int events_read(const struct events *events, struct events_reader *reader, json_t **objectp) {
        json_t *object = NULL;

        while (reader->next < events->next) {
                const struct event_entry *entry = events_find(events, reader->next);

                if (!entry) {
                        object = read_gap(events, reader);
                } else {
                        reader->next++;
                        if (!may_see(reader, entry))
                                continue;
                        object = event_format(entry);
                }
                if (!object)
                        return fault(-ENOMEM);
                break;
        }
        *objectp = object;
        return 0;
}

json_t *event_format_demand(const struct demand *demand) {
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
                return event_format_demand(field->demand);
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
                           (json_int_t)entry->ts_ns, "kind", entry->kind->name);
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
