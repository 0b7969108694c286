/* SPDX-License-Identifier: MIT */
/*
 * The lease record, as a crash, another version or another program may have left it: whatever is
 * taken holds its bounds and is what is written again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <base/text.h>
#include <base/why.h>
#include <cgroup/record.h>

#define check(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct record record = {}, again = {};
        char text[RECORD_MAX];
        struct why why = {};
        bool known;
        int r, n;

        r = record_parse(&record, (const char *)data, size, &known, &why);
        check(r == 0 || r == CGROUP_E_RECORD);
        if (r) {
                check(why.text[0] && !strpbrk(why.text, "\n\033"));
                return 0;
        }
        check(known);
        check(record.id[0] && record.name[0] && record.slice[0]);
        check(!strchr(record.name, '/') && !strchr(record.id, '/'));
        check(text_check_slice("slice", record.slice, &why) == 0);
        n = record_format(&record, text);
        check(n > 0 && n <= RECORD_MAX);
        check(record_parse(&again, text, (size_t)n, &known, &why) == 0);
        check(demand_equal(&record.charge, &again.charge));
        check(strcmp(record.name, again.name) == 0 && strcmp(record.command, again.command) == 0);
        return 0;
}
