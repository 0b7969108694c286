/* SPDX-License-Identifier: MIT */
/* What a client can write into the broker's log, and what it cannot keep others from. */
#include <broker/log.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

#define NOW UINT64_C(1000000000)

static unsigned count_passed(struct log_rates *rates, uint32_t uid, unsigned n, uint64_t now_usec) {
        unsigned passed = 0;

        for (unsigned i = 0; i < n; i++)
                passed += log_rates_pass(rates, uid, now_usec);
        return passed;
}

static void one_users_flood_leaves_anothers_lines_alone(void) {
        struct log_rates rates = {};

        expect_uint(count_passed(&rates, 1000, 10000, NOW), LOG_RATE_BURST);
        expect_uint(count_passed(&rates, 0, 5, NOW), 5);
        expect_uint(count_passed(&rates, 1001, 10000, NOW + 1), LOG_RATE_BURST);
        expect_uint(count_passed(&rates, 1000, 10000, NOW + 2), 0);
}

static void a_user_may_speak_again_when_the_time_is_over(void) {
        struct log_rates rates = {};

        expect_uint(count_passed(&rates, 1000, 100, NOW), LOG_RATE_BURST);
        expect_uint(count_passed(&rates, 1000, 100, NOW + LOG_RATE_USEC - 1), 0);
        expect_uint(count_passed(&rates, 1000, 100, NOW + LOG_RATE_USEC), LOG_RATE_BURST);
}

static void whoever_is_many_users_is_held_all_the_same(void) {
        struct log_rates rates = {};
        unsigned passed = 0;

        for (uint32_t uid = 100000; uid < 165536; uid++)
                passed += count_passed(&rates, uid, 2, NOW + uid);
        expect_uint(passed, LOG_RATE_ALL);
}

/* The test would hang. */
static void a_log_that_takes_nothing_is_not_waited_for(void) {
        int pair[2], before = dup(STDERR_FILENO);
        char text[64] = "";
        ssize_t n;

        need(before >= 0);
        need_int(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        dup2(pair[0], STDERR_FILENO);
        for (int i = 0; i < 10000; i++)
                log_info("line %d of very many that nobody reads", i);
        dup2(before, STDERR_FILENO);
        n = read(pair[1], text, sizeof(text) - 1);
        expect(n > 0);
        expect_in(text, "line 0 of very many");
        close(pair[0]);
        close(pair[1]);
        close(before);
}

UNIT_MAIN(TEST(a_log_that_takes_nothing_is_not_waited_for),
          TEST(one_users_flood_leaves_anothers_lines_alone),
          TEST(a_user_may_speak_again_when_the_time_is_over),
          TEST(whoever_is_many_users_is_held_all_the_same))
