/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_EVENTS_H
#define PROVIUM_BROKER_EVENTS_H

/*
 * What happened, in order: a ring of the last events, each with a number that never repeats while
 * the broker's root lives. A reader takes them at its own pace from the ring; one that falls behind
 * the ring's end gets a "gap" with the numbers it missed, and costs the broker nothing.
 *
 * Events are noted on the way of every launch, and mostly read by nobody: they are kept as values
 * and become JSON when somebody reads them.
 */

#include <jansson.h>
#include <sys/types.h>

#include <base/demand.h>
#include <base/text.h>

#define EVENTS_RING 4096
#define EVENT_FIELDS_MAX 6
#define EVENT_ID_MAX 16

enum event_type { EVENT_END, EVENT_NUMBER, EVENT_BOOL, EVENT_TEXT, EVENT_DEMAND };

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
        const char *
                kind; /* static; NULL: the slot is empty, or an event was lost for lack of memory */
        char *text;   /* of a former program: the whole event, already JSON; owned */
        uid_t uid;    /* whose VM; root sees all, others their own */
        bool anyone;  /* nobody's in particular: all may see it */
        char id[EVENT_ID_MAX + 1], name[TEXT_NAME_MAX + 1], slice[TEXT_NAME_MAX + 1];
        struct event_field fields[EVENT_FIELDS_MAX];
};

struct events {
        struct event_entry *ring;
        uint64_t next; /* the number of the next event; the ring holds the EVENTS_RING before it */
};

/* @first: the first number, later than any before it: from the boot clock. Negative: out of memory.
 */
_must_check_ int events_init(struct events *events, uint64_t first);
void events_deinit(struct events *events);

/*
 * Adds an event of @kind (static) with @n fields, about @subject (NULL: nobody's in particular).
 * One that cannot be kept for lack of memory is lost, and its number missing tells so.
 */
void events_add(struct events *events, const char *kind, const struct event_subject *subject,
                uint64_t ts_ns, const struct event_field *fields, size_t n);

/* Puts an event of a former program back, in order; the number of the next one is the caller's to
 * set. Does nothing when memory is short. */
void events_restore(struct events *events, uint64_t seq, uid_t uid, bool anyone, const char *text);

/* The entry with number @seq, or NULL if it is not in the ring (any more, or yet). */
const struct event_entry *events_find(const struct events *events, uint64_t seq);

/* As an object with seq, ts_ns, kind and the rest. New reference, or NULL when out of memory. */
json_t *event_format(const struct event_entry *entry);

/* The number of the oldest one in the ring. */
uint64_t events_first(const struct events *events);

#endif
