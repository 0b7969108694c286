/* SPDX-License-Identifier: MIT */

/*
 * Numbers with units: tables of what is valid and what it is worth, a list of what is not, tried on
 * every parser, and the promise that what is printed can be read again.
 */

#include <string.h>

#include <base/units.h>
#include <base/why.h>

#include "unit.h"

typedef int (*parser)(const char *text, uint64_t *valuep, struct why *why);

struct example {
        const char *text;
        uint64_t value;
};

#define UNTOUCHED 0xdeadbeef

static const parser parsers[] = {units_parse_size,  units_parse_rate,     units_parse_cpus,
                                 units_parse_ratio, units_parse_duration, units_parse_count};

static void expect_values(parser parse, const struct example *examples, size_t n) {
        for (size_t i = 0; i < n; i++) {
                uint64_t value = UNTOUCHED;
                struct why why = {};
                int r = parse(examples[i].text, &value, &why);

                expect_that(r == 0 && value == examples[i].value, "\"%s\" gave %d, %llu (%s)",
                            examples[i].text, r, (unsigned long long)value, why.text);
        }
}

static void expect_refusal(parser parse, const char *text, int code) {
        uint64_t value = UNTOUCHED;
        struct why why = {};
        int r = parse(text, &value, &why);

        expect_that(r == code && why.code == code, "\"%s\" gave %d, not %d", text, r, code);
        expect_that(value == UNTOUCHED, "\"%s\" changed the value", text);
        expect_that(strstr(why.text, "valid is") != NULL, "no hint in: %s", why.text);
}

static void sizes_come_out_in_bytes(void) {
        static const struct example examples[] = {
                {"0", 0},
                {"1", 1},
                {"007", 7},
                {"512B", 512},
                {"1K", 1024},
                {"1KiB", 1024},
                {"1kB", 1000},
                {"100M", 104857600},
                {"1.5G", 1610612736},
                {"1.5GB", 1500000000},
                {"0.1K", 102},
                {"1.999K", 2046},
                {"2TiB", 2199023255552},
                {"3TB", 3000000000000},
                {"1.000000000000000000", 1},
                {"0.000000000001T", 1},
                {"9223372036854775807", INT64_MAX},
                {"8388607.999999999T", 9223372036854774708},
        };

        expect_values(units_parse_size, examples, ARRAY_SIZE(examples));
}

static void rates_are_kept_in_bytes_per_second(void) {
        static const struct example examples[] = {
                {"0", 0},
                {"8bps", 1},
                {"8bit", 1},
                {"8kbit", 1000},
                {"10Gbps", 1250000000},
                {"10Gbit", 1250000000},
                {"2.5Gbps", 312500000},
                {"1GB/s", 1000000000},
                {"250MB/s", 250000000},
                {"1kB/s", 1000},
                {"1B/s", 1},
                {"1KiB/s", 1024},
                {"1.5MiB/s", 1572864},
                {"100Gbit", 12500000000},
                {"1GiB/s", 1073741824},
                {"0.1kbps", 12},
        };

        expect_values(units_parse_rate, examples, ARRAY_SIZE(examples));
}

static void bits_that_make_no_whole_byte_are_rounded_down(void) {
        static const struct example examples[] = {
                {"9bps", 1}, {"15bps", 1}, {"16bps", 2}, {"1.001kbps", 125}, {"0.008kbps", 1}};

        expect_values(units_parse_rate, examples, ARRAY_SIZE(examples));
}

static void cpus_and_ratios_are_kept_in_thousandths(void) {
        static const struct example examples[] = {{"0", 0},     {"1", 1000},    {"0.5", 500},
                                                  {"0.004", 4}, {"2.25", 2250}, {"16", 16000},
                                                  {"4.0", 4000}};

        expect_values(units_parse_cpus, examples, ARRAY_SIZE(examples));
        expect_values(units_parse_ratio, examples, ARRAY_SIZE(examples));
}

static void a_fourth_place_of_a_cpu_is_refused(void) {
        expect_refusal(units_parse_cpus, "0.0004", UNITS_E_INVALID);
        expect_refusal(units_parse_cpus, "1.0000", UNITS_E_INVALID);
        expect_refusal(units_parse_ratio, "2.5001", UNITS_E_INVALID);
}

static void durations_come_out_in_microseconds(void) {
        static const struct example examples[] = {
                {"0", 0},           {"1us", 1},          {"500ms", 500000},
                {"30s", 30000000},  {"5m", 300000000},   {"5min", 300000000},
                {"1h", 3600000000}, {"1d", 86400000000}, {"1.5h", 5400000000},
                {"0.25s", 250000},
        };

        expect_values(units_parse_duration, examples, ARRAY_SIZE(examples));
}

static void counts_are_plain_numbers(void) {
        static const struct example examples[] = {{"0", 0}, {"64", 64}, {"4194304", 4194304}};

        expect_values(units_parse_count, examples, ARRAY_SIZE(examples));
        expect_refusal(units_parse_count, "1.5", UNITS_E_INVALID);
        expect_refusal(units_parse_count, "1K", UNITS_E_INVALID);
}

static void what_is_no_number_is_refused_by_every_parser(void) {
        static const char *const hostile[] = {
                "",      " ",      "-1",    "+1",    "-0",       " 1",    "1 ",   "\t1",
                "1\n",   "nan",    "NaN",   "inf",   "infinity", "auto",  "max",  "0x10",
                "1e9",   "1E9",    "1.2.3", "1..2",  ".5",       "5.",    ".",    "1,5",
                "1'000", "1_000",  "1 G",   "G",     "MB/s",     "٣",     "１",   "1\xc2\xa0",
                "1\x01", "\x1b[m", "1GG",   "1g",    "1gb",      "1Kb",   "1Bps", "1GBps",
                "1MB/S", "1kb/s",  "1K/s",  "1MiBs", "1e",       "0b1",   "1/2",  "50%",
                "1S",    "1sec",   "1M5",   "--1",   "1-",       "\3771", "$1",   "%n%n%n",
        };

        for (size_t i = 0; i < ARRAY_SIZE(hostile); i++)
                for (size_t j = 0; j < ARRAY_SIZE(parsers); j++)
                        expect_refusal(parsers[j], hostile[i], UNITS_E_INVALID);
}

static void a_rate_or_duration_without_unit_is_refused(void) {
        expect_refusal(units_parse_rate, "100", UNITS_E_INVALID);
        expect_refusal(units_parse_rate, "1G", UNITS_E_INVALID);
        expect_refusal(units_parse_rate, "0.0", UNITS_E_INVALID);
        expect_refusal(units_parse_duration, "30", UNITS_E_INVALID);
}

static void a_number_that_we_cannot_hold_is_out_of_range(void) {
        expect_refusal(units_parse_size, "9223372036854775808", UNITS_E_RANGE);
        expect_refusal(units_parse_size, "18446744073709551615", UNITS_E_RANGE);
        expect_refusal(units_parse_size, "18446744073709551616", UNITS_E_RANGE);
        expect_refusal(units_parse_size, "99999999999999999999999999999999999999", UNITS_E_RANGE);
        expect_refusal(units_parse_size, "8388608T", UNITS_E_RANGE);
        expect_refusal(units_parse_rate, "9223372037GB/s", UNITS_E_RANGE);
        expect_refusal(units_parse_cpus, "9223372036854775.808", UNITS_E_RANGE);
        expect_refusal(units_parse_duration, "106751992d", UNITS_E_RANGE);
        expect_refusal(units_parse_count, "9223372036854775808", UNITS_E_RANGE);
}

static void nothing_small_becomes_zero(void) {
        expect_refusal(units_parse_size, "0.1", UNITS_E_RANGE);
        expect_refusal(units_parse_size, "0.0000000000001K", UNITS_E_RANGE);
        expect_refusal(units_parse_rate, "7bps", UNITS_E_RANGE);
        expect_refusal(units_parse_rate, "0.9B/s", UNITS_E_RANGE);
        expect_refusal(units_parse_duration, "0.5us", UNITS_E_RANGE);
}

static void more_digits_than_we_can_count_exactly_are_refused(void) {
        expect_refusal(units_parse_size, "1.0000000000000000001G", UNITS_E_INVALID);
}

static void a_refusal_quotes_the_text_escaped_and_bounded(void) {
        char text[4096];
        struct why why = {};
        uint64_t value;

        expect_that(units_parse_size("1\x1b[31m\n", &value, &why) == UNITS_E_INVALID, "accepted");
        expect_that(strstr(why.text, "\"1\\x1b[31m\\x0a\"") != NULL, "not escaped: %s", why.text);

        memset(text, '7', sizeof(text));
        text[sizeof(text) - 1] = '\0';
        expect_that(units_parse_rate(text, &value, &why) == UNITS_E_INVALID, "accepted");
        expect_that(strlen(why.text) < 300, "%zu bytes", strlen(why.text));
        expect_that(strstr(why.text, "GiB/s") != NULL, "the hint was cut off: %s", why.text);
}

static void a_parser_needs_no_place_for_a_reason(void) {
        uint64_t value = UNTOUCHED;

        expect_that(units_parse_size("x", &value, NULL) == UNITS_E_INVALID, "accepted");
        expect_that(value == UNTOUCHED, "changed");
}

static void yes_and_no_have_four_spellings_each(void) {
        static const char *const yes[] = {"yes", "true", "on", "1"};
        static const char *const no[] = {"no", "false", "off", "0"};
        static const char *const neither[] = {"", "Yes", "y", "2", "01", "yes ", "enabled", "\xff"};
        struct why why;
        bool value;

        for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
                value = false;
                expect_that(units_parse_bool(yes[i], &value, &why) == 0 && value, "%s", yes[i]);
                value = true;
                expect_that(units_parse_bool(no[i], &value, &why) == 0 && !value, "%s", no[i]);
        }
        for (size_t i = 0; i < ARRAY_SIZE(neither); i++)
                expect_that(units_parse_bool(neither[i], &value, &why) == UNITS_E_INVALID, "%s",
                            neither[i]);
}

typedef const char *(*printer)(uint64_t value, char *buffer, size_t size);

static void expect_texts(printer print, const struct example *examples, size_t n) {
        for (size_t i = 0; i < n; i++) {
                char buffer[UNITS_TEXT_MAX];
                const char *text = print(examples[i].value, buffer, sizeof(buffer));

                expect_that(strcmp(text, examples[i].text) == 0, "%llu prints as %s, not %s",
                            (unsigned long long)examples[i].value, text, examples[i].text);
        }
}

static void people_read_three_digits_and_the_largest_unit(void) {
        static const struct example sizes[] = {
                {"0B", 0},
                {"1023B", 1023},
                {"1K", 1024},
                {"1.5K", 1536},
                {"1M", 1048575}, /* not "1024K" */
                {"1.5G", 1610612736},
                {"512M", 536870912},
                {"85.8M", 90000000},
                {"8388608T", INT64_MAX},
                {"infinity", UINT64_MAX},
        };
        static const struct example rates[] = {
                {"0B/s", 0},       {"250MB/s", 250000000},        {"1.25GB/s", 1250000000},
                {"1MB/s", 999999}, {"12500GB/s", 12500000000000},
        };
        static const struct example durations[] = {
                {"0s", 0},
                {"1us", 1},
                {"1.5ms", 1500},
                {"1s", 999999},
                {"90s", 90000000},
                {"2m", 119999999},
                {"10m", 600000000},
                {"2h", 7200000000},
                {"36h", 129600000000},
                {"2d", 172800000000},
        };
        static const struct example milli[] = {
                {"0", 0}, {"0.004", 4}, {"2.5", 2500}, {"12.345", 12345}, {"16", 16000}};

        expect_texts(units_format_size, sizes, ARRAY_SIZE(sizes));
        expect_texts(units_format_rate, rates, ARRAY_SIZE(rates));
        expect_texts(units_format_duration, durations, ARRAY_SIZE(durations));
        expect_texts(units_format_milli, milli, ARRAY_SIZE(milli));
}

/* Values of every magnitude, the same in every run (xorshift64). */
static uint64_t next_value(uint64_t *statep) {
        *statep ^= *statep << 13;
        *statep ^= *statep >> 7;
        *statep ^= *statep << 17;
        return (*statep >> 1) >> (*statep % 63);
}

static void exact_texts_give_back_the_very_number(void) {
        uint64_t state = 88172645463325252u;

        for (unsigned i = 0; i < 20000; i++) {
                uint64_t value = next_value(&state), size = 0, rate = 0, duration = 0, milli = 0;
                char buffer[UNITS_TEXT_MAX];
                int r;

                value *= i % 3 == 0 && value < UNITS_VALUE_MAX / 1000 ? 1000 : 1;
                r = units_parse_size(units_exact_size(value, buffer, sizeof(buffer)), &size, NULL);
                expect_that(r == 0 && size == value, "%s", buffer);
                r = units_parse_rate(units_exact_rate(value, buffer, sizeof(buffer)), &rate, NULL);
                expect_that(r == 0 && rate == value, "%s", buffer);
                r = units_parse_duration(units_exact_duration(value, buffer, sizeof(buffer)),
                                         &duration, NULL);
                expect_that(r == 0 && duration == value, "%s", buffer);
                r = units_parse_cpus(units_format_milli(value, buffer, sizeof(buffer)), &milli,
                                     NULL);
                expect_that(r == 0 && milli == value, "%s", buffer);
        }
}

/* Three digits, rounded to nearest: half a unit of the third, at worst 0.5 %. */
static bool is_near(uint64_t a, uint64_t b) {
        uint64_t difference = a > b ? a - b : b - a;

        return difference <= a / 200 + 1;
}

static void rounded_texts_are_read_as_nearly_the_number(void) {
        uint64_t state = 88172645463325252u;

        for (unsigned i = 0; i < 20000; i++) {
                uint64_t value = next_value(&state) / 2, back = 0;
                char buffer[UNITS_TEXT_MAX];
                int r;

                r = units_parse_size(units_format_size(value, buffer, sizeof(buffer)), &back, NULL);
                expect_that(r == 0 && is_near(value, back), "%s", buffer);
                r = units_parse_rate(units_format_rate(value, buffer, sizeof(buffer)), &back, NULL);
                expect_that(r == 0 && is_near(value, back), "%s", buffer);
                r = units_parse_duration(units_format_duration(value, buffer, sizeof(buffer)),
                                         &back, NULL);
                expect_that(r == 0 && is_near(value, back), "%s", buffer);
        }
}

UNIT_MAIN(
        TEST(sizes_come_out_in_bytes),
        TEST(rates_are_kept_in_bytes_per_second),
        TEST(bits_that_make_no_whole_byte_are_rounded_down),
        TEST(cpus_and_ratios_are_kept_in_thousandths),
        TEST(a_fourth_place_of_a_cpu_is_refused),
        TEST(durations_come_out_in_microseconds),
        TEST(counts_are_plain_numbers),
        TEST(what_is_no_number_is_refused_by_every_parser),
        TEST(a_rate_or_duration_without_unit_is_refused),
        TEST(a_number_that_we_cannot_hold_is_out_of_range),
        TEST(nothing_small_becomes_zero),
        TEST(more_digits_than_we_can_count_exactly_are_refused),
        TEST(a_refusal_quotes_the_text_escaped_and_bounded),
        TEST(a_parser_needs_no_place_for_a_reason),
        TEST(yes_and_no_have_four_spellings_each),
        TEST(people_read_three_digits_and_the_largest_unit),
        TEST(exact_texts_give_back_the_very_number),
        TEST(rounded_texts_are_read_as_nearly_the_number),
)
