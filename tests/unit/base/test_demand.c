/* SPDX-License-Identifier: MIT */

/*
 * The resource vector, and the sentence that goes with an answer.
 */

#include <string.h>

#include <base/demand.h>
#include <base/why.h>

#include "unit.h"

static void every_resource_is_found_by_its_own_name(void) {
        enum resource found = _RESOURCE_N;

        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                expect(resource_from_name(resource_name(i), &found));
                expect_uint(found, i);
        }
        found = RESOURCE_GPU;
        expect(!resource_from_name("CPU", &found));
        expect(!resource_from_name("", &found));
        expect(!resource_from_name("diskio", &found));
        expect_uint(found, RESOURCE_GPU);
}

static void an_amount_is_printed_in_the_unit_of_its_resource(void) {
        char buffer[32];

        expect_str(resource_format(RESOURCE_CPU, 2500, buffer, sizeof(buffer)), "2.5");
        expect_str(resource_format(RESOURCE_MEMORY, 536870912, buffer, sizeof(buffer)), "512M");
        expect_str(resource_format(RESOURCE_DISK, 0, buffer, sizeof(buffer)), "0B");
        expect_str(resource_format(RESOURCE_DISK_IO, 1250000000, buffer, sizeof(buffer)),
                   "1.25GB/s");
        expect_str(resource_format(RESOURCE_NETWORK, 250000000, buffer, sizeof(buffer)), "250MB/s");
        expect_str(resource_format(RESOURCE_NETWORK_UPLOAD, 250000000, buffer, sizeof(buffer)),
                   "250MB/s");
        expect_str(resource_format(RESOURCE_GPU, 3, buffer, sizeof(buffer)), "3");
}

static void a_sum_that_overflows_on_one_axis_changes_none(void) {
        struct demand a = {{1, 2, 3, 4, 5, 6, 7}}, b = {{1, 1, 1, 1, UINT64_MAX, 1, 1}};
        struct demand sum = {{9, 9, 9, 9, 9, 9, 9}}, before = sum;

        expect(!demand_add(&sum, &a, &b));
        expect(demand_equal(&sum, &before));
        b.amount[RESOURCE_NETWORK] = UINT64_MAX - 5;
        expect(demand_add(&sum, &a, &b));
        expect_uint(sum.amount[RESOURCE_NETWORK], UINT64_MAX);
        expect_uint(sum.amount[RESOURCE_CPU], 2);
}

static void what_was_added_can_be_taken_away(void) {
        const struct demand a = {{1, 2, 3, 4, 5, 6, 7}}, b = {{10, 20, 30, 40, 50, 60, 70}};
        struct demand sum;

        expect(demand_is_zero(&(struct demand){}));
        expect(!demand_is_zero(&a));
        expect(demand_add(&sum, &a, &b));
        demand_sub(&sum, &sum, &b);
        expect(demand_equal(&sum, &a));
        demand_sub(&sum, &sum, &a);
        expect(demand_is_zero(&sum));
}

static void an_answer_keeps_its_code_and_sentence(void) {
        struct why why = {.errnum = 5};

        expect_int(why_set(&why, 3, "no %s", "room"), 3);
        expect_int(why.code, 3);
        expect_int(why.errnum, 0);
        expect_str(why.text, "no room");
        expect_int(why_set(NULL, 4, "nobody asked"), 4);
}

static void a_refusal_by_the_kernel_keeps_its_errno_and_text(void) {
        struct why why = {};

        expect_int(why_errno(&why, 2, ENOENT, "cannot open '%s'", "x"), 2);
        expect_int(why.errnum, ENOENT);
        expect_str(why.text, "cannot open 'x': No such file or directory");
        expect_int(why_errno(&why, 2, 99999, "cannot"), 2);
        expect_str(why.text, "cannot: ?");
        expect_int(why_errno(NULL, 2, ENOENT, "nobody asked"), 2);
}

static void a_long_sentence_is_cut_at_its_end(void) {
        char text[2 * WHY_TEXT_MAX];
        struct why why = {};

        memset(text, 'x', sizeof(text));
        text[sizeof(text) - 1] = '\0';
        why_set(&why, 1, "%s", text);
        expect_uint(strlen(why.text), WHY_TEXT_MAX - 1);
        why_errno(&why, 1, ENOENT, "%s", text);
        expect_uint(strlen(why.text), WHY_TEXT_MAX - 1);
}

UNIT_MAIN(TEST(every_resource_is_found_by_its_own_name),
          TEST(an_amount_is_printed_in_the_unit_of_its_resource),
          TEST(a_sum_that_overflows_on_one_axis_changes_none),
          TEST(what_was_added_can_be_taken_away), TEST(an_answer_keeps_its_code_and_sentence),
          TEST(a_refusal_by_the_kernel_keeps_its_errno_and_text),
          TEST(a_long_sentence_is_cut_at_its_end), )
