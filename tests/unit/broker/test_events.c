/* SPDX-License-Identifier: MIT */
#include <broker/events.h>
#include <string.h>

#include "unit.h"

static void add(struct events *events, const char *kind) {
        const struct event_field fields[] = {event_number("x", 1)};

        events_add(events, kind, NULL, 42, fields, 1);
}

static json_int_t number(json_t *object, const char *key) {
        return json_integer_value(json_object_get(object, key));
}

static const char *text(json_t *object, const char *key) {
        const char *value = json_string_value(json_object_get(object, key));

        return value ? value : "(none)";
}

static void numbers_go_on_and_the_ring_keeps_the_last_of_them(void) {
        struct events events;

        need_int(events_init(&events, 1000), 0);
        expect(events_find(&events, 1000) == NULL);
        add(&events, "first");
        expect_uint(events_first(&events), 1000);
        for (int i = 0; i < EVENTS_RING; i++)
                add(&events, "more");
        expect_uint(events.next, 1000 + EVENTS_RING + 1);
        expect_uint(events_first(&events), 1001);
        expect(events_find(&events, 1000) == NULL);
        expect(events_find(&events, 1001) != NULL);
        expect(events_find(&events, events.next - 1) != NULL);
        expect(events_find(&events, events.next) == NULL);
        events_deinit(&events);
}

static void an_event_reads_as_what_was_put_into_it(void) {
        const struct demand charge = {.amount = {[RESOURCE_MEMORY] = 77}};
        const struct event_subject subject = {"abc", "web \"1\"", "ci", 1000};
        char reason[] = "exit";
        const struct event_field fields[] = {
                event_text("reason", reason),
                event_bool("oom", true),
                event_number("exit_code", -1),
                event_demand("charge", &charge),
        };
        struct events events;
        json_t *object;

        need_int(events_init(&events, 5), 0);
        events_add(&events, "vm_shutdown", &subject, 42, fields, 4);
        strcpy(reason, "gone");
        object = event_format(events_find(&events, 5));
        expect_int(number(object, "seq"), 5);
        expect_int(number(object, "ts_ns"), 42);
        expect_str(text(object, "kind"), "vm_shutdown");
        expect_str(text(object, "id"), "abc");
        expect_str(text(object, "name"), "web \"1\"");
        expect_str(text(object, "slice"), "ci");
        expect_int(number(object, "uid"), 1000);
        expect_str(text(object, "reason"), "exit");
        expect(json_is_true(json_object_get(object, "oom")));
        expect_int(number(object, "exit_code"), -1);
        expect_int(number(json_object_get(object, "charge"), "memory"), 77);
        json_decref(object);
        expect(!events_find(&events, 5)->anyone);
        expect_int(events_find(&events, 5)->uid, 1000);
        events_deinit(&events);
}

static void what_a_former_program_noted_is_read_as_it_was(void) {
        struct events events;
        json_t *object;

        need_int(events_init(&events, 0), 0);
        events_restore(&events, 9, 3, false, "{\"seq\":9,\"kind\":\"vm_oom\"}");
        events.next = 10;
        add(&events, "next");
        expect_uint(events_first(&events), 9);
        object = event_format(events_find(&events, 9));
        expect_str(text(object, "kind"), "vm_oom");
        json_decref(object);
        expect(events_find(&events, 10) != NULL);
        events_deinit(&events);
}

static void a_new_ring_has_nothing(void) {
        struct events events;

        need_int(events_init(&events, 7), 0);
        expect_uint(events_first(&events), 7);
        events_deinit(&events);
}

UNIT_MAIN(TEST(numbers_go_on_and_the_ring_keeps_the_last_of_them),
          TEST(an_event_reads_as_what_was_put_into_it),
          TEST(what_a_former_program_noted_is_read_as_it_was), TEST(a_new_ring_has_nothing), )
