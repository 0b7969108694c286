/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <tc/handles.h>

#include "unit.h"

/* prio2band of net/sched/sch_generic.c: the band of best effort is 1. */
static const unsigned char prio2band[16] = {1, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1};

static void numbers_are_best_effort_and_there_are_as_many_as_promised(void) {
        unsigned n = 0;

        for (unsigned minor = 0; minor <= 0xffff; minor++) {
                if (!handles_usable((uint16_t)minor))
                        continue;
                n++;
                if (prio2band[minor & 15] != 1 || minor < 0x10 || minor == 0xffff)
                        expect_that(false, "%#x is given out", minor);
        }
        expect_uint(n, HANDLES_TOTAL);
}

static void a_number_that_came_back_is_the_last_to_go_out(void) {
        struct handles handles;
        uint16_t first, minor = 0;

        handles_init(&handles);
        need_int(handles_take(&handles, &first), 0);
        expect_uint(first, 0x10);
        handles_drop(&handles, first);
        for (unsigned i = 1; i < HANDLES_TOTAL; i++) {
                need_int(handles_take(&handles, &minor), 0);
                need(minor != first);
                handles_drop(&handles, minor);
        }
        need_int(handles_take(&handles, &minor), 0);
        expect_uint(minor, first);
        expect_uint(handles.used, 1);
}

static void sixty_five_thousand_lives_leave_nothing(void) {
        uint16_t held[64] = {};
        struct handles handles, fresh;

        handles_init(&handles);
        for (unsigned i = 0; i < 65000; i++) {
                uint16_t *place = &held[i % ARRAY_SIZE(held)];

                if (*place)
                        handles_drop(&handles, *place);
                need_int(handles_take(&handles, place), 0);
                need(handles_usable(*place));
        }
        for (size_t i = 0; i < ARRAY_SIZE(held); i++)
                handles_drop(&handles, held[i]);
        handles_init(&fresh);
        expect_uint(handles.used, 0);
        expect(memcmp(handles.words, fresh.words, sizeof(fresh.words)) == 0);
}

static void when_all_are_out_the_answer_is_full_until_one_comes_back(void) {
        static bool seen[0x10000];
        struct handles handles;
        uint16_t minor = 0;

        memset(seen, 0, sizeof(seen));
        handles_init(&handles);
        for (unsigned i = 0; i < HANDLES_TOTAL; i++) {
                need_int(handles_take(&handles, &minor), 0);
                need(!seen[minor]);
                seen[minor] = true;
        }
        minor = 7;
        expect_int(handles_take(&handles, &minor), HANDLES_E_FULL);
        expect_uint(minor, 7);
        handles_drop(&handles, 0x8888);
        need_int(handles_take(&handles, &minor), 0);
        expect_uint(minor, 0x8888);
}

static void a_found_number_is_claimed_once_and_not_given_out(void) {
        struct handles handles;
        uint16_t minor = 0;

        handles_init(&handles);
        expect(handles_claim(&handles, 0x10));
        expect(!handles_claim(&handles, 0x10));
        expect(handles_claim(&handles, 0xfffe));
        expect(!handles_claim(&handles, 1));
        expect(!handles_claim(&handles, 2));
        expect(!handles_claim(&handles, 0x11));
        expect(!handles_claim(&handles, 0xffff));
        expect_uint(handles.used, 2);
        need_int(handles_take(&handles, &minor), 0);
        expect_uint(minor, 0x14);
}

UNIT_MAIN(TEST(numbers_are_best_effort_and_there_are_as_many_as_promised),
          TEST(a_number_that_came_back_is_the_last_to_go_out),
          TEST(sixty_five_thousand_lives_leave_nothing),
          TEST(when_all_are_out_the_answer_is_full_until_one_comes_back),
          TEST(a_found_number_is_claimed_once_and_not_given_out), )
