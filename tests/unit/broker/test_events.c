/* SPDX-License-Identifier: MIT */
#include <broker/events.h>
#include <string.h>

#include "unit.h"

static struct events events;

static void add(const char *kind) {
        events_add(&events, kind, 0, true, 42, json_pack("{s:i}", "x", 1));
}

static void numbers_go_on_and_the_ring_keeps_the_last_of_them(void) {
        events_init(&events, 1000);
        expect(events_find(&events, 1000) == NULL);
        add("first");
        expect_uint(events_first(&events), 1000);
        expect_in(events_find(&events, 1000)->text, "\"kind\":\"first\"");
        expect_in(events_find(&events, 1000)->text, "\"seq\":1000");
        for (int i = 0; i < EVENTS_RING; i++)
                add("more");
        expect_uint(events.next, 1000 + EVENTS_RING + 1);
        expect_uint(events_first(&events), 1001);
        expect(events_find(&events, 1000) == NULL);
        expect(events_find(&events, 1001) != NULL);
        expect(events_find(&events, events.next - 1) != NULL);
        expect(events_find(&events, events.next) == NULL);
        events_deinit(&events);
}

static void an_event_lost_for_want_of_memory_is_a_gap_and_no_crash(void) {
        events_init(&events, 5);
        add("one");
        events_add(&events, "lost", 0, true, 42, NULL);
        add("two");
        expect_uint(events.next, 8);
        expect(events_find(&events, 6) == NULL);
        expect(events_find(&events, 7) != NULL);
        events_deinit(&events);
}

static void a_new_ring_has_nothing(void) {
        events_init(&events, 7);
        expect_uint(events_first(&events), 7);
        events_deinit(&events);
}

UNIT_MAIN(
        TEST(numbers_go_on_and_the_ring_keeps_the_last_of_them),
        TEST(an_event_lost_for_want_of_memory_is_a_gap_and_no_crash),
        TEST(a_new_ring_has_nothing),
)
