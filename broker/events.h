/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_EVENTS_H
#define PROVIUM_BROKER_EVENTS_H

/*
 * What happened, in order: a ring of the last events, each a JSON object with a number that never
 * repeats while the broker's root lives. A reader takes them at its own pace from the ring; one
 * that falls behind the ring's end gets a "gap" with the numbers it missed, and costs the broker
 * nothing.
 */

#include <jansson.h>
#include <sys/types.h>

#include <base/macro.h>

#define EVENTS_RING 4096

struct event_entry {
        uint64_t seq;
        uid_t uid;   /* whose VM; root sees all, others their own */
        bool anyone; /* nobody's in particular: all may see it */
        char *text;  /* one JSON object */
};

struct events {
        struct event_entry ring[EVENTS_RING];
        uint64_t next; /* the number of the next event; the ring holds the EVENTS_RING before it */
};

/* The first number after a start: later than any before it, from the boot clock. */
void events_init(struct events *events, uint64_t first);
void events_deinit(struct events *events);

/*
 * Adds an event of @kind about @uid's VM; takes over @fields (an object, may be NULL when memory
 * was short: the event is then lost, and the next reader is told of a gap). Adds seq, ts_ns and
 * kind.
 */
void events_add(struct events *events, const char *kind, uid_t uid, bool anyone,
                uint64_t realtime_ns, json_t *fields);

/* Puts an event of a former program back, in order; the number of the next one is the caller's to
 * set. Does nothing when memory is short. */
void events_restore(struct events *events, uint64_t seq, uid_t uid, bool anyone, const char *text);

/* The entry with number @seq, or NULL if it is not in the ring (any more, or yet). */
const struct event_entry *events_find(const struct events *events, uint64_t seq);

/* The number of the oldest one in the ring. */
uint64_t events_first(const struct events *events);

#endif
