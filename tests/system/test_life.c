/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --timeout 200 */
/*
 * From the command to the exit status: what `provium run` promises about a VM's life and end.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "house.h"

static int run_status(struct job *job, const char *mode, const char *value) {
        return SHELL(job, "provium", "run", "--slice", "t", "--", "vm", mode, value);
}

static void the_status_of_run_is_the_hypervisors_own(void) {
        struct house house;
        struct job job;

        house_open(&house, NULL, NULL);
        expect_int(run_status(&job, "exit", "0"), 0);
        expect_int(run_status(&job, "exit", "1"), 1);
        expect_int(run_status(&job, "exit", "255"), 255);
        expect_int(run_status(&job, "die", "9"), 128 + 9);
        expect_int(run_status(&job, "die", "11"), 128 + 11);
        expect_int(run_status(&job, "die", "15"), 128 + 15);
        house_close(&house);
}

static void own_failures_have_their_own_status(void) {
        struct house house;
        struct job job;

        house_open(&house, NULL, HOUSE_OPEN "[VM]\nMaxCPU=1\n[Access]\nUsers=root\n");
        /* 64 usage, 75 full, 77 policy, 126 and 127 the command */
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--cpus", "-1", "--", "vm"), 64);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--mem", "1T", "--", "vm"), 75);
        expect_in(job.err, "memory");
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--cpus", "2", "--", "vm"), 77);
        expect_in(job.err, "at most 1");
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--", "no-such-program"), 127);
        expect_in(job.err, "no-such-program");
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--", "/nowhere/vm"), 127);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--", "/etc/passwd"), 126);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--", "/tmp"), 126);
        expect_int(SHELL(&job, "setpriv", "--reuid=1234", "--clear-groups", "provium", "run",
                         "--slice", "t", "--", "vm"),
                   77);
        expect_int(SHELL(&job, "provium", "--socket", "/run/nobody", "run", "--", "vm"), 69);
        expect_int(allocated("memory"), 0);
        house_close(&house);
}

static void an_exec_that_fails_after_the_grant_is_undone_with_the_exact_status(void) {
        struct house house;
        struct news news;
        struct job job;
        unsigned fds;

        house_open(&house, NULL, NULL);
        news_open(&news);
        /* Once before, because the first VM opens its slice. */
        expect_int(run_status(&job, "exit", "0"), 0);
        news_wait(&news, "claim_released", NULL);
        fds = count_fds(house.broker);
        for (int i = 0; i < 10; i++) {
                JOB_RUN(&job, "--", "no-such-program");
                news_wait(&news, "claim_acquired", NULL);
                news_wait(&news, "claim_released", NULL);
                expect_int(job_wait(&job, HOUSE_WAIT_MS), 127);
        }
        expect_int(allocated("cpu"), 0);
        expect_within(count_fds(house.broker), fds, fds + 1);
        news_close(&news);
        house_close(&house);
}

static void signals_reach_the_vm(void) {
        struct house house;
        struct job job;

        house_open(&house, NULL, NULL);
        /* Before it was told that its VM runs, the client drops what would not end it. */
        JOB_RUN(&job, "--json", "--", "vm", "listen");
        job_wait_out(&job, "ready");
        job_wait_out(&job, "\"started\"");
        job_kill(&job, SIGUSR1);
        job_wait_out(&job, "got 10");
        job_kill(&job, SIGHUP);
        job_wait_out(&job, "got 1\n");
        job_kill(&job, SIGINT);
        job_wait_out(&job, "got 2");
        job_kill(&job, SIGTERM);
        job_wait_out(&job, "got 15");
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 7);
        house_close(&house);
}

static void a_client_that_is_killed_ends_its_vm(void) {
        struct house house;
        struct news news;
        struct job job;

        house_open(&house, NULL, NULL);
        news_open(&news);
        JOB_RUN(&job, "--name", "mine", "--", "vm", "rest");
        job_wait_out(&job, "ready");
        job_kill(&job, SIGKILL);
        job_wait(&job, HOUSE_WAIT_MS);
        expect_str(json_string_value(
                           json_object_get(news_wait(&news, "claim_released", "mine"), "reason")),
                   "client_gone");
        expect_int(count_vms(), 0);
        news_close(&news);
        house_close(&house);
}

static void a_client_that_is_killed_while_it_waits_leaves_the_queue_and_the_next_moves_on(void) {
        struct house house;
        struct news news;
        struct job big, gone, small;

        house_open(&house, NULL, NULL);
        news_open(&news);
        JOB_RUN(&big, "--name", "big", "--cpus", "3", "--", "vm", "rest");
        job_wait_out(&big, "ready");
        JOB_RUN(&gone, "--name", "gone", "--cpus", "4", "--", "vm", "rest");
        news_wait(&news, "claim_queued", "gone");
        JOB_RUN(&small, "--name", "small", "--cpus", "1", "--", "vm", "rest");
        news_wait(&news, "claim_queued", "small");
        job_kill(&gone, SIGKILL);
        job_wait(&gone, HOUSE_WAIT_MS);
        news_wait(&news, "claim_acquired", "small");
        job_wait_out(&small, "ready");
        job_kill(&small, SIGTERM);
        job_wait(&small, HOUSE_WAIT_MS);
        job_kill(&big, SIGTERM);
        job_wait(&big, HOUSE_WAIT_MS);
        news_close(&news);
        house_close(&house);
}

/* The wake-up that is lost most easily: nothing was released, only the head has left. */
/* When the broker told it, in nanoseconds. */
static json_int_t news_time(struct news *news, const char *kind, const char *name) {
        return json_integer_value(json_object_get(news_wait(news, kind, name), "ts_ns"));
}

static void when_the_head_gives_up_the_next_moves_on_at_once(void) {
        struct house house;
        struct news news;
        struct job big, head, small;
        json_int_t left, moved;

        house_open(&house, NULL, NULL);
        news_open(&news);
        JOB_RUN(&big, "--name", "big", "--cpus", "3", "--", "vm", "rest");
        job_wait_out(&big, "ready");
        /* Long enough for the next to come on a busy machine. */
        JOB_RUN(&head, "--name", "head", "--cpus", "4", "--wait", "6s", "--", "vm", "rest");
        news_wait(&news, "claim_queued", "head");
        JOB_RUN(&small, "--name", "small", "--cpus", "1", "--", "vm", "rest");
        news_wait(&news, "claim_queued", "small");
        expect_int(job_wait(&head, HOUSE_WAIT_MS), 75);
        expect_in(head.err, "waited 6s");
        left = news_time(&news, "claim_released", "head");
        moved = news_time(&news, "claim_acquired", "small");
        expect_within((double)(moved - left) / 1e6, 0, 200);
        job_wait_out(&small, "ready");

        /* The same when it is killed in the queue. */
        JOB_RUN(&head, "--name", "head", "--cpus", "4", "--", "vm", "rest");
        news_wait(&news, "claim_queued", "head");
        job_kill(&small, SIGTERM);
        job_wait(&small, HOUSE_WAIT_MS);
        JOB_RUN(&small, "--name", "small", "--cpus", "1", "--", "vm", "rest");
        news_wait(&news, "claim_queued", "small");
        json_decref(ask("Kill", json_pack("{s:s}", "vm", "head")));
        expect_int(job_wait(&head, HOUSE_WAIT_MS), 75);
        news_wait(&news, "claim_acquired", "small");
        job_wait_out(&small, "ready");
        job_kill(&small, SIGTERM);
        job_wait(&small, HOUSE_WAIT_MS);
        job_kill(&big, SIGTERM);
        job_wait(&big, HOUSE_WAIT_MS);
        news_close(&news);
        house_close(&house);
}

static void a_detached_vm_outlives_its_client_and_can_be_killed_by_name(void) {
        struct house house;
        struct job job;
        char text[64];

        house_open(&house, NULL, NULL);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--name", "alone", "--detach",
                         "--", "vm", "rest"),
                   0);
        expect_in(job.out, "alone\n"); /* and "ready", before or after it, or to nobody */
        expect_int(count_vms(), 1);
        vm_file("alone", "cgroup.procs", text, sizeof(text));
        expect(strlen(text) > 0);
        expect_int(SHELL(&job, "provium", "kill", "alone"), 0);
        /* kill returns when it is gone and its charge given back. */
        expect_int(count_vms(), 0);
        expect_int(allocated("memory"), 0);
        house_close(&house);
}

static bool is_stopping(void *userdata) {
        json_t *reply = ask("Show", json_pack("{s:s}", "vm", "deaf"));
        const char *state = json_string_value(json_object_get(
                json_object_get(json_object_get(reply, "parameters"), "vm"), "state"));
        bool stopping = state && strcmp(state, "stopping") == 0;

        json_decref(reply);
        return stopping;
}

static void a_vm_that_ignores_term_is_killed_after_its_grace(void) {
        struct house house;
        struct news news;
        struct job job, killer;
        uint64_t begin;

        house_open(&house, NULL, HOUSE_SLICE "[VM]\nGracePeriod=1s\n");
        news_open(&news);
        JOB_RUN(&job, "--name", "deaf", "--", "vm", "deaf");
        job_wait_out(&job, "ready");
        begin = now_ms();
        expect_int(SHELL(&killer, "provium", "kill", "deaf"), 0);
        expect_within(now_ms() - begin, 1000, 2500);
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 128 + 9);

        /* A second kill without grace does not wait for the first. */
        JOB_RUN(&job, "--name", "deaf", "--", "vm", "deaf");
        job_wait_out(&job, "ready");
        begin = now_ms();
        JOB(&killer, "provium", "kill", "deaf", "--grace", "60s");
        expect(wait_until(is_stopping, NULL, HOUSE_WAIT_MS));
        json_decref(ask("Kill", json_pack("{s:s s:i}", "vm", "deaf", "grace_usec", 0)));
        expect_int(job_wait(&killer, HOUSE_WAIT_MS), 0);
        expect(now_ms() - begin < 10000);
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 128 + 9);
        news_close(&news);
        house_close(&house);
}

static void children_that_stay_behind_die_with_the_vm(void) {
        struct house house;
        struct job job;

        house_open(&house, NULL, NULL);
        /* The main process is killed: the rest goes with it. */
        JOB_RUN(&job, "--json", "--name", "family", "--", "vm", "children", "20");
        job_wait_out(&job, "ready");
        job_wait_out(&job, "\"started\"");
        job_kill(&job, SIGTERM);
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 128 + 15);
        expect_int(count_vms(), 0);
        /* It fails by itself. */
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--", "sh", "-c",
                         "vm rest >/dev/null & vm rest >/dev/null & exit 4"),
                   4);
        expect_int(count_vms(), 0);
        house_close(&house);
}

static void a_hypervisor_that_daemonises_is_still_in_its_slice_and_accounted(void) {
        struct house house;
        struct news news;
        struct job job;
        json_int_t memory;
        json_t *reply;
        char text[64];

        house_open(&house, NULL, NULL);
        news_open(&news);
        JOB_RUN(&job, "--name", "daemon", "--mem", "24M", "--", "vm", "daemon", "0");
        job_wait_out(&job, "ready");
        news_wait(&news, "vm_spawned", "daemon");
        memory = allocated("memory");
        expect_int(memory, 24 << 20);
        /* The main process is gone for good, the VM is not. */
        expect_int(job_wait(&job, 300), -1);
        vm_file("daemon", "cgroup.procs", text, sizeof(text));
        expect(strlen(text) > 0);
        expect_int(count_vms(), 1);
        reply = ask("Show", json_pack("{s:s}", "vm", "daemon"));
        expect_in(json_string_value(json_object_get(
                          json_object_get(json_object_get(reply, "parameters"), "vm"), "detail")),
                  "background");
        json_decref(reply);
        /* TERM reaches what is left. */
        expect_int(SHELL(&job, "provium", "kill", "daemon"), 0);
        expect_int(allocated("memory"), 0);
        news_close(&news);
        house_close(&house);
}

static void run_gives_the_vm_its_clients_directory_streams_and_identity(void) {
        struct house house;
        struct job job;

        house_open(&house, NULL, NULL);
        expect_int(SHELL(&job, "setpriv", "--reuid=1234", "--regid=2345", "--groups=3456,4567",
                         "env", "-C", "/usr", "MARK=x y", "provium", "run", "--slice", "t", "--",
                         "sh", "-c", "vm report; echo \"mark=$MARK\"; echo to-stderr >&2"),
                   0);
        expect_in(job.out, "Uid:\t1234\t1234\t1234\t1234");
        expect_in(job.out, "Gid:\t2345\t2345\t2345\t2345");
        expect_in(job.out, "Groups:\t3456 4567");
        expect_in(job.out, "cwd=/usr\n");
        expect_in(job.out, "fds=0 1 2 \n");
        expect_in(job.out, "mark=x y\n");
        expect_in(job.out, "NoNewPrivs:\t1");
        expect_in(job.out, "CapEff:\t0000000000000000");
        expect_in(job.out, "SigBlk:\t0000000000000000");
        expect_in(job.out, "SigIgn:\t0000000000000000");
        expect_in(job.out, "oom_score_adj=0\n");
        expect_in(job.out, "/house/t.slice/");
        expect_in(job.err, "to-stderr");
        house_close(&house);
}

static void placeholders_are_replaced_and_other_braces_are_not(void) {
        struct house house;
        struct job job;

        house_open(&house, NULL, NULL);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--name", "web", "--cpus", "1.5",
                         "--mem", "20M", "--", "echo", "{name}-{cpus}-{mem.mib}",
                         "{\"driver\":{\"x\":1}}", "{nothing}"),
                   0);
        expect_str(job.out, "web-2-20 {\"driver\":{\"x\":1}} {nothing}\n");
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--", "echo", "{tap}"), 64);
        house_close(&house);
}

static void a_real_hypervisor_runs_inside_its_limits(void) {
        /* A BIOS of our own: at the reset vector (FFFFFFF0) "jmp" to the segment's start, where it
         * writes 0x2a to the debug-exit port and waits: 0x2a << 1 | 1 = 85. */
        static unsigned char bios[65536];
        static const unsigned char code[] = {0xb0, 0x2a, 0xe6, 0xf4, 0xf4, 0xeb, 0xfd};
        struct house house;
        struct job job;
        FILE *file;

        if (access("/usr/bin/qemu-system-x86_64", X_OK) < 0)
                unit_skip("qemu-system-x86_64 is not installed");
        memset(bios, 0x90, sizeof(bios));
        memcpy(bios, code, sizeof(code));
        memcpy(bios + 0xfff0, (unsigned char[]){0xea, 0x00, 0x00, 0x00, 0xf0},
               5); /* ljmp f000:0000 */
        file = fopen("/run/bios.bin", "we");
        need(file != NULL);
        need_int(fwrite(bios, 1, sizeof(bios), file), sizeof(bios));
        fclose(file);
        house_open(&house, "[Capacity]\nCPU=2\nMemory=600M\n[Claim]\nDiskIO=0\n", NULL);
        JOB_RUN(&job, "--name", "qemu", "--cpus", "1", "--mem", "32M", "--", "qemu-system-x86_64",
                "-M", "pc", "-accel", "tcg", "-m", "{mem.mib}", "-smp", "{cpus}", "-nodefaults",
                "-display", "none", "-bios", "/run/bios.bin", "-device",
                "isa-debug-exit,iobase=0xf4,iosize=1");
        expect_int(job_wait(&job, 60000), 85);
        expect_str(job.err, "");
        house_close(&house);
}

UNIT_MAIN(TEST(the_status_of_run_is_the_hypervisors_own), TEST(own_failures_have_their_own_status),
          TEST(an_exec_that_fails_after_the_grant_is_undone_with_the_exact_status),
          TEST(signals_reach_the_vm), TEST(a_client_that_is_killed_ends_its_vm),
          TEST(a_client_that_is_killed_while_it_waits_leaves_the_queue_and_the_next_moves_on),
          TEST(when_the_head_gives_up_the_next_moves_on_at_once),
          TEST(a_detached_vm_outlives_its_client_and_can_be_killed_by_name),
          TEST(a_vm_that_ignores_term_is_killed_after_its_grace),
          TEST(children_that_stay_behind_die_with_the_vm),
          TEST(a_hypervisor_that_daemonises_is_still_in_its_slice_and_accounted),
          TEST(run_gives_the_vm_its_clients_directory_streams_and_identity),
          TEST(placeholders_are_replaced_and_other_braces_are_not),
          TEST(a_real_hypervisor_runs_inside_its_limits), )
