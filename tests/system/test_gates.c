/* SPDX-License-Identifier: MIT */
/* rig: --mem 1G --timeout 200 --beside */
/*
 * What holds back a start besides the books: pressure that is real, made by processes that burn
 * CPUs; memory that others have. Averages of ten seconds rise and fall slowly, and so do these
 * tests.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "house.h"

static void gates_open(struct house *house, const char *conf, const char *gates) {
        house_open(house, conf, NULL);
        house_gates(gates);
        house_reload(house);
}

/* So much of what is available is the host's that about 300 MiB are left. */
static void heed_memory(struct house *house) {
        char gates[160];
        char text[4096], *at;
        uint64_t kib;

        file_get("/proc/meminfo", text, sizeof(text));
        at = strstr(text, "MemAvailable:");
        need(at != NULL);
        kib = strtoull(at + strlen("MemAvailable:"), NULL, 10);
        need(kib > 400 * 1024);
        snprintf(gates, sizeof(gates),
                 "[Broker]\nKSM=no\n[Gates]\nPSI=no\nMemoryAvailable=yes\nHostReserve=%juK\n",
                 (uintmax_t)(kib - 300 * 1024));
        house_gates(gates);
        house_reload(house);
}

static json_t *claim_memory(const char *name, int mib) {
        return json_pack("{s:s s:s s:{s:I} s:[s,s] s:[o]}", "slice", "t", "name", name, "claim",
                         "memory", (json_int_t)mib << 20, "command", "vm", "rest", "environment",
                         json_sprintf("PATH=%s", getenv("PATH")));
}

static void two_claims_of_one_instant_do_not_count_the_same_free_memory(void) {
        struct line lines[2];
        struct house house;
        struct job job;
        json_t *reply;

        house_open(&house, HOUSE_CONF, NULL);
        heed_memory(&house);
        /* Both lie in the broker's hands before it looks at either. */
        for (unsigned i = 0; i < 2; i++)
                need(line_open(&lines[i]));
        kill(house.broker, SIGSTOP);
        line_run(&lines[0], claim_memory("one", 200));
        line_run(&lines[1], claim_memory("two", 180));
        kill(house.broker, SIGCONT);
        json_decref(line_wait(&lines[0], "started"));
        reply = line_wait(&lines[1], "queued");
        expect_str(reply_text(reply, "reason"), "memory_available");
        expect_in(reply_text(reply, "detail"), "memory: 180M asked, ");
        expect_in(reply_text(reply, "detail"), "granted and not touched yet");
        json_decref(reply);

        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--no-wait", "--mem", "180M", "--",
                         "vm", "exit", "0"),
                   75);
        expect_in(job.err, "memory_available: memory: 180M asked, ");
        expect_int(SHELL(&job, "provium", "kill", "one"), 0);
        json_decref(line_wait(&lines[1], "started"));
        for (unsigned i = 0; i < 2; i++)
                line_close(&lines[i]);
        house_close(&house);
}

static void memory_that_a_vm_has_touched_is_not_counted_twice(void) {
        struct house house;
        struct job eater, job;

        house_open(&house, HOUSE_CONF, NULL);
        heed_memory(&house);
        JOB_RUN(&eater, "--name", "eater", "--mem", "200M", "--", "vm", "eat", "170");
        job_wait_out(&eater, "ready");
        /* 300 less 200: of the 200, 170 have left MemAvailable already. */
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--no-wait", "--mem", "60M", "--",
                         "vm", "exit", "0"),
                   0);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--no-wait", "--mem", "150M", "--",
                         "vm", "exit", "0"),
                   75);
        job_kill(&eater, SIGTERM);
        job_wait(&eater, HOUSE_WAIT_MS);
        house_close(&house);
}

static void a_fixed_pool_says_what_it_is_and_sells_no_more(void) {
        static const char *const wrapper[] = {"sh", "-c",
                                              "exec \"$@\" --mem 200M --cpus 2 "
                                              "--cpu-overcommit 99",
                                              "sh", NULL};
        struct house house;
        struct job job;

        house_open(&house, HOUSE_CONF, NULL);
        house_stop(&house);
        house_start_with(&house, wrapper);
        expect(house_log_has("resource pool: 200M memory, 2 CPUs, each sold 8 times\n"));
        expect(house_log_has("CPU overcommit clamped to 8\n"));
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--mem", "201M", "--", "vm",
                         "exit", "0"),
                   75);
        expect_in(job.err, "can never give more than 200M");
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--mem", "200M", "--cpus", "16",
                         "--", "vm", "exit", "0"),
                   0);
        house_stop(&house);
        house_start(&house);
        house_close(&house);
}

static void an_auto_pool_runs_no_more_cpus_than_half_of_those_online(void) {
        struct house house;
        struct job vm, job;

        gates_open(&house,
                   "[Pool]\nMode=auto\n[Claim]\nMemory=16M\nDiskIO=0\nNetwork=0\n"
                   "[Enforce]\nMemoryOverhead=0\n",
                   "[Broker]\nKSM=no\n[Gates]\nPSI=no\nHostReserve=16M\nMaxCpus=1.5\n");
        JOB_RUN(&vm, "--name", "one", "--cpus", "1", "--", "vm", "rest");
        job_wait_out(&vm, "ready");
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--no-wait", "--cpus", "0.6", "--",
                         "vm", "exit", "0"),
                   75);
        expect_in(job.err, "cpu: 0.6 asked, the host has 0.5 left (limit 1.5");
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--no-wait", "--cpus", "0.5", "--",
                         "vm", "exit", "0"),
                   0);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--cpus", "1.6", "--", "vm",
                         "exit", "0"),
                   75);
        expect_in(job.err, "can never give more than 1.5");
        job_kill(&vm, SIGTERM);
        job_wait(&vm, HOUSE_WAIT_MS);
        house_close(&house);
}

static bool is_back(void *userdata) {
        return count_waiting() == 1;
}

static void a_drained_host_starts_nothing_even_after_its_broker_was_killed(void) {
        struct job first, waiting, drain, job;
        struct house house;

        house_open(&house, NULL, NULL);
        JOB_RUN(&first, "--name", "first", "--", "vm", "listen");
        job_wait_out(&first, "ready");
        expect_int(SHELL(&job, "setpriv", "--reuid", "1000", "--clear-groups", "provium", "drain"),
                   77);
        expect_int(SHELL(&job, "provium", "drain"), 0);
        expect_str(job.out, "draining: 1 VMs run, 0 claims wait\n");
        JOB_RUN(&waiting, "--name", "next", "--", "vm", "exit", "3");
        job_wait_err(&waiting, "waiting: draining, place 1: this host is being drained");
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--no-wait", "--", "vm", "rest"),
                   75);
        expect_in(job.err, "draining: this host is being drained");
        expect_int(SHELL(&job, "provium", "ps"), 0);
        expect_in(job.out, "draining: nothing is started");

        house_kill(&house);
        house_start(&house);
        expect(house_log_has("this host is being drained"));
        expect_int(SHELL(&job, "provium", "doctor"), 0);
        expect_in(job.out, "provium drain --undo");
        /* Who waited is back, and waits. */
        need(wait_until(is_back, NULL, HOUSE_WAIT_MS));
        JOB(&drain, "provium", "drain", "--wait");
        job_wait_out(&drain, "draining: 1 VMs run, 1 claims wait\n");
        expect_int(count_vms(), 1);
        expect_int(job_wait(&drain, 300), -1);
        job_kill(&first, SIGTERM);
        expect_int(job_wait(&drain, HOUSE_WAIT_MS), 0);
        expect_int(count_vms(), 0);
        expect_int(count_waiting(), 1);

        expect_int(SHELL(&job, "provium", "drain", "--undo"), 0);
        expect_int(job_wait(&waiting, HOUSE_WAIT_MS), 3);
        house_kill(&house);
        house_start(&house);
        expect_int(
                SHELL(&job, "provium", "run", "--slice", "t", "--no-wait", "--", "vm", "exit", "0"),
                0);
        job_wait(&first, HOUSE_WAIT_MS);
        house_close(&house);
}

UNIT_MAIN(TEST(two_claims_of_one_instant_do_not_count_the_same_free_memory),
          TEST(memory_that_a_vm_has_touched_is_not_counted_twice),
          TEST(a_fixed_pool_says_what_it_is_and_sells_no_more),
          TEST(an_auto_pool_runs_no_more_cpus_than_half_of_those_online),
          TEST(a_drained_host_starts_nothing_even_after_its_broker_was_killed), )
