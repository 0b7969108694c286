/* SPDX-License-Identifier: MIT */
/* rig: --mem 1G --timeout 300 --beside */
/*
 * Owners that hold VMs and ask for more: who would wait for himself is told so at once, and by whom
 * he is held up; who only waits for others who go one day waits.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "house.h"

#define LOCKED 75 /* as whatever finds no room */
#define OTHER "12345"

static void start(const char *name, const char *owner, const char *mem) {
        struct job job;

        if (owner)
                expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--detach", "--name", name,
                                 "--mem", mem, "--owner", owner, "--", "vm", "rest"),
                           0);
        else
                expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--detach", "--name", name,
                                 "--mem", mem, "--", "vm", "rest"),
                           0);
}

static void wait_for(struct job *job, const char *name, const char *owner, const char *mem) {
        JOB_RUN(job, "--name", name, "--mem", mem, "--owner", owner, "--", "vm", "rest");
        job_wait_err(job, "pool_full");
}

static void kill_vm(const char *name) {
        json_decref(ask("Kill", json_pack("{s:s s:i}", "vm", name, "grace_usec", 0)));
}

/* "owner" of one VM, or of a claim that waits. */
static void expect_owner(const char *name, const char *owner) {
        json_t *reply = ask("Show", json_pack("{s:s}", "vm", name));
        const json_t *vm = json_object_get(json_object_get(reply, "parameters"), "vm");

        expect_str(json_string_value(json_object_get(vm, "owner")) ?: "", owner);
        json_decref(reply);
}

static bool somebody_waits(void *userdata) {
        (void)userdata;
        return count_waiting() > 0;
}

static void end_job(struct job *job) {
        job_kill(job, SIGTERM);
        job_wait(job, HOUSE_WAIT_MS);
}

static void the_request_that_closes_the_circle_is_told_who_holds_what(void) {
        struct house house;
        struct job first, job;
        struct news news;
        char *before, *after;

        house_open(&house, NULL, NULL);
        start("a1", "a", "200M");
        start("b1", "b", "200M");
        expect_owner("a1", "a");
        wait_for(&first, "a2", "a", "100M");
        expect_owner("a2", "a");
        before = ledger_text();
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--dry-run", "--json", "--mem",
                         "100M", "--owner", "b", "--", "vm", "rest"),
                   LOCKED);
        expect_in(job.out, "\"deadlock\"");
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--name", "b2", "--mem", "100M",
                         "--owner", "b", "--", "vm", "rest"),
                   LOCKED);
        unit_note("%s", job.err);
        expect_in(job.err, "deadlock: owner 'b' holds 'b1' (cpu 0.1, memory 200M) and asks for cpu "
                           "0.1, memory 100M; owner 'a' holds 'a1' (cpu 0.1, memory 200M) and "
                           "waits for cpu 0.1, memory 100M: each keeps what another waits for");
        expect_int((int)count_waiting(), 1);
        /* Nothing came of it, and who has no owner may still wait. */
        JOB_RUN(&job, "--name", "c", "--mem", "100M", "--", "vm", "rest");
        job_wait_err(&job, "pool_full");
        end_job(&job);
        after = ledger_text();
        expect_str(after, before);
        free(before);
        free(after);
        news_open(&news);
        kill_vm("b1");
        news_wait(&news, "vm_spawned", "a2");
        news_close(&news);
        end_job(&first);
        house_end_all(&house);
        house_close(&house);
}

static void who_wants_more_than_there_is_beside_what_he_keeps_is_refused(void) {
        struct house house;
        struct job job;

        house_open(&house, NULL, NULL);
        start("a1", "a", "300M");
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--mem", "200M", "--owner", "a",
                         "--", "vm", "rest"),
                   LOCKED);
        expect_in(job.err, "and asks for cpu 0.1, memory 200M: more than there is beside what it "
                           "keeps");
        /* One that said until when it runs is not kept for ever. */
        kill_vm("a1");
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--detach", "--mem", "300M",
                         "--time", "1h", "--owner", "a", "--", "vm", "rest"),
                   0);
        wait_for(&job, "a2", "a", "200M");
        end_job(&job);
        house_end_all(&house);
        house_close(&house);
}

static void while_somebody_else_has_the_rest_both_wait(void) {
        struct house house;
        struct job first, second;
        struct news news;

        house_open(&house, NULL, NULL);
        start("a1", "a", "150M");
        start("b1", "b", "150M");
        start("c", NULL, "100M");
        wait_for(&first, "a2", "a", "100M");
        wait_for(&second, "b2", "b", "100M");
        expect_int((int)count_waiting(), 2);
        news_open(&news);
        kill_vm("c");
        news_wait(&news, "vm_spawned", "a2");
        kill_vm("a1");
        news_wait(&news, "vm_spawned", "b2");
        news_close(&news);
        end_job(&first);
        end_job(&second);
        house_end_all(&house);
        house_close(&house);
}

static void a_grant_that_closes_the_circle_ends_the_last_claim_in_it(void) {
        struct house house;
        struct job first, second, last;
        struct news news;

        house_open(&house, NULL, NULL);
        start("a1", "a", "200M");
        start("c", NULL, "200M");
        wait_for(&first, "b1", "b", "200M");
        wait_for(&second, "b2", "b", "100M");
        wait_for(&last, "a2", "a", "100M");
        news_open(&news);
        kill_vm("c");
        /* b has b1 now and goes on waiting for what a keeps, and a for what b keeps. */
        news_wait(&news, "vm_spawned", "b1");
        expect_int(job_wait(&last, HOUSE_WAIT_MS), LOCKED);
        expect_in(last.err, "deadlock: owner 'a' holds 'a1'");
        expect_in(last.err, "owner 'b' holds 'b1'");
        kill_vm("a1");
        news_wait(&news, "vm_spawned", "b2");
        news_close(&news);
        end_job(&first);
        end_job(&second);
        house_end_all(&house);
        house_close(&house);
}

/* Strictly in order, also who would fit must wait behind the first. */
static void nobody_waits_behind_who_waits_for_him(void) {
        struct house house;
        struct job before, first, last, job;
        struct news news;

        house_open(&house, NULL, NULL);
        start("a1", "a", "200M");
        start("c", NULL, "200M");
        JOB_RUN(&before, "--name", "before", "--mem", "100M", "--", "vm", "rest");
        job_wait_err(&before, "pool_full");
        JOB_RUN(&first, "--name", "first", "--mem", "250M", "--", "vm", "rest");
        job_wait_err(&first, "pool_full");
        wait_for(&last, "a2", "a", "50M");
        expect_int((int)count_waiting(), 3);
        news_open(&news);
        kill_vm("c");
        news_wait(&news, "vm_spawned", "before");
        /* Now it would fit, but the first waits for what a keeps. */
        expect_int(job_wait(&last, HOUSE_WAIT_MS), LOCKED);
        unit_note("%s", last.err);
        expect_in(last.err, "owner 'a' holds 'a1' (cpu 0.1, memory 200M) and asks for cpu 0.1, "
                            "memory 50M: the first in the queue, which none may pass, waits for "
                            "what it keeps");
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--mem", "50M", "--owner", "a",
                         "--", "vm", "rest"),
                   LOCKED);
        expect_in(job.err, "the first in the queue");
        /* Who keeps nothing of it may. */
        wait_for(&last, "z1", "z", "50M");
        kill_vm("a1");
        news_wait(&news, "claim_acquired", "first");
        news_wait(&news, "claim_acquired", "z1");
        news_close(&news);
        end_job(&before);
        end_job(&first);
        end_job(&last);
        house_end_all(&house);
        house_close(&house);
}

static void limits_that_come_down_close_a_circle_too(void) {
        struct house house;
        struct job first, last;

        house_open(&house, NULL, NULL);
        start("a1", "a", "150M");
        start("b1", "b", "150M");
        start("c", NULL, "100M");
        wait_for(&first, "a2", "a", "80M");
        wait_for(&last, "b2", "b", "80M");
        house_conf("[Capacity]\nCPU=4\nMemory=360M\nDisk=1G\n[Ratio]\nCPU=1\n"
                   "[Claim]\nCPU=0.1\nMemory=16M\nDiskIO=0\nNetwork=0\n"
                   "[Enforce]\nMemoryOverhead=0\n");
        house_reload(&house);
        expect_int(job_wait(&last, HOUSE_WAIT_MS), LOCKED);
        expect_in(last.err, "deadlock: owner 'b' holds 'b1'");
        expect_int((int)count_waiting(), 1);
        end_job(&first);
        house_end_all(&house);
        house_close(&house);
}

static void the_next_broker_knows_who_holds_and_who_waits(void) {
        struct house house;
        struct job first, job;

        house_open(&house, NULL, NULL);
        start("a1", "a", "200M");
        start("b1", "b", "200M");
        wait_for(&first, "a2", "a", "100M");
        for (unsigned orderly = 0; orderly < 2; orderly++) {
                if (orderly)
                        house_stop(&house);
                else
                        house_kill(&house);
                house_start(&house);
                expect_owner("a1", "a");
                expect_owner("b1", "b");
                need(wait_until(somebody_waits, NULL, HOUSE_WAIT_MS));
                expect_owner("a2", "a");
        }
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--mem", "100M", "--owner", "b",
                         "--", "vm", "rest"),
                   LOCKED);
        expect_in(job.err, "owner 'a' holds 'a1'");
        end_job(&first);
        house_end_all(&house);
        house_close(&house);
}

/* Would a claim of b be refused as closing a circle? */
static bool is_locked(void *userdata) {
        struct job job;
        int status;

        (void)userdata;
        status = SHELL(&job, "provium", "run", "--slice", "t", "--dry-run", "--mem", "100M",
                       "--owner", "b", "--", "vm", "rest");
        return status == LOCKED && strstr(job.out, "deadlock");
}

static void a_vm_whose_client_may_not_come_back_is_not_kept(void) {
        struct house house;
        struct job held, first;
        struct news news;

        house_open(&house, NULL, NULL);
        news_open(&news);
        JOB_RUN(&held, "--name", "a1", "--mem", "200M", "--owner", "a", "--", "vm", "rest");
        news_wait(&news, "vm_spawned", "a1");
        news_close(&news);
        start("b1", "b", "200M");
        wait_for(&first, "a2", "a", "100M");
        expect(is_locked(NULL));
        job_kill(&held, SIGSTOP);
        house_kill(&house);
        house_start(&house);
        need(wait_until(somebody_waits, NULL, HOUSE_WAIT_MS));
        expect(!is_locked(NULL));
        job_kill(&held, SIGCONT);
        need(wait_until(is_locked, NULL, HOUSE_WAIT_MS));
        /* And an upgrade changes nothing. */
        json_decref(ask("Upgrade", NULL));
        need(wait_until(somebody_waits, NULL, HOUSE_WAIT_MS));
        expect(is_locked(NULL));
        end_job(&held);
        end_job(&first);
        house_end_all(&house);
        house_close(&house);
}

static void the_same_word_of_another_user_is_another_owner(void) {
        struct house house;
        struct job first, job;

        house_open(&house, NULL, NULL);
        start("secret", "x", "200M");
        expect_int(SHELL(&job, "setpriv", "--reuid", OTHER, "--regid", OTHER, "--clear-groups",
                         "provium", "run", "--slice", "t", "--detach", "--name", "mine", "--mem",
                         "200M", "--owner", "x", "--", "vm", "rest"),
                   0);
        wait_for(&first, "a2", "x", "100M");
        expect_int(SHELL(&job, "setpriv", "--reuid", OTHER, "--regid", OTHER, "--clear-groups",
                         "provium", "run", "--slice", "t", "--mem", "100M", "--owner", "x", "--",
                         "vm", "rest"),
                   LOCKED);
        unit_note("%s", job.err);
        expect_in(job.err, "owner 'x' holds 'mine'");
        expect_in(job.err, "; another user's holds cpu 0.1, memory 200M and waits for cpu 0.1, "
                           "memory 100M");
        expect(!strstr(job.err, "secret"));
        end_job(&first);
        house_end_all(&house);
        house_close(&house);
}

UNIT_MAIN(TEST(the_request_that_closes_the_circle_is_told_who_holds_what),
          TEST(who_wants_more_than_there_is_beside_what_he_keeps_is_refused),
          TEST(while_somebody_else_has_the_rest_both_wait),
          TEST(a_grant_that_closes_the_circle_ends_the_last_claim_in_it),
          TEST(nobody_waits_behind_who_waits_for_him),
          TEST(limits_that_come_down_close_a_circle_too),
          TEST(the_next_broker_knows_who_holds_and_who_waits),
          TEST(a_vm_whose_client_may_not_come_back_is_not_kept),
          TEST(the_same_word_of_another_user_is_another_owner), )
