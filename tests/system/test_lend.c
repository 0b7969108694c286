/* SPDX-License-Identifier: MIT */
/* rig: --mem 1G --timeout 300 --beside */
/*
 * Guarantees that are lent while nobody uses them, and VMs that are ended when their time is over.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "house.h"

#define GUARANTEED HOUSE_SLICE "[Guarantee]\nCPU=3\nLend=yes\n"

static void open_house(struct house *house, const char *conf, const char *guaranteed) {
        house_open(house, conf, HOUSE_SLICE);
        house_slice("g", guaranteed);
        house_reload(house);
}

static void close_house(struct house *house) {
        house_close(house);
        expect_int(unlink(HOUSE_ETC "/slices/g.slice"), 0);
}

static void what_is_lent_is_had_by_those_that_are_ended_in_time(void) {
        struct house house;
        struct job borrower, owner, job;
        struct news news;

        open_house(&house, HOUSE_CONF "[Queue]\nLendFor=1h\n", GUARANTEED);
        news_open(&news);
        /* One of four CPUs is nobody's; a promise is no end. */
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--cpus", "2", "--time", "1m",
                         "--no-wait", "--", "true"),
                   75);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--cpus", "2", "--max-time", "2h",
                         "--no-wait", "--", "true"),
                   75);
        JOB_RUN(&borrower, "--name", "borrower", "--cpus", "2", "--max-time", "30m", "--", "vm",
                "rest");
        job_wait_out(&borrower, "ready");
        /* Whose it is waits for it, and nothing new is lent before him. */
        JOB(&owner, "provium", "run", "--slice", "g", "--name", "owner", "--cpus", "3", "--", "vm",
            "rest");
        news_wait(&news, "claim_queued", "owner");
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--cpus", "1", "--max-time", "1m",
                         "--no-wait", "--", "true"),
                   75);
        job_kill(&borrower, SIGTERM);
        job_wait_out(&owner, "ready");
        news_close(&news);
        close_house(&house);
}

static void without_a_word_nothing_is_lent(void) {
        struct house house;
        struct job job;

        open_house(&house, HOUSE_CONF, GUARANTEED);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--cpus", "2", "--max-time", "1m",
                         "--no-wait", "--", "true"),
                   75);
        house_conf(HOUSE_CONF "[Queue]\nLendFor=1h\n");
        house_slice("g", HOUSE_SLICE "[Guarantee]\nCPU=3\n");
        house_reload(&house);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--cpus", "2", "--max-time", "1m",
                         "--no-wait", "--", "true"),
                   75);
        close_house(&house);
}

static void a_vm_is_ended_when_its_time_is_over_also_by_the_next_broker(void) {
        struct house house;
        const json_t *event;
        struct job job, show;
        struct news news;

        open_house(&house, HOUSE_CONF, GUARANTEED);
        news_open(&news);
        JOB_RUN(&job, "--name", "a", "--max-time", "2s", "--", "vm", "rest");
        event = news_wait(&news, "claim_released", "a");
        expect_str(json_string_value(json_object_get(event, "reason")), "time_over");
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 128 + 15);
        news_close(&news);

        JOB_RUN(&job, "--name", "b", "--max-time", "8s", "--detach", "--", "vm", "rest");
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 0);
        house_kill(&house);
        house_start(&house);
        expect_int(SHELL(&show, "provium", "show", "b"), 0);
        expect_in(show.out, "at most 8s");
        news_open(&news);
        news_wait(&news, "claim_released", "b");
        news_close(&news);
        close_house(&house);
}

UNIT_MAIN(TEST(what_is_lent_is_had_by_those_that_are_ended_in_time),
          TEST(without_a_word_nothing_is_lent),
          TEST(a_vm_is_ended_when_its_time_is_over_also_by_the_next_broker), )
