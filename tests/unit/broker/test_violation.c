/* SPDX-License-Identifier: MIT */
#include <broker/violation.h>

#include "unit.h"

#define RECORD                                                                                     \
        "5,812,1234567,-;audit: type=1326 audit(1763742000.123:7): auid=4294967295 uid=1000 "      \
        "gid=1000 ses=4294967295 subj=unconfined pid=321 comm=\"probe\" exe=\"/run/probe\" "       \
        "sig=31 arch=c000003e syscall=170 compat=0 ip=0x7f12 code=0x80000000"

static void the_call_is_that_of_the_process(void) {
        int number = -1;

        expect(violation_parse(RECORD, 321, &number));
        expect_int(number, 170);
        expect(!violation_parse(RECORD, 32, &number));
        expect(!violation_parse(RECORD, 170, &number));
}

static void what_a_program_may_choose_is_not_believed(void) {
        int number = -1;

        /* Not from audit; no record of seccomp; torn. */
        expect(!violation_parse("6,1,1,-;pid=321 syscall=1", 321, &number));
        expect(!violation_parse("5,1,1,-;audit: type=1300 audit(1:1): pid=321 exe=\"a\" syscall=1",
                                321, &number));
        expect(!violation_parse("5,1,1,-;audit: type=1326 audit(1:1): pid=321", 321, &number));
        expect(!violation_parse("", 321, &number));
        expect_int(number, -1);
}

UNIT_MAIN(TEST(the_call_is_that_of_the_process), TEST(what_a_program_may_choose_is_not_believed), )
