/* SPDX-License-Identifier: MIT */
/* rig: --mem 1G --timeout 300 --beside */
/*
 * Who is next, where the policy says other than first come, first served.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "house.h"

#define SLICE HOUSE_SLICE "[VM]\nMaxPriority=10\n"

static void higher_priorities_go_first_and_are_bounded_by_the_slice(void) {
        struct house house;
        struct job all, low, high, job;
        struct news news;

        house_open(&house, HOUSE_CONF "[Queue]\nPriorityStep=1m\n", SLICE);
        news_open(&news);
        JOB_RUN(&all, "--name", "all", "--cpus", "4", "--", "vm", "rest");
        job_wait_out(&all, "ready");
        JOB_RUN(&low, "--name", "low", "--cpus", "3", "--", "vm", "rest");
        news_wait(&news, "claim_queued", "low");
        JOB_RUN(&high, "--name", "high", "--cpus", "3", "--priority", "5", "--", "vm", "rest");
        news_wait(&news, "claim_queued", "high");
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--priority", "11", "--", "true"),
                   77);
        expect_in(job.err, "priority: 11 asked, slice 't' allows at most 10");
        job_kill(&all, SIGTERM);
        job_wait_out(&high, "ready");
        expect_int(count_waiting(), 1);
        job_kill(&high, SIGTERM);
        job_wait_out(&low, "ready");
        news_close(&news);
        house_close(&house);
}

static void without_a_word_priorities_are_not_heeded(void) {
        struct house house;
        struct job all, low, high;
        struct news news;

        house_open(&house, NULL, NULL);
        news_open(&news);
        JOB_RUN(&all, "--name", "all", "--cpus", "4", "--", "vm", "rest");
        job_wait_out(&all, "ready");
        JOB_RUN(&low, "--name", "low", "--cpus", "3", "--", "vm", "rest");
        news_wait(&news, "claim_queued", "low");
        JOB_RUN(&high, "--name", "high", "--cpus", "3", "--priority", "1000", "--", "vm", "rest");
        news_wait(&news, "claim_queued", "high");
        job_kill(&all, SIGTERM);
        job_wait_out(&low, "ready");
        expect_int(count_waiting(), 1);
        news_close(&news);
        house_close(&house);
}

static void a_claim_that_ends_in_time_passes_the_first_and_another_does_not(void) {
        struct house house;
        struct job a, head, quick, slow;
        struct news news;

        house_open(&house, HOUSE_CONF "[Queue]\nBackfill=yes\n", SLICE);
        news_open(&news);
        JOB_RUN(&a, "--name", "a", "--cpus", "3", "--time", "1h", "--", "vm", "rest");
        job_wait_out(&a, "ready");
        JOB_RUN(&head, "--name", "head", "--cpus", "4", "--", "vm", "rest");
        news_wait(&news, "claim_queued", "head");
        JOB_RUN(&slow, "--name", "slow", "--cpus", "0.5", "--", "vm", "rest");
        news_wait(&news, "claim_queued", "slow");
        JOB_RUN(&quick, "--name", "quick", "--cpus", "0.5", "--time", "10m", "--", "vm", "rest");
        job_wait_out(&quick, "ready");
        expect_int(count_waiting(), 2);
        /* The same after the next broker has adopted who holds. */
        house_kill(&house);
        house_start(&house);
        JOB_RUN(&quick, "--name", "quick2", "--cpus", "0.5", "--time", "10m", "--", "vm", "rest");
        job_wait_out(&quick, "ready");
        news_close(&news);
        house_close(&house);
}

static void whatever_fits_passes_the_first_for_a_while(void) {
        struct house house;
        struct job a, head, small;
        struct news news;

        house_open(&house, HOUSE_CONF "[Queue]\nPassFor=1h\n", SLICE);
        news_open(&news);
        JOB_RUN(&a, "--name", "a", "--cpus", "3", "--", "vm", "rest");
        job_wait_out(&a, "ready");
        JOB_RUN(&head, "--name", "head", "--cpus", "4", "--", "vm", "rest");
        news_wait(&news, "claim_queued", "head");
        JOB_RUN(&small, "--name", "small", "--cpus", "0.5", "--", "vm", "rest");
        job_wait_out(&small, "ready");
        /* Until the policy says no. */
        house_conf(HOUSE_CONF);
        house_reload(&house);
        JOB_RUN(&small, "--name", "small2", "--cpus", "0.5", "--", "vm", "rest");
        news_wait(&news, "claim_queued", "small2");
        expect_int(count_waiting(), 2);
        news_close(&news);
        house_close(&house);
}

UNIT_MAIN(TEST(higher_priorities_go_first_and_are_bounded_by_the_slice),
          TEST(without_a_word_priorities_are_not_heeded),
          TEST(a_claim_that_ends_in_time_passes_the_first_and_another_does_not),
          TEST(whatever_fits_passes_the_first_for_a_while), )
