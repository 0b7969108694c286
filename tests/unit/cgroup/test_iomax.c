/* SPDX-License-Identifier: MIT */
/*
 * The lines of io.max and io.stat as kernels write them, and as they should not.
 */
#include <cgroup/iomax.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "unit.h"

static dev_t dev;
static struct io_limit limit;
static struct io_use use;

static bool parse_max(const char *line) {
        return iomax_parse(line, strlen(line), &dev, &limit);
}

static bool parse_stat(const char *line) {
        return iostat_parse(line, strlen(line), &dev, &use);
}

static void a_line_gives_its_limits(void) {
        need(parse_max("8:16 rbps=max wbps=1048576 riops=max wiops=120"));
        expect_uint(dev, makedev(8, 16));
        expect_uint(limit.read_bytes_per_s, IO_NO_LIMIT);
        expect_uint(limit.write_bytes_per_s, 1048576);
        expect_uint(limit.read_ios_per_s, IO_NO_LIMIT);
        expect_uint(limit.write_ios_per_s, 120);
        need(parse_max("259:1048575 rbps=18446744073709551614 wbps=1 riops=2 wiops=3"));
        expect_uint(dev, makedev(259, 1048575));
        expect_uint(limit.read_bytes_per_s, UINT64_MAX - 1);
}

static void keys_that_are_missing_or_new_are_no_harm(void) {
        need(parse_max("8:0 wbps=5 future=7"));
        expect_uint(limit.write_bytes_per_s, 5);
        expect_uint(limit.read_bytes_per_s, IO_NO_LIMIT);
        need(parse_max("8:0"));
        expect_uint(limit.write_bytes_per_s, IO_NO_LIMIT);
}

static void what_is_no_line_sets_nothing(void) {
        static const char *const bad[] = {
                "",
                " ",
                "8",
                "8:",
                ":8",
                "8:x rbps=1",
                "-8:0 rbps=1",
                "8:0:1 rbps=1",
                "4294967296:0 rbps=1",
                "8:99999999999999999999 rbps=1",
                "8:0 rbps",
                "8:0 rbps=",
                "8:0 rbps=-1",
                "8:0 rbps=1x",
                "8:0 rbps=maxi",
                "8:0 rbps=18446744073709551616",
                "rbps=1 8:0",
        };

        dev = 7;
        limit.read_bytes_per_s = 42;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                expect_that(!parse_max(bad[i]), "taken: '%s'", bad[i]);
        expect_uint(dev, 7);
        expect_uint(limit.read_bytes_per_s, 42);
}

static void only_the_given_length_is_read(void) {
        need(iomax_parse("8:0 rbps=123", 11, &dev, &limit));
        expect_uint(limit.read_bytes_per_s, 12);
        expect(!iomax_parse("8:0 rbps=1", 2, &dev, &limit));
}

static void use_is_read_with_all_that_stands_beside_it(void) {
        need(parse_stat("254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6 cost.usage=7 "
                        "use_delay=x depth=max"));
        expect_uint(dev, makedev(254, 0));
        expect_uint(use.read_bytes, 1);
        expect_uint(use.write_bytes, 2);
        expect_uint(use.read_ios, 3);
        expect_uint(use.write_ios, 4);
}

static void devices_without_use_on_the_same_line_are_passed_over(void) {
        need(parse_stat("7:0 7:1 8:0 rbytes=9 wbytes=0 rios=1 wios=0"));
        expect_uint(dev, makedev(8, 0));
        expect_uint(use.read_bytes, 9);
        need(parse_stat("7:0 "));
        expect_uint(dev, makedev(7, 0));
        expect_uint(use.read_bytes, 0);
        expect(!parse_stat(""));
        expect(!parse_stat("rbytes=9"));
}

UNIT_MAIN(TEST(a_line_gives_its_limits), TEST(keys_that_are_missing_or_new_are_no_harm),
          TEST(what_is_no_line_sets_nothing), TEST(only_the_given_length_is_read),
          TEST(use_is_read_with_all_that_stands_beside_it),
          TEST(devices_without_use_on_the_same_line_are_passed_over), )
