/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <base/why.h>
#include <cli/when.h>

#include "unit.h"

#define SECOND UINT64_C(1000000000)
#define NOW (UINT64_C(1793534400) * SECOND) /* 2026-11-01 12:00 UTC */

/* Three hours east of Greenwich all the year. */
static void in_the_east(void) {
        setenv("TZ", "EAST-3", 1);
        tzset();
}

static uint64_t seconds_of(const char *text) {
        struct why why = {};
        uint64_t ns = 0;

        need_that(when_parse(text, NOW, &ns, &why) == 0, "'%s' is a time: %s", text, why.text);
        return ns / SECOND;
}

static void what_a_person_writes_is_understood(void) {
        static const struct {
                const char *text;
                uint64_t seconds;
        } times[] = {
                {"now", 1793534400},
                {"today", 1793480400},
                {"yesterday", 1793394000},
                {"-90s", 1793534310},
                {"-30m", 1793532600},
                {"-12h", 1793491200},
                {"-7d", 1792929600},
                {"-2w", 1792324800},
                {"2026-11-01", 1793480400},
                {"2026-11-01 14:30", 1793532600},
                {"2026-11-01T14:30:05", 1793532605},
                {"2026-11-01T11:30:05Z", 1793532605},
                {"2026-11-01T14:30:05+03:00", 1793532605},
                {"2026-11-01T06:30:05-05:00", 1793532605},
                {"2026-11-01T11:30Z", 1793532600},
                {"@1793534400", 1793534400},
                {"@0", 0},
                {"2024-02-29T00:00Z", 1709164800},
        };

        in_the_east();
        for (size_t i = 0; i < ARRAY_SIZE(times); i++)
                expect_that(seconds_of(times[i].text) == times[i].seconds, "'%s' is %ju, not %ju",
                            times[i].text, (uintmax_t)seconds_of(times[i].text),
                            (uintmax_t)times[i].seconds);
        /* Before there was a clock is its beginning. */
        expect_uint(seconds_of("-99999w"), 0);
}

static void anything_else_is_refused_with_what_is_valid(void) {
        static const char *const wrong[] = {
                "",
                "-",
                "-d",
                "-7",
                "-7y",
                "--7d",
                "-1.5h",
                "7d",
                "tomorrow",
                "2026",
                "2026-11",
                "2026-13-01",
                "2026-02-30",
                "2026-00-01",
                "2026-11-00",
                "2025-02-29",
                "2026-11-01T",
                "2026-11-01T24:00",
                "2026-11-01T12:60",
                "2026-11-01T12:30:60",
                "2026-11-01T12",
                "2026-11-01 12:30 ",
                "2026-11-01T12:30+3:00",
                "2026-11-01T12:30+24:00",
                "2026-11-01Z",
                "1969-12-31",
                "2026-11-01T12:30:05.5",
                "@",
                "@-1",
                "@1e9",
                "@99999999999999999999",
                "2026-11-01T12:30:05+03:00+03:00+03:00",
                "n\x1bow",
        };
        uint64_t ns = 7;

        in_the_east();
        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                struct why why = {};

                expect_that(when_parse(wrong[i], NOW, &ns, &why) == WHEN_E_INVALID,
                            "'%s' is refused", wrong[i]);
                expect_in(why.text, "2026-11-01");
                expect(!strchr(why.text, '\x1b'));
        }
        expect_uint(ns, 7);
}

int main(int argc, char **argv) {
        static const struct unit_test tests[] = {
                TEST(what_a_person_writes_is_understood),
                TEST(anything_else_is_refused_with_what_is_valid),
        };

        return unit_run(argc, argv, tests, ARRAY_SIZE(tests));
}
