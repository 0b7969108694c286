/* SPDX-License-Identifier: MIT */

/*
 * One file's text, from memory: what inih would let pass, and what must be told with its line.
 */

#include <stdio.h>
#include <string.h>

#include <policies/parse.h>
#include <policies/policy.h>
#include <policies/value.h>

#include "unit.h"

struct result {
        struct broker_policy broker;
        struct policy_errors errors;
        char text[4096];
};

static void parse_bytes(struct result *result, const char *bytes, size_t length) {
        struct unit unit = {
                .file = POLICY_FILE_BROKER,
                .object = &result->broker,
                .errors = &result->errors,
        };
        size_t used = 0;

        memset(result, 0, sizeof(*result));
        need_int(value_set_defaults(unit.file, unit.object), 0);
        need_int(parse_text(&unit, "f", bytes, length), 0);
        for (size_t i = 0; i < result->errors.n && used < sizeof(result->text); i++) {
                char line[1200];

                policy_error_format(&result->errors.list[i], line, sizeof(line));
                used += (size_t)snprintf(result->text + used, sizeof(result->text) - used, "%s\n",
                                         line);
        }
}

static void parse(struct result *result, const char *text) {
        parse_bytes(result, text, strlen(text));
}

static void expect_good(const char *text, uint64_t vms_max) {
        struct result result;

        parse(&result, text);
        expect_that(result.errors.n == 0, "\"%s\": %s", text, result.text);
        expect_that(result.broker.vms_max == vms_max, "\"%s\" gave %llu", text,
                    (unsigned long long)result.broker.vms_max);
}

static void expect_error(const char *text, const char *error) {
        struct result result;

        parse(&result, text);
        expect_that(result.errors.n == 1, "%zu errors for \"%s\": %s", result.errors.n, text,
                    result.text);
        expect_in(result.text, error);
}

static void blanks_comments_and_line_ends_do_not_count(void) {
        expect_good("", 4096);
        expect_good("\n\n# x\n; y\n", 4096);
        expect_good("[Broker]\nMaxVMs=7", 7);
        expect_good("[Broker]\r\nMaxVMs=7\r\n", 7);
        expect_good("\xef\xbb\xbf[Broker]\nMaxVMs=7\n", 7);
        expect_good("  [Broker]  \n\t MaxVMs \t=\t 7 \t\n", 7);
        expect_good("[Broker]\nMaxVMs=7 ; seven\n", 7);
        expect_good("[Broker] ; the broker\nMaxVMs=7\n", 7);
        expect_good("#[Broker\n[Broker]\n#MaxVMs=x\nMaxVMs=7\n", 7);
        expect_good("\xef\xbb\xbf", 4096);
}

static void the_later_assignment_wins(void) {
        expect_good("[Broker]\nMaxVMs=7\nMaxVMs=8\n", 8);
        expect_good("[Broker]\nMaxVMs=7\n[Ratio]\n[Broker]\nMaxVMs=8\n", 8);
        expect_good("[Broker]\nMaxVMs=7\nMaxVMs=\n", 4096);
}

static void an_indented_line_is_a_line_of_its_own(void) {
        /* inih would take the second as one more value of the first */
        expect_good("[Broker]\nMaxQueued=1\n  MaxVMs=7\n", 7);
        expect_error("[Broker]\nMaxVMs=7\n  8\n", "f:3: this is no Key=value");
}

static void a_long_line_is_refused_not_cut(void) {
        char text[1024];

        /* the first 200 bytes alone would be valid */
        snprintf(text, sizeof(text), "[Broker]\nMaxVMs=%0184d8\n", 7);
        expect_error(text, "f:2: the line is longer than 190 bytes");
        snprintf(text, sizeof(text), "[Broker]\nMaxVMs=%0183d\n", 7);
        expect_good(text, 7);
        snprintf(text, sizeof(text), "[Broker]\n#%0900d\nMaxVMs=7\n", 7);
        expect_good(text, 7);
}

static void lines_are_counted_behind_a_long_one(void) {
        struct result result;
        char text[2048];

        snprintf(text, sizeof(text), "[Broker]\nMaxQueued=%0900d\n\nMaxVMs=x\n", 7);
        parse(&result, text);
        need_uint(result.errors.n, 2);
        expect_uint(result.errors.list[0].line, 2);
        expect_uint(result.errors.list[1].line, 4);
}

static void a_file_with_a_nul_is_refused_as_a_whole(void) {
        static const char bytes[] = "[Broker]\nMaxVMs=7\nMax\0VMs=x\nMaxVMs=y\n";
        struct result result;

        parse_bytes(&result, bytes, sizeof(bytes) - 1);
        expect_uint(result.errors.n, 1);
        expect_in(result.text, "f:3: the file holds a NUL byte");
        expect_uint(result.broker.vms_max, 4096);
        parse_bytes(&result, "\0", 1);
        expect_uint(result.errors.n, 1);
}

static void a_file_in_utf16_is_refused(void) {
        static const char bytes[] = "\xff\xfe[\0B\0r\0";
        struct result result;

        parse_bytes(&result, bytes, sizeof(bytes) - 1);
        expect_uint(result.errors.n, 1);
}

static void binary_garbage_is_told_within_bounds(void) {
        struct result result;
        char bytes[65536];
        unsigned state = 1;

        for (size_t i = 0; i < sizeof(bytes); i++) {
                state = state * 1103515245 + 12345;
                bytes[i] = (char)(state >> 16 & 0xff ?: 1);
        }
        parse_bytes(&result, bytes, sizeof(bytes));
        expect_uint(result.errors.n, POLICY_ERRORS_MAX);
        expect(result.errors.n_more > 0);
        for (size_t i = 0; i < result.errors.n; i++) {
                char line[1200];

                policy_error_format(&result.errors.list[i], line, sizeof(line));
                expect(text_is_printable(line));
        }
}

static void what_is_no_line_of_a_policy_is_an_error(void) {
        expect_error("[Broker]\nMaxVMs\n", "f:2: this is no Key=value, no [Section]");
        expect_error("[Broker]\nMaxVMs 7\n", "f:2: this is no Key=value");
        expect_error("[Broker\nMaxVMs=7\n", "f:1: a section begins with '[' and ends with ']'");
        expect_error("[Broker] x\nMaxVMs=7\n", "f:1: nothing may stand behind the ']'");
        expect_error("MaxVMs=7\n", "f:1: MaxVMs=: the key stands before the first [Section]");
        expect_error("[Broker]\nMaxVMs", "f:2: this is no Key=value");
        expect_error("[Broker]\n=7\n", "f:2: [Broker] there is no such key");
        expect_error("]\n", "f:1: this is no Key=value");
}

static void an_unknown_section_is_told_once_with_the_nearest(void) {
        expect_error("[Brokre]\nMaxVMs=x\nMaxQueued=y\nzzz\n",
                     "f:1: there is no section [Brokre] (do you mean [Broker]?)");
        expect_error("[broker]\n", "do you mean [Broker]?");
        expect_error("[ Broker ]\n", "do you mean [Broker]?");
        expect_error("[]\n", "there is no section []; valid are [Broker] [Capacity] [Reserve]");
        expect_error("[Slice]\n", "there is no section [Slice]; valid are [Broker]");
        expect_error("[\x1b[31m]\n", "[\\x1b[31m]");
}

static void an_unknown_key_is_told_with_the_nearest(void) {
        expect_error("[Broker]\nMaxVM=7\n", "f:2: [Broker] MaxVM=: there is no such key; do you "
                                            "mean MaxVMs=?");
        expect_error("[Broker]\nmaxvms=7\n", "do you mean MaxVMs=?");
        expect_error("[Broker]\nGracePreiod=7s\n", "do you mean GracePeriod=?");
        expect_error("[Broker]\nMemoryHigh=0.9\n", "it belongs to [Enforce]");
        expect_error("[Broker]\nXyzzyPlugh=7\n", "provium.conf(5) lists them");
        expect_error("[Broker]\n\x1b[2J=7\n", "[Broker] \\x1b[2J=: there is no such key");
}

static void a_bad_value_is_told_with_what_is_valid(void) {
        expect_error("[Broker]\nMaxVMs=0\n", "f:2: [Broker] MaxVMs=: \"0\" is out of range; valid "
                                             "is 1 to 65535");
        expect_error("[Broker]\nGracePeriod=2h\n", "\"2h\" is out of range; valid is 0 to 1h");
        expect_error("[Broker]\nGracePeriod=10\n", "\"10\" is not a duration; valid is a number");
        expect_error("[Broker]\nBestEffort=maybe\n", "\"maybe\" is neither yes nor no");
        expect_error("[Broker]\nDataDirectory=data\n", "give an absolute path without \"..\"");
        expect_error("[Broker]\nDataDirectory=/a/../b\n", "give an absolute path");
        expect_error("[Broker]\nDataDirectory=/a/..\n", "give an absolute path");
        expect_error("[Capacity]\nMemory=12\n",
                     "\"12\" is too small; valid is 1M or more, or auto");
        expect_error("[Capacity]\nMemory=lots\n", "\"lots\" is not a size; valid is bytes");
        expect_error("[Capacity]\nMemory=infinity\n", ", or auto");
        expect_error("[Capacity]\nNetwork=10G\n", "\"10G\" is not a rate");
        expect_error("[Capacity]\nCPU=0\n", "is out of range");
        expect_error("[Claim]\nMemory=auto\n", "\"auto\" is not a size");
        expect_error("[Enforce]\nCpuHeadroom=1.5\n", "valid is 0 to 1");
        expect_error("[Enforce]\nMemoryHigh=0\n", "valid is 0.001 to 1, or infinity");
        expect_error("[Enforce]\nPidsMax=0\n", "valid is 1 to 4194304, or auto, or infinity");
        expect_error("[Ratio]\nCPU=nan\n", "\"nan\" is not a ratio");
        expect_error("[Ratio]\nCPU=-1\n", "\"-1\" is not a ratio");
        expect_error("[Ratio]\nCPU=0\n", "\"0\" is too small");
}

static void a_bad_value_leaves_the_one_before(void) {
        struct result result;

        parse(&result, "[Broker]\nMaxVMs=7\nMaxVMs=x\n");
        expect_uint(result.errors.n, 1);
        expect_uint(result.broker.vms_max, 7);
}

static void an_error_without_line_or_key_is_printed_without(void) {
        struct policy_error error = {.path = "/etc/x", .text = "it is a symbolic link"};
        char line[256], small[8];

        expect_str(policy_error_format(&error, line, sizeof(line)),
                   "/etc/x: it is a symbolic link");
        error.line = 3;
        expect_str(policy_error_format(&error, line, sizeof(line)),
                   "/etc/x:3: it is a symbolic link");
        expect_str(policy_error_format(&error, small, sizeof(small)), "/etc/x:");
}

UNIT_MAIN(
        TEST(blanks_comments_and_line_ends_do_not_count),
        TEST(the_later_assignment_wins),
        TEST(an_indented_line_is_a_line_of_its_own),
        TEST(a_long_line_is_refused_not_cut),
        TEST(lines_are_counted_behind_a_long_one),
        TEST(a_file_with_a_nul_is_refused_as_a_whole),
        TEST(a_file_in_utf16_is_refused),
        TEST(binary_garbage_is_told_within_bounds),
        TEST(what_is_no_line_of_a_policy_is_an_error),
        TEST(an_unknown_section_is_told_once_with_the_nearest),
        TEST(an_unknown_key_is_told_with_the_nearest),
        TEST(a_bad_value_is_told_with_what_is_valid),
        TEST(a_bad_value_leaves_the_one_before),
        TEST(an_error_without_line_or_key_is_printed_without),
)
