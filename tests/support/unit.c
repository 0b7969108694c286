/* SPDX-License-Identifier: MIT */
/*
 * The runner behind unit.h: a thin layer over CUnit, which keeps the registry and counts the
 * assertions. CUnit's own "basic" interface is not used, because it has no notion of a skipped
 * test and prints no times.
 */
#include <CUnit/CUnit.h>
#include <CUnit/TestDB.h>
#include <CUnit/TestRun.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"

#define EXIT_SKIPPED 77
#define FAILURES_MAX 70                 /* an exit status must stay clear of 77 and of signals */

/* The state of the one running test; CUnit itself is a set of globals, too. */
static struct {
        const struct unit_test *test;
        jmp_buf skip;
        char reason[256];
        bool skipped;
} running;

static void run_current(void) {
        if (setjmp(running.skip) == 0)
                running.test->run();
}

void unit_skip(const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        vsnprintf(running.reason, sizeof(running.reason), format, ap);
        va_end(ap);
        running.skipped = true;
        longjmp(running.skip, 1);
}

void unit_note(const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        printf("          ");
        vprintf(format, ap);
        putchar('\n');
        va_end(ap);
        fflush(stdout);
}

__attribute__((format(printf, 5, 0)))
static bool check_v(bool good, bool fatal, const char *file, int line, const char *format,
                    va_list ap) {
        char text[1024];

        vsnprintf(text, sizeof(text), format, ap);
        CU_assertImplementation(good, (unsigned)line, text, file, "", fatal);
        return good;
}

bool unit_check(bool good, bool fatal, const char *file, int line, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        check_v(good, fatal, file, line, format, ap);
        va_end(ap);
        return good;
}

bool unit_check_int(intmax_t is, intmax_t wanted, bool fatal, const char *file, int line,
                    const char *is_text, const char *wanted_text) {
        return unit_check(is == wanted, fatal, file, line, "%s is %jd, not %s (%jd)", is_text, is,
                          wanted_text, wanted);
}

bool unit_check_uint(uintmax_t is, uintmax_t wanted, bool fatal, const char *file, int line,
                     const char *is_text, const char *wanted_text) {
        return unit_check(is == wanted, fatal, file, line, "%s is %ju, not %s (%ju)", is_text, is,
                          wanted_text, wanted);
}

static const char *quoted_or_null(const char *s) {
        return s ? s : "(null)";
}

bool unit_check_str(const char *is, const char *wanted, bool fatal, const char *file, int line,
                    const char *is_text) {
        bool same = is && wanted ? strcmp(is, wanted) == 0 : is == wanted;

        return unit_check(same, fatal, file, line, "%s is \"%s\", not \"%s\"", is_text,
                          quoted_or_null(is), quoted_or_null(wanted));
}

bool unit_check_in(const char *is, const char *part, bool fatal, const char *file, int line,
                   const char *is_text) {
        return unit_check(is && strstr(is, part), fatal, file, line, "%s is \"%s\", without \"%s\"",
                          is_text, quoted_or_null(is), part);
}

bool unit_check_within(double is, double low, double high, const char *file, int line,
                       const char *is_text) {
        return unit_check(is >= low && is <= high, false, file, line,
                          "%s is %.6g, outside %.6g to %.6g", is_text, is, low, high);
}

static double now_ms(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static bool wanted(int argc, char **argv, const char *name) {
        for (int i = 1; i < argc; i++)
                if (strstr(name, argv[i]))
                        return true;
        return argc < 2;
}

static void print_failures(void) {
        for (CU_pFailureRecord f = CU_get_failure_list(); f; f = f->pNext)
                if (f->pTest && f->strCondition)
                        printf("          %s:%u: %s\n", f->strFileName ? f->strFileName : "?",
                               f->uiLineNumber, f->strCondition);
}

int unit_run(int argc, char **argv, const struct unit_test *tests, size_t n_tests) {
        unsigned passed = 0, failed = 0, skipped = 0;
        CU_pSuite suite;

        setvbuf(stdout, NULL, _IOLBF, 0);
        if (argc == 2 && strcmp(argv[1], "--list") == 0) {
                for (size_t i = 0; i < n_tests; i++)
                        puts(tests[i].name);
                return 0;
        }
        if (CU_initialize_registry() != CUE_SUCCESS)
                return FAILURES_MAX;
        suite = CU_add_suite("unit", NULL, NULL);
        if (!suite)
                return FAILURES_MAX;
        CU_set_error_action(CUEA_IGNORE);

        for (size_t i = 0; i < n_tests; i++) {
                double begin_ms, took_ms;
                CU_pTest test;
                pid_t pid = getpid();

                if (!wanted(argc, argv, tests[i].name))
                        continue;
                running.test = &tests[i];
                running.skipped = false;
                test = CU_add_test(suite, tests[i].name, run_current);
                if (!test)
                        return FAILURES_MAX;
                begin_ms = now_ms();
                CU_run_test(suite, test);
                took_ms = now_ms() - begin_ms;
                if (getpid() != pid) {
                        /* A child of the test returned instead of leaving: never run the rest. */
                        fprintf(stderr, "a forked child came back from %s\n", tests[i].name);
                        _exit(FAILURES_MAX);
                }
                if (CU_get_number_of_failures() > 0) {
                        failed++;
                        printf("  FAILED  %s (%.1f ms)\n", tests[i].name, took_ms);
                        print_failures();
                } else if (running.skipped) {
                        skipped++;
                        printf("  skip    %s: %s\n", tests[i].name, running.reason);
                } else {
                        passed++;
                        printf("  ok      %s (%.1f ms)\n", tests[i].name, took_ms);
                }
        }
        CU_cleanup_registry();
        printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
        if (passed + failed + skipped == 0) {
                fprintf(stderr, "no test has such a name\n");
                return FAILURES_MAX;
        }
        if (failed == 0 && passed == 0)
                return EXIT_SKIPPED;
        return failed > FAILURES_MAX ? FAILURES_MAX : (int)failed;
}
