/* SPDX-License-Identifier: MIT */
#include <cgroup/limits.h>
#include <cgroup/reclaim.h>
#include <unistd.h>

#include "unit.h"

#define MIB (UINT64_C(1) << 20)

static void below_a_limit_a_32nd_stays_free(void) {
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

        expect_uint(reclaim_target(64 * MIB), 62 * MIB);
        expect_uint(reclaim_target(16 * MIB), 15 * MIB + MIB / 2);
        for (uint64_t max = page; max < 3000 * page; max += page) {
                uint64_t target = reclaim_target(max);

                expect_that(target <= max && target % page == 0, "%lu of %lu", target, max);
        }
}

/* What a person is told is possible is possible, and a page less would not be. */
static void the_least_limit_for_a_use_is_the_least(void) {
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

        for (uint64_t bytes = 1; bytes < 300 * MIB; bytes += bytes / 7 + 1) {
                uint64_t max = reclaim_least_max(bytes);

                expect_that(max % page == 0 && reclaim_target(max) >= bytes, "%lu for %lu", max,
                            bytes);
                expect_that(max < 2 * page || reclaim_target(max - 2 * page) < bytes,
                            "%lu is more than is needed for %lu", max, bytes);
        }
}

static void what_is_not_known_is_left_alone(void) {
        struct limits limits = {.memory_max_bytes = 5, .cpu_weight = 6, .pids_max = 7};
        struct limits known = LIMITS_KEEP_ALL;

        known.cpu_weight = 1;
        limits_keep(&limits, &known);
        expect_uint(limits.memory_max_bytes, LIMIT_KEEP);
        expect_uint(limits.pids_max, LIMIT_KEEP);
        expect_uint(limits.cpu_quota_usec, LIMIT_KEEP);
        expect_uint(limits.cpu_weight, 6);
}

UNIT_MAIN(TEST(below_a_limit_a_32nd_stays_free), TEST(the_least_limit_for_a_use_is_the_least),
          TEST(what_is_not_known_is_left_alone), )
