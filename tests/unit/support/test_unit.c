/* SPDX-License-Identifier: MIT */
/*
 * The tests of the tests: unit.h must count a failure as a failure and a skip as a skip. The
 * program runs itself as a child with a table that fails and skips on purpose.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "unit.h"

static const char *self;

static void passes(void) {
        expect(true);
        expect_int(1, 1);
        expect_str("a", "a");
        expect_within(2.0, 1.9, 2.1);
}

static void fails_and_goes_on(void) {
        expect_int(1, 2);
        expect_str("went on", NULL);
}

static void fails_and_leaves(void) {
        need(false);
        puts("NOT LEFT");
}

static void skips(void) {
        unit_skip("the %s is missing", "means");
}

static const struct unit_test inner[] = {
        TEST(passes), TEST(fails_and_goes_on), TEST(fails_and_leaves), TEST(skips),
};

static int run_inner(const char *name, char *text, size_t size) {
        char command[512];
        size_t n;
        FILE *p;

        snprintf(command, sizeof(command), "UNIT_INNER=1 '%s' %s 2>&1", self, name);
        p = popen(command, "re");
        need(p != NULL);
        n = fread(text, 1, size - 1, p);
        text[n] = '\0';
        return WEXITSTATUS(pclose(p));
}

static void the_exit_status_is_the_number_of_failures(void) {
        char text[4096];

        expect_int(run_inner("", text, sizeof(text)), 2);
        expect_in(text, "1 passed, 2 failed, 1 skipped\n");
        expect_in(text, "  ok      passes");
        expect_in(text, "  FAILED  fails_and_goes_on");
        expect_in(text, "1 is 1, not 2 (2)");
        expect_in(text, "\"went on\" is \"went on\", not \"(null)\"");
        expect(!strstr(text, "NOT LEFT"));
}

static void only_skips_is_a_skip(void) {
        char text[4096];

        expect_int(run_inner("skips", text, sizeof(text)), 77);
        expect_in(text, "  skip    skips: the means is missing");
}

static void an_unknown_name_is_a_failure(void) {
        char text[4096];

        expect(run_inner("nothing_like_it", text, sizeof(text)) > 0);
}

static const struct unit_test outer[] = {
        TEST(passes),
        TEST(the_exit_status_is_the_number_of_failures),
        TEST(only_skips_is_a_skip),
        TEST(an_unknown_name_is_a_failure),
};

int main(int argc, char **argv) {
        self = argv[0];
        if (getenv("UNIT_INNER"))
                return unit_run(argc, argv, inner, sizeof(inner) / sizeof(inner[0]));
        return unit_run(argc, argv, outer, sizeof(outer) / sizeof(outer[0]));
}
