/* SPDX-License-Identifier: MIT */
#include <broker/ticket.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

static const unsigned char key[CGROUP_ROOT_KEY_SIZE] = "a key of thirty-two bytes, sure";

static void a_ticket_gives_back_what_it_was_made_of(void) {
        char text[REQUEST_TOKEN_MAX + 1], id[RECORD_ID_MAX + 1];
        uint64_t order;

        ticket_format(text, key, "abcdefghijklmnop", UINT64_MAX, 4294967295u);
        expect(strlen(text) <= REQUEST_TOKEN_MAX);
        expect(ticket_parse(text, key, 4294967295u, id, &order));
        expect_str(id, "abcdefghijklmnop");
        expect_uint(order, UINT64_MAX);
}

static void a_ticket_is_of_no_use_to_another_user_or_under_another_key(void) {
        unsigned char other[CGROUP_ROOT_KEY_SIZE] = {};
        char text[REQUEST_TOKEN_MAX + 1], id[RECORD_ID_MAX + 1];
        uint64_t order;

        ticket_format(text, key, "abcdefghijklmnop", 7, 1000);
        expect(!ticket_parse(text, key, 1001, id, &order));
        expect(!ticket_parse(text, key, 0, id, &order));
        expect(!ticket_parse(text, other, 1000, id, &order));
}

/* Any change of any character: a place in the queue cannot be moved forward. */
static void a_ticket_cannot_be_changed(void) {
        char text[REQUEST_TOKEN_MAX + 1], changed[REQUEST_TOKEN_MAX + 3], id[RECORD_ID_MAX + 1];
        uint64_t order;

        ticket_format(text, key, "abcdefghijklmnop", 12345, 1000);
        for (size_t i = 0; text[i]; i++) {
                strcpy(changed, text);
                changed[i] = changed[i] == '0' ? '1' : '0';
                need(!ticket_parse(changed, key, 1000, id, &order));
                strcpy(changed, text);
                changed[i] = '\0';
                need(!ticket_parse(changed, key, 1000, id, &order));
        }
        snprintf(changed, sizeof(changed), "%s0", text);
        expect(!ticket_parse(changed, key, 1000, id, &order));
        expect(!ticket_parse("", key, 1000, id, &order));
        expect(!ticket_parse("....", key, 1000, id, &order));
}

int main(int argc, char **argv) {
        static const struct unit_test tests[] = {
                TEST(a_ticket_gives_back_what_it_was_made_of),
                TEST(a_ticket_is_of_no_use_to_another_user_or_under_another_key),
                TEST(a_ticket_cannot_be_changed),
        };

        return sodium_init() < 0 ? 1 : unit_run(argc, argv, tests, ARRAY_SIZE(tests));
}
