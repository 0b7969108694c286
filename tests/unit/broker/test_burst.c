/* SPDX-License-Identifier: MIT */
#include <broker/burst.h>
#include <cgroup/iomax.h>

#include "unit.h"

#define MB UINT64_C(1000000)

static void what_moves_no_more_than_the_claim_empties_no_bucket(void) {
        uint64_t left = 300 * MB;

        for (int i = 0; i < 100; i++)
                left = burst_left(left, 300 * MB, 100 * MB, 100 * MB);
        expect_uint(left, 300 * MB);
}

static void what_is_moved_beyond_the_claim_is_taken_and_rest_gives_it_back(void) {
        expect_uint(burst_left(300 * MB, 300 * MB, 100 * MB, 150 * MB), 250 * MB);
        expect_uint(burst_left(250 * MB, 300 * MB, 100 * MB, 400 * MB), 0);
        expect_uint(burst_left(10 * MB, 300 * MB, 100 * MB, 110 * MB), 0);
        expect_uint(burst_left(10 * MB, 300 * MB, 100 * MB, 109 * MB), MB);
        expect_uint(burst_left(250 * MB, 300 * MB, 100 * MB, 0), 300 * MB);
        expect_uint(burst_left(0, 0, 0, 0), 0);
}

/* At the ceiling of a burst of four, whichever limit it is that is reached. */
static void the_narrowest_limit_is_the_one_that_counts(void) {
        const struct io_limit limit = {.read_bytes_per_s = MB,
                                       .write_bytes_per_s = 10 * MB,
                                       .read_ios_per_s = 200,
                                       .write_ios_per_s = 200};
        const struct io_use before = {5, 6, 7, 8};
        struct io_use after = before;

        expect_uint(burst_used(&before, &after, &limit, 10 * MB), 0);
        after.write_bytes += 20 * MB;
        expect_uint(burst_used(&before, &after, &limit, 10 * MB), 20 * MB);
        after.read_bytes += 4 * MB;
        expect_uint(burst_used(&before, &after, &limit, 10 * MB), 40 * MB);
        after.read_ios += 1000;
        expect_uint(burst_used(&before, &after, &limit, 10 * MB), 50 * MB);
        after.write_ios += 1600;
        expect_uint(burst_used(&before, &after, &limit, 10 * MB), 80 * MB);
}

static void what_has_no_limit_counts_for_nothing(void) {
        const struct io_limit limit = {.read_bytes_per_s = MB,
                                       .write_bytes_per_s = MB,
                                       .read_ios_per_s = IO_NO_LIMIT,
                                       .write_ios_per_s = IO_NO_LIMIT};
        const struct io_use before = {}, after = {MB, 2 * MB, UINT64_MAX, UINT64_MAX};

        expect_uint(burst_used(&before, &after, &limit, MB), 2 * MB);
}

static void no_sum_overflows(void) {
        const struct io_limit limit = {1, 1, 1, 1};
        const struct io_use before = {}, after = {UINT64_MAX, 0, 0, 0};

        expect_uint(burst_used(&before, &after, &limit, UINT64_MAX / 2), UINT64_MAX / 2);
        expect_uint(burst_left(UINT64_MAX / 2, UINT64_MAX / 2, UINT64_MAX / 2, 0), UINT64_MAX / 2);
}

UNIT_MAIN(TEST(what_moves_no_more_than_the_claim_empties_no_bucket),
          TEST(what_is_moved_beyond_the_claim_is_taken_and_rest_gives_it_back),
          TEST(the_narrowest_limit_is_the_one_that_counts),
          TEST(what_has_no_limit_counts_for_nothing), TEST(no_sum_overflows), )
