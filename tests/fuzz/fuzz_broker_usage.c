/* SPDX-License-Identifier: MIT */
/*
 * A log of usage, as a crash, another version or another program may have left it: what of it is
 * taken is what would be written again, each lease counts once, and no sum is larger than its
 * parts.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <broker/usage_sum.h>

#define check(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(const char *text, size_t length) {
        char printed[USAGE_LINE_MAX], twice[USAGE_LINE_MAX];
        struct usage_line line, again;
        size_t n;

        if (!usage_line_parse(&line, text, length))
                return;
        check(line.id[0] && line.vm[0] && line.slice[0] && line.reason[0]);
        n = usage_line_format(&line, printed);
        check(n < USAGE_LINE_MAX && printed[n - 1] == '\n');
        check(usage_line_parse(&again, printed, n - 1));
        check(usage_line_format(&again, twice) == n && memcmp(printed, twice, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct usage_sum sum = {.by = USAGE_BY_VM,
                                .everybody = true,
                                .since_ns = UINT64_C(1600000000000000000),
                                .until_ns = UINT64_C(1800000000000000000)};
        const char *at = (const char *)data, *end = at + size;
        size_t lines = 0;

        while (at < end) {
                const char *newline = memchr(at, '\n', (size_t)(end - at));
                size_t length = (size_t)((newline ?: end) - at);

                check_line(at, length);
                check(usage_sum_add_text(&sum, at, length) == 0);
                lines++;
                at += length + (newline != NULL);
        }
        check(sum.n_ids + sum.bad_lines <= lines);
        check(sum.total.vms <= sum.n_ids && sum.n_rows <= sum.total.vms);
        check(sum.total.in_part <= sum.total.vms && sum.total.running <= sum.total.vms);
        usage_sum_deinit(&sum);
        return 0;
}
