/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A test file is a handful of functions whose names are sentences about behaviour, and a table
 * of them:
 *
 *         #include "unit.h"
 *
 *         static void refused_charge_leaves_ledger_untouched(void) {
 *                 ...
 *                 expect_int(ledger_charge(&ledger, &demand), LEDGER_E_FULL);
 *                 expect(demand_is_zero(&ledger.allocated));
 *         }
 *
 *         UNIT_MAIN(
 *                 TEST(refused_charge_leaves_ledger_untouched),
 *                 TEST(...),
 *         )
 *
 * CUnit underneath keeps the books of assertions: its own macros (CU_ASSERT_EQUAL, ...) may be
 * used side by side with those here, which also print what they found. expect_*() notes a
 * failure and goes on; need_*() notes it and leaves the test (by longjmp: cleanup attributes of
 * the test function do not run).
 *
 * The program prints one line for each test and a summary, takes names (or parts of names) of
 * the tests to run as arguments, and returns the number of failed tests (at most 70), or 77 if
 * every test was skipped.
 */

#include <CUnit/CUnit.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct unit_test {
        const char *name;
        void (*run)(void);
};

#define TEST(function) { #function, function }

#define UNIT_MAIN(...)                                                                  \
        int main(int argc, char **argv) {                                               \
                static const struct unit_test unit_tests[] = { __VA_ARGS__ };           \
                                                                                        \
                return unit_run(argc, argv, unit_tests,                                 \
                                sizeof(unit_tests) / sizeof(unit_tests[0]));            \
        }

/* Two numbers are compared as intmax_t: say expect_uint() for what may exceed INT64_MAX. */
#define expect(condition) \
        unit_check((condition), false, __FILE__, __LINE__, "%s", #condition)
#define need(condition) \
        unit_check((condition), true, __FILE__, __LINE__, "%s", #condition)
#define expect_int(is, wanted) \
        unit_check_int((is), (wanted), false, __FILE__, __LINE__, #is, #wanted)
#define need_int(is, wanted) \
        unit_check_int((is), (wanted), true, __FILE__, __LINE__, #is, #wanted)
#define expect_uint(is, wanted) \
        unit_check_uint((is), (wanted), false, __FILE__, __LINE__, #is, #wanted)
#define need_uint(is, wanted) \
        unit_check_uint((is), (wanted), true, __FILE__, __LINE__, #is, #wanted)
#define expect_str(is, wanted) \
        unit_check_str((is), (wanted), false, __FILE__, __LINE__, #is)
#define need_str(is, wanted) \
        unit_check_str((is), (wanted), true, __FILE__, __LINE__, #is)
/* The first string contains the second. */
#define expect_in(is, part) \
        unit_check_in((is), (part), false, __FILE__, __LINE__, #is)
/* low <= is <= high, for what is measured. */
#define expect_within(is, low, high) \
        unit_check_within((double)(is), (double)(low), (double)(high), __FILE__, __LINE__, #is)
/* As expect() and need(), with a sentence of one's own. */
#define expect_that(condition, ...) \
        unit_check((condition), false, __FILE__, __LINE__, __VA_ARGS__)
#define need_that(condition, ...) \
        unit_check((condition), true, __FILE__, __LINE__, __VA_ARGS__)

/**
 * unit_skip() - leave the running test as skipped
 * @format: the reason, which is shown
 */
void unit_skip(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/** unit_note() - print a line below the running test, for what was measured */
void unit_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

int unit_run(int argc, char **argv, const struct unit_test *tests, size_t n_tests);
bool unit_check(bool good, bool fatal, const char *file, int line, const char *format, ...)
        __attribute__((format(printf, 5, 6)));
bool unit_check_int(intmax_t is, intmax_t wanted, bool fatal, const char *file, int line,
                    const char *is_text, const char *wanted_text);
bool unit_check_uint(uintmax_t is, uintmax_t wanted, bool fatal, const char *file, int line,
                     const char *is_text, const char *wanted_text);
bool unit_check_str(const char *is, const char *wanted, bool fatal, const char *file, int line,
                    const char *is_text);
bool unit_check_in(const char *is, const char *part, bool fatal, const char *file, int line,
                   const char *is_text);
bool unit_check_within(double is, double low, double high, const char *file, int line,
                       const char *is_text);
