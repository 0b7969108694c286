/* SPDX-License-Identifier: MIT */
/* rig: --mem 1G --timeout 120 --beside */
/*
 * KSM is tuned while the broker runs, and as it was when it has ended, whichever way that was.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "house.h"

#define KSM "/sys/kernel/mm/ksm/"
#define KSM_ON "[Gates]\nPSI=no\n"

/* "run pages_to_scan sleep_millisecs" */
static const char *ksm_now(char text[64]) {
        char run[16], pages[16], sleep[16];

        file_get(KSM "run", run, sizeof(run));
        file_get(KSM "pages_to_scan", pages, sizeof(pages));
        file_get(KSM "sleep_millisecs", sleep, sizeof(sleep));
        snprintf(text, 64, "%s %s %s", run, pages, sleep);
        return text;
}

static void ksm_open(struct house *house) {
        need_int(file_put(KSM "run", "0"), 0);
        need_int(file_put(KSM "pages_to_scan", "77"), 0);
        need_int(file_put(KSM "sleep_millisecs", "33"), 0);
        house_open(house, NULL, NULL);
        house_stop(house);
        house_gates(KSM_ON);
}

static void what_was_there_is_put_back_when_the_broker_stops(void) {
        struct house house;
        char text[64];

        ksm_open(&house);
        house_start(&house);
        expect_str(ksm_now(text), "1 1000 100");
        expect(house_log_has(
                "KSM: run 0 -> 1, pages_to_scan 77 -> 1000, sleep_millisecs 33 -> 100; "
                "put back at the end\n"));
        house_reload(&house);
        expect_str(ksm_now(text), "1 1000 100");
        house_stop(&house);
        expect_str(ksm_now(text), "0 77 33");
        house_start(&house);
        house_close(&house);
        expect_str(ksm_now(text), "0 77 33");
}

static void after_a_crash_the_next_broker_puts_it_back(void) {
        struct house house;
        char text[64];

        ksm_open(&house);
        house_start(&house);
        house_kill(&house);
        expect_str(ksm_now(text), "1 1000 100");
        house_start(&house);
        house_kill(&house);
        house_start(&house);
        expect_str(ksm_now(text), "1 1000 100");
        house_stop(&house);
        expect_str(ksm_now(text), "0 77 33");

        /* Also one that does not want it any more. */
        house_start(&house);
        house_kill(&house);
        house_gates(NULL);
        house_start(&house);
        expect_str(ksm_now(text), "0 77 33");
        house_close(&house);
        expect_str(ksm_now(text), "0 77 33");
}

static void what_somebody_else_has_set_meanwhile_is_left_alone(void) {
        struct house house;
        char text[64];

        ksm_open(&house);
        house_start(&house);
        need_int(file_put(KSM "pages_to_scan", "5000"), 0);
        house_reload(&house);
        expect_str(ksm_now(text), "1 5000 100");
        house_gates(NULL);
        house_reload(&house);
        expect_str(ksm_now(text), "0 5000 33");
        house_close(&house);
}

static void an_upgrade_keeps_what_was_there_in_mind(void) {
        struct house house;
        struct job job;
        char text[64];

        ksm_open(&house);
        house_start(&house);
        expect_int(SHELL(&job, "provium", "upgrade"), 0);
        expect_int(count_vms(), 0); /* it answers again */
        expect_str(ksm_now(text), "1 1000 100");
        house_close(&house);
        expect_str(ksm_now(text), "0 77 33");
}

static void by_the_option_it_is_left_alone(void) {
        static const char *const wrapper[] = {"sh", "-c", "exec \"$@\" --no-ksm", "sh", NULL};
        struct house house;
        char text[64];

        ksm_open(&house);
        house_start_with(&house, wrapper);
        expect_str(ksm_now(text), "0 77 33");
        house_close(&house);
        expect_str(ksm_now(text), "0 77 33");
}

UNIT_MAIN(TEST(what_was_there_is_put_back_when_the_broker_stops),
          TEST(after_a_crash_the_next_broker_puts_it_back),
          TEST(what_somebody_else_has_set_meanwhile_is_left_alone),
          TEST(an_upgrade_keeps_what_was_there_in_mind), TEST(by_the_option_it_is_left_alone), )
