/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_EVENTS_H
#define PROVIUM_BROKER_EVENTS_H

/*
 * What happened, in order: a ring of the last events, each with a number that never repeats while
 * the broker's root lives. A reader takes them at its own pace from the ring; one that falls behind
 * the ring's end gets a "gap" with the numbers it missed, and costs the broker nothing.
 *
 * Numbers begin with the boot clock's microseconds, which is later than any number before it, also
 * after a crash, of which nothing is kept. So a reader that comes back with its last number is told
 * by a gap, which says "restarted", that the broker was started anew meanwhile. An upgrade in place
 * takes the ring along.
 *
 * Events are noted on the way of every launch, and mostly read by nobody: they are kept as values
 * and become JSON when somebody reads them. The kinds, and what belongs to each, are in
 * proto/event; what does not fit there is a bug, and asserted.
 *
 * A pool_state (broker/pool_state) is no event of the ring but a sample of a state: it goes to
 * those who listen at that moment, with the number of the last event before it.
 */

#include <jansson.h>
#include <sys/queue.h>
#include <sys/types.h>

#include <base/demand.h>
#include <base/text.h>
#include <proto/event.h>

#define EVENTS_RING 4096                   /* events kept */
#define EVENTS_BYTES_MAX (3 * 1024 * 1024) /* of their texts and charges together */
#define EVENT_TEXT_MAX 1024                /* bytes of one text; the rest is cut off */
#define EVENT_FIELDS_MAX EVENT_MEMBERS_MAX
#define EVENT_ID_MAX 16

struct why;

struct event_field {
        const char *key; /* static */
        enum event_type type;
        union {
                int64_t number;
                const char *text;            /* the caller's; copied */
                char *copy;                  /* in the ring: owned */
                const struct demand *charge; /* the caller's; copied */
                struct demand *demand;       /* in the ring: owned */
        };
};

#define event_number(name, value)                                                                  \
        { .key = (name), .type = EVENT_NUMBER, .number = (int64_t)(value) }
#define event_bool(name, value)                                                                    \
        { .key = (name), .type = EVENT_BOOL, .number = (value) }
#define event_text(name, value)                                                                    \
        { .key = (name), .type = EVENT_TEXT, .text = (value) }
#define event_demand(name, value)                                                                  \
        { .key = (name), .type = EVENT_DEMAND, .charge = (value) }

/* Whom an event is about; all three are copied. */
struct event_subject {
        const char *id, *name, *slice;
        uid_t uid;
};

struct event_entry {
        uint64_t seq, ts_ns;
        const struct event_kind *kind; /* NULL: unknown, or the slot holds nothing */
        char *text;  /* of a former program: the whole event, already JSON; owned */
        uid_t uid;   /* whose VM; root sees all, others their own */
        bool anyone; /* nobody's in particular: all may see it */
        char id[EVENT_ID_MAX + 1], name[TEXT_NAME_MAX + 1], slice[TEXT_NAME_MAX + 1];
        struct event_field fields[EVENT_FIELDS_MAX];
};

/* One who wants to know at once, from broker/control or the like; it must not add events. */
struct events_watcher {
        /* There is more in the ring (@entry has no kind if it could not be kept). */
        void (*added)(struct events_watcher *watcher, const struct event_entry *entry);
        /* The pool as it is now, an event as a reader is given it (borrowed); NULL: not wanted. */
        void (*sampled)(struct events_watcher *watcher, json_t *sample);
        TAILQ_ENTRY(events_watcher) link;
};

struct events {
        struct event_entry *ring;
        uint64_t begun;       /* the first number of all; before it there was another broker */
        uint64_t first, next; /* the ring holds those from first on; next comes next */
        uint64_t lost_ns; /* when the last one that is not kept any more happened, or we began */
        size_t bytes;     /* EVENTS_BYTES_MAX */
        TAILQ_HEAD(, events_watcher) watchers;
};

/* How far somebody has read, and what of it may be told: all kinds in the set; of others' VMs
 * nothing, but for root. */
struct events_reader {
        uint64_t next;
        uint64_t kinds;
        uid_t uid;
};

/* @first: the first number, later than any before it: from the boot clock. @now_ns: the wall clock.
 * Negative: out of memory. */
_must_check_ int events_init(struct events *events, uint64_t first, uint64_t now_ns);
void events_deinit(struct events *events);

void events_watch(struct events *events, struct events_watcher *watcher);
void events_unwatch(struct events *events, struct events_watcher *watcher);

/*
 * Adds an event of @kind (of proto/event) with @n fields, about @subject (NULL: nobody's in
 * particular), and tells the watchers. One that cannot be kept for lack of memory is lost, and a
 * reader gets a gap in its place.
 */
void events_add(struct events *events, const char *kind, const struct event_subject *subject,
                uint64_t ts_ns, const struct event_field *fields, size_t n);

/* Takes up what a former program kept: its ring began with @first; events_restore() follows, in
 * order, and then the number of the next one is the caller's to set. */
void events_resume(struct events *events, uint64_t begun, uint64_t first, uint64_t lost_ns);
/* Puts an event of a former program back. Does nothing when memory is short. */
void events_restore(struct events *events, uint64_t seq, uid_t uid, bool anyone, const char *text);

/*
 * Puts @reader before the event with number @since. Answers 1 with what is valid if there was none
 * such yet; one that is not kept any more is a gap, told by events_read().
 */
_must_check_ int events_seek(const struct events *events, struct events_reader *reader,
                             uint64_t since, struct why *why);

/*
 * The next event that @reader may see, or a gap, as an object with seq, ts_ns, kind and the rest, a
 * new reference in *objectp; NULL there: it has read all. A gap has the number and the time of the
 * last event that it stands for, so whoever comes back asks for seq + 1, whatever he saw last.
 * Negative: out of memory.
 */
_must_check_ int events_read(const struct events *events, struct events_reader *reader,
                             json_t **objectp);

/* The entry with number @seq, or NULL if it is not in the ring (any more, or yet). */
const struct event_entry *events_find(const struct events *events, uint64_t seq);

/* As an object with seq, ts_ns, kind and the rest. New reference, or NULL when out of memory. */
json_t *event_format(const struct event_entry *entry);

/* What a claim charges, as an object. New reference, or NULL when out of memory. */
json_t *event_format_demand(const struct demand *demand);

#endif
