/* SPDX-License-Identifier: MIT */
#include <broker/events.h>
#include <string.h>

#include "unit.h"

static struct events events;

static void add(const char *kind) {
        const struct event_field fields[] = {event_number("x", -7), event_text("t", "a \"b\""), event_bool("yes", true)};
        const struct event_subject subject = {"abcdefghijklmnop", "web", "demo", 1000};

        events_add(&events, kind, &subject, 42, fields, ARRAY_SIZE(fields));
}

static void numbers_go_on_and_the_ring_keeps_the_last_of_them(void) {
        need_int(events_init(&events, 1000), 0);
        expect(events_find(&events, 1000) == NULL);
        expect_uint(events_first(&events), 1000);
        add("first");
        expect_uint(events_first(&events), 1000);
        expect_str(events_find(&events, 1000)->kind, "first");
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

static void an_event_reads_as_it_was_added(void) {
        const struct demand charge = {.amount = {[RESOURCE_CPU] = 1500, [RESOURCE_MEMORY] = 1 << 20}};
        const struct event_field one = event_demand("charge", &charge);
        json_t *object;

        need_int(events_init(&events, 7), 0);
        add("claim_queued");
        object = event_format(events_find(&events, 7));
        expect_int(json_integer_value(json_object_get(object, "seq")), 7);
        expect_int(json_integer_value(json_object_get(object, "ts_ns")), 42);
        expect_str(json_string_value(json_object_get(object, "kind")), "claim_queued");
        expect_str(json_string_value(json_object_get(object, "id")), "abcdefghijklmnop");
        expect_str(json_string_value(json_object_get(object, "slice")), "demo");
        expect_str(json_string_value(json_object_get(object, "t")), "a \"b\"");
        expect_int(json_integer_value(json_object_get(object, "x")), -7);
        expect(json_is_true(json_object_get(object, "yes")));
        json_decref(object);
        expect(!events_find(&events, 7)->anyone);
        expect_uint(events_find(&events, 7)->uid, 1000);
        /* One about nobody is for everybody. */
        events_add(&events, "policy_reloaded", NULL, 43, &one, 1);
        expect(events_find(&events, 8)->anyone);
        object = event_format(events_find(&events, 8));
        expect_int(json_integer_value(json_object_get(json_object_get(object, "charge"), "cpu")), 1500);
        expect(json_object_get(object, "id") == NULL);
        json_decref(object);
        events_deinit(&events);
}

UNIT_MAIN(
        TEST(numbers_go_on_and_the_ring_keeps_the_last_of_them),
        TEST(an_event_reads_as_it_was_added),
)
