/* SPDX-License-Identifier: MIT */
/* rig: --mem 1G --timeout 300 --beside */
/*
 * What users and groups may hold together, in whatever slice.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "house.h"

#define CONF(quota) HOUSE_CONF "[Quota]\n" quota
#define AS(who, groups) "setpriv", who, groups, "--", "provium", "run", "--slice"
#define ROOT "--reuid=0", "--regid=0"
#define ALICE "--reuid=1000", "--regid=1000"
#define BOB "--reuid=1001", "--regid=1001"
#define ALONE "--clear-groups"
#define IN_500 "--groups=500"
#define REST "vm", "rest"

static void open_house(struct house *house, const char *conf) {
        house_open(house, conf, HOUSE_SLICE);
        house_slice("u", HOUSE_SLICE);
        house_reload(house);
}

static void a_user_holds_no_more_than_his_quota_in_all_slices(void) {
        struct house house;
        struct job a, b, c, d;

        open_house(&house, CONF("User=1000 CPU=0.3\n"));
        JOB(&a, AS(ALICE, ALONE), "t", "--name", "a", "--cpus", "0.2", "--", REST);
        job_wait_out(&a, "ready");
        JOB(&b, AS(ALICE, ALONE), "u", "--name", "b", "--cpus", "0.2", "--", REST);
        job_wait_err(&b, "waiting: user_quota, place 1: cpu: 0.2 asked, user 1000 has 0.1 left");
        /* Nobody else waits for him, in either slice. */
        JOB(&c, AS(BOB, ALONE), "u", "--name", "c", "--cpus", "0.4", "--", REST);
        job_wait_out(&c, "ready");
        JOB(&d, AS(ROOT, ALONE), "t", "--name", "d", "--cpus", "0.4", "--", REST);
        job_wait_out(&d, "ready");
        /* And those that count against it are told, not those of others. */
        expect_int(SHELL(&d, "provium", "explain", "b"), 0);
        expect_in(d.out, "user_quota");
        expect_in(d.out, "a ");
        expect(!strstr(d.out, "c  "));
        job_kill(&a, SIGTERM);
        expect_int(job_wait(&a, HOUSE_WAIT_MS), 128 + 15);
        job_wait_out(&b, "ready");
        /* What the quota can never give is refused at once. */
        expect_int(SHELL(&a, AS(ALICE, ALONE), "t", "--cpus", "0.4", "--", "true"), 75);
        expect_in(a.err, "user 1000 can never give more than 0.3");
        house_close(&house);
}

static void members_of_a_group_share_its_quota_over_a_restart(void) {
        struct house house;
        struct job a, b, c;

        open_house(&house, CONF("Group=500 CPU=0.3 MaxVMs=3\n"));
        JOB(&a, AS(ALICE, IN_500), "t", "--name", "a", "--cpus", "0.2", "--detach", "--", REST);
        expect_int(job_wait(&a, HOUSE_WAIT_MS), 0);
        expect_int(SHELL(&b, AS(BOB, IN_500), "u", "--no-wait", "--cpus", "0.2", "--", "true"), 75);
        expect_in(b.err, "group 500 has 0.1 left");
        house_kill(&house);
        house_start(&house);
        expect_int(SHELL(&b, AS(BOB, IN_500), "u", "--no-wait", "--cpus", "0.2", "--", "true"), 75);
        expect_in(b.err, "group 500 has 0.1 left");
        expect_int(SHELL(&b, AS(BOB, IN_500), "u", "--no-wait", "--cpus", "0.1", "--", "true"), 0);
        /* Who is not in it is not held to it. */
        expect_int(SHELL(&c, AS(ALICE, ALONE), "u", "--no-wait", "--cpus", "0.2", "--", "true"), 0);
        house_close(&house);
}

static void vms_and_waiting_claims_are_counted(void) {
        struct house house;
        struct job a, b, c;

        open_house(&house, CONF("User=* MaxVMs=1 MaxQueued=1\n"));
        JOB(&a, AS(ALICE, ALONE), "t", "--name", "a", "--", REST);
        job_wait_out(&a, "ready");
        JOB(&b, AS(ALICE, ALONE), "u", "--name", "b", "--", REST);
        job_wait_err(&b, "waiting: user_quota, place 1: VMs: user 1000 has 1 of at most 1");
        expect_int(SHELL(&c, AS(ALICE, ALONE), "t", "--", "true"), 75);
        expect_in(c.err, "1 claims of user 1000 wait already, as many as its MaxQueued= allows");
        expect_int(SHELL(&c, AS(BOB, ALONE), "t", "--", "true"), 0);
        /* Root is no "each". */
        expect_int(SHELL(&c, AS(ROOT, ALONE), "t", "--", "true"), 0);
        job_kill(&b, SIGINT);
        job_wait(&b, HOUSE_WAIT_MS);
        expect_int(count_waiting(), 0);
        house_close(&house);
}

static void a_quota_that_is_changed_counts_what_runs(void) {
        struct house house;
        struct job a, b;

        open_house(&house, HOUSE_CONF);
        JOB(&a, AS(ALICE, ALONE), "t", "--name", "a", "--cpus", "0.2", "--", REST);
        job_wait_out(&a, "ready");
        house_conf(CONF("User=1000 CPU=0.3\n"));
        house_reload(&house);
        JOB(&b, AS(ALICE, ALONE), "t", "--name", "b", "--cpus", "0.2", "--", REST);
        job_wait_err(&b, "waiting: user_quota");
        house_conf(CONF("User=1000 CPU=0.4\n"));
        house_reload(&house);
        job_wait_out(&b, "ready");
        house_close(&house);
}

/* What cannot be counted is not let in. */
static void more_groups_than_can_be_counted_are_refused(void) {
        struct house house;
        struct job a;

        open_house(&house, CONF("Group=501 CPU=4\nGroup=502 CPU=4\nGroup=503 CPU=4\n"
                                "Group=504 CPU=4\nGroup=505 CPU=4\nGroup=506 CPU=0.2\n"));
        expect_int(SHELL(&a, AS(ALICE, "--groups=501,502,503,504,505,506"), "t", "--", "true"), 75);
        expect_in(a.err, "user 1000 is in more than 5 groups that have a quota");
        expect_int(SHELL(&a, AS(ALICE, "--groups=501,502,503,504,506"), "t", "--cpus", "0.3", "--",
                         "true"),
                   75);
        expect_in(a.err, "group 506 can never give more than 0.2");
        house_close(&house);
}

UNIT_MAIN(TEST(a_user_holds_no_more_than_his_quota_in_all_slices),
          TEST(members_of_a_group_share_its_quota_over_a_restart),
          TEST(vms_and_waiting_claims_are_counted), TEST(a_quota_that_is_changed_counts_what_runs),
          TEST(more_groups_than_can_be_counted_are_refused), )
