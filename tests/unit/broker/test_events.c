/* SPDX-License-Identifier: MIT */
#include <base/why.h>
#include <broker/events.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

static void add(struct events *events) {
        const struct event_field fields[] = {event_number("pid", 1)};
        const struct event_subject subject = {"abc", "web", "ci", 1000};

        events_add(events, "vm_learning", &subject, 42, fields, 1);
}

static json_t *next(struct events *events, struct events_reader *reader) {
        json_t *object = NULL;

        need_int(events_read(events, reader, &object), 0);
        return object;
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

        need_int(events_init(&events, 1000, 7), 0);
        expect(events_find(&events, 1000) == NULL);
        add(&events);
        expect_uint(events.first, 1000);
        for (int i = 0; i < EVENTS_RING; i++)
                add(&events);
        expect_uint(events.next, 1000 + EVENTS_RING + 1);
        expect_uint(events.first, 1001);
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
        const struct event_field shutdown[] = {
                event_text("reason", reason),
                event_bool("oom", true),
                event_number("exit_code", -1),
        };
        const struct event_field released[] = {
                event_text("reason", reason),
                event_demand("charge", &charge),
        };
        struct events events;
        json_t *object;

        need_int(events_init(&events, 5, 7), 0);
        events_add(&events, "vm_shutdown", &subject, 42, shutdown, ARRAY_SIZE(shutdown));
        events_add(&events, "claim_released", &subject, 43, released, ARRAY_SIZE(released));
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
        json_decref(object);
        object = event_format(events_find(&events, 6));
        expect_int(number(json_object_get(object, "charge"), "memory"), 77);
        json_decref(object);
        expect(!events_find(&events, 5)->anyone);
        expect_int(events_find(&events, 5)->uid, 1000);
        events_deinit(&events);
}

static void what_a_former_program_noted_is_read_as_it_was(void) {
        struct events_reader reader = {.next = 1, .kinds = EVENT_KINDS_ALL, .uid = 3};
        struct events events;
        json_t *object;

        need_int(events_init(&events, 500, 7), 0);
        events_resume(&events, 5, 9, 77);
        events_restore(&events, 9, 3, false, "{\"seq\":9,\"ts_ns\":4,\"kind\":\"vm_oom\"}");
        events_restore(&events, 11, 3, false, "{\"seq\":11,\"kind\":\"of_tomorrow\"}");
        events_restore(&events, 10, 3, false, "{\"kind\":\"drain\"}"); /* not in order */
        events_restore(&events, 12, 3, false, "{\"kind\":");           /* no JSON */
        expect_uint(events.next, 12);
        add(&events);
        expect_uint(events.first, 9);

        /* Before it began, there was another broker. */
        object = next(&events, &reader);
        expect_str(text(object, "kind"), "gap");
        expect_int(number(object, "from"), 1);
        expect_int(number(object, "to"), 8);
        expect_int(number(object, "seq"), 8);
        expect_int(number(object, "ts_ns"), 77);
        expect(json_is_true(json_object_get(object, "restarted")));
        json_decref(object);
        object = next(&events, &reader);
        expect_str(text(object, "kind"), "vm_oom");
        expect_int(number(object, "seq"), 9);
        json_decref(object);
        object = next(&events, &reader);
        expect_str(text(object, "kind"), "gap");
        expect_int(number(object, "from"), 10);
        expect_int(number(object, "to"), 10);
        expect(!json_object_get(object, "restarted"));
        json_decref(object);
        object = next(&events, &reader);
        expect_str(text(object, "kind"), "of_tomorrow");
        json_decref(object);
        /* The last one is another user's. */
        expect(next(&events, &reader) == NULL);
        expect_uint(reader.next, 13);

        reader = (struct events_reader){.next = 9,
                                        .kinds = event_kind_bit(event_kind_find("drain"))};
        object = next(&events, &reader);
        expect_str(text(object, "kind"), "gap");
        json_decref(object);
        expect(next(&events, &reader) == NULL);
        events_deinit(&events);
}

static void a_new_ring_has_nothing(void) {
        struct events_reader reader = {.next = 7, .kinds = EVENT_KINDS_ALL};
        struct events events;

        need_int(events_init(&events, 7, 7), 0);
        expect_uint(events.first, 7);
        expect(next(&events, &reader) == NULL);
        events_deinit(&events);
}

static void a_reader_that_falls_behind_gets_one_gap_and_then_everything(void) {
        struct events_reader slow = {.next = 1000, .kinds = EVENT_KINDS_ALL};
        struct events events;
        uint64_t seen = 0, last = 0;
        json_t *object;

        need_int(events_init(&events, 1000, 7), 0);
        for (int i = 0; i < EVENTS_RING + 100; i++)
                add(&events);
        object = next(&events, &slow);
        expect_str(text(object, "kind"), "gap");
        expect_int(number(object, "from"), 1000);
        expect_int(number(object, "to"), 1099);
        expect_int(number(object, "ts_ns"), 42);
        json_decref(object);
        while ((object = next(&events, &slow))) {
                last = (uint64_t)number(object, "seq");
                expect_uint(last, 1100 + seen);
                seen++;
                json_decref(object);
        }
        expect_uint(seen, EVENTS_RING);
        expect_uint(last + 1, events.next);
        events_deinit(&events);
}

static void long_texts_push_old_events_out_and_are_cut(void) {
        char *detail = malloc(100000);
        const struct event_field fields[] = {event_text("reason", detail),
                                             event_text("detail", detail)};
        const struct event_subject subject = {"abc", "web", "ci", 1000};
        struct events events;
        json_t *object;

        need(detail != NULL);
        memset(detail, 'x', 99999);
        detail[99999] = '\0';
        need_int(events_init(&events, 1, 7), 0);
        for (int i = 0; i < EVENTS_RING; i++)
                events_add(&events, "claim_released", &subject, 42, fields, ARRAY_SIZE(fields));
        expect(events.bytes <= EVENTS_BYTES_MAX);
        expect(events.first > 1);
        expect(events.next - events.first > EVENTS_BYTES_MAX / (2 * (EVENT_TEXT_MAX + 1)) - 2);
        expect(events_find(&events, events.first - 1) == NULL);
        object = event_format(events_find(&events, events.first));
        expect_uint(strlen(text(object, "detail")), EVENT_TEXT_MAX);
        json_decref(object);
        events_deinit(&events);
        free(detail);
}

static void a_number_that_was_not_given_out_yet_is_answered_with_what_is_valid(void) {
        struct events_reader reader = {};
        struct events events;
        struct why why;

        need_int(events_init(&events, 100, 7), 0);
        add(&events);
        expect_int(events_seek(&events, &reader, 102, &why), 1);
        expect_in(why.text, "since is 102");
        expect_in(why.text, "the next one will be 101");
        expect_int(events_seek(&events, &reader, 101, &why), 0);
        expect_uint(reader.next, 101);
        expect_int(events_seek(&events, &reader, 0, &why), 0);
        events_deinit(&events);
}

struct counter {
        struct events_watcher watcher;
        unsigned n;
        uint64_t last;
};

static void count(struct events_watcher *watcher, const struct event_entry *entry) {
        struct counter *counter = container_of(watcher, struct counter, watcher);

        counter->n++;
        counter->last = entry->seq;
}

static void watchers_are_told_at_once(void) {
        struct counter a = {.watcher.added = count}, b = {.watcher.added = count};
        struct events events;

        need_int(events_init(&events, 100, 7), 0);
        events_watch(&events, &a.watcher);
        events_watch(&events, &b.watcher);
        add(&events);
        events_unwatch(&events, &a.watcher);
        add(&events);
        expect_uint(a.n, 1);
        expect_uint(b.n, 2);
        expect_uint(b.last, 101);
        events_deinit(&events);
}

UNIT_MAIN(TEST(numbers_go_on_and_the_ring_keeps_the_last_of_them),
          TEST(an_event_reads_as_what_was_put_into_it),
          TEST(what_a_former_program_noted_is_read_as_it_was), TEST(a_new_ring_has_nothing),
          TEST(a_reader_that_falls_behind_gets_one_gap_and_then_everything),
          TEST(long_texts_push_old_events_out_and_are_cut),
          TEST(a_number_that_was_not_given_out_yet_is_answered_with_what_is_valid),
          TEST(watchers_are_told_at_once), )
