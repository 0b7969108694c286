/* SPDX-License-Identifier: MIT */
/* rig: --mem 1G --disk 256M --timeout 200 */
/*
 * What was sold is what is in force: memory, CPU, processes and weights, measured on VMs that want
 * more than they were sold.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "house.h"

static void a_vm_that_eats_more_memory_than_its_claim_is_killed_and_told_so(void) {
        struct house house;
        struct news news;
        struct job job;
        const json_t *event;

        house_open(&house, NULL, NULL);
        news_open(&news);
        JOB_RUN(&job, "--name", "hog", "--mem", "64M", "--", "vm", "eat", "200");
        event = news_wait(&news, "vm_oom", "hog");
        expect(json_integer_value(json_object_get(event, "kills")) >= 1);
        expect_int(json_integer_value(json_object_get(event, "memory_max")), 64 << 20);
        event = news_wait(&news, "vm_shutdown", "hog");
        expect(json_is_true(json_object_get(event, "oom")));
        expect_int(json_integer_value(json_object_get(event, "signal")), 9);
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 128 + 9);
        expect_in(job.err, "out of memory");
        expect_in(job.err, "64M");
        news_close(&news);
        house_close(&house);
}

/* memory.oom.group: the shell dies with what it started, in one go, and every victim is counted. */
static void an_oom_kill_takes_the_whole_vm_and_is_told_with_its_number(void) {
        struct house house;
        struct news news;
        struct job job;
        json_int_t total = 0;

        house_open(&house, NULL, NULL);
        news_open(&news);
        JOB_RUN(&job, "--name", "hogs", "--mem", "32M", "--", "sh", "-c",
                "vm rest & vm rest & vm eat 100; exit 5");
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 128 + 9);
        for (;;) {
                const json_t *event = news_next(&news, HOUSE_WAIT_MS);
                const char *kind = json_string_value(json_object_get(event, "kind"));

                need(event != NULL);
                if (strcmp(kind, "vm_oom") == 0) {
                        total += json_integer_value(json_object_get(event, "kills"));
                        expect_int(json_integer_value(json_object_get(event, "total")), total);
                }
                if (strcmp(kind, "claim_released") == 0)
                        break;
        }
        /* The kernel counts the one it chose twice. */
        expect_within(total, 4, 5);
        news_close(&news);
        house_close(&house);
}

static void a_vm_within_its_claim_is_left_alone(void) {
        struct house house;
        struct job job;
        char text[64];

        house_open(&house, NULL, NULL);
        JOB_RUN(&job, "--name", "fits", "--mem", "64M", "--", "vm", "eat", "58");
        job_wait_out(&job, "ready");
        vm_file("fits", "memory.max", text, sizeof(text));
        expect_str(text, "67108864");
        vm_file("fits", "memory.swap.max", text, sizeof(text));
        expect_str(text, "0");
        vm_file("fits", "memory.events", text, sizeof(text));
        expect_in(text, "low 0");
        job_kill(&job, SIGTERM);
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 128 + 15);
        house_close(&house);
}

static uint64_t usage_us(const char *path) {
        char file[1200];
        json_int_t usage;

        snprintf(file, sizeof(file), "%s/cpu.stat", path);
        usage = file_key(file, "usage_usec");
        need(usage >= 0);
        return (uint64_t)usage;
}

/* CPUs used by the group over the next @ms. */
static double cpus_used(const char *path, int ms) {
        uint64_t begin = now_us(), used = usage_us(path);

        poll(NULL, 0, ms); /* this is the measurement, not a wait for anything */
        /* The time around the use, however long it takes us to read it. */
        used = usage_us(path) - used;
        return (double)used / (double)(now_us() - begin);
}

static void a_vm_of_half_a_cpu_that_spins_gets_half_a_cpu(void) {
        struct house house;
        struct job job;
        char *path;
        double used;

        house_open(&house, NULL, NULL);
        JOB_RUN(&job, "--name", "spin", "--cpus", "0.5", "--", "vm", "spin", "2");
        job_wait_out(&job, "ready");
        path = vm_path("spin");
        used = cpus_used(path, 10000);
        unit_note("%.3f of a CPU, sold 0.5 and 4 %% headroom", used);
        expect_within(used, 0.50, 0.535);
        free(path);
        job_kill(&job, SIGKILL);
        job_wait(&job, HOUSE_WAIT_MS);
        house_close(&house);
}

static void without_headroom_a_vm_gets_exactly_its_cpu(void) {
        struct house house;
        struct job job;
        char *path;
        double used;

        house_open(&house, HOUSE_CONF "CpuHeadroom=0\n", NULL);
        JOB_RUN(&job, "--name", "spin", "--cpus", "0.25", "--", "vm", "spin", "2");
        job_wait_out(&job, "ready");
        path = vm_path("spin");
        used = cpus_used(path, 4000);
        unit_note("%.3f of a CPU, sold 0.25", used);
        expect_within(used, 0.235, 0.275);
        free(path);
        job_kill(&job, SIGKILL);
        job_wait(&job, HOUSE_WAIT_MS);
        house_close(&house);
}

/* In slices of their own: a slice's weight is the sum of its VMs', so that it is the claim that
 * counts. */
static void busy_vms_share_full_cpus_as_their_claims(void) {
        static const char *const cpus[] = {"0.5", "1", "2"};
        static const char *const names[] = {"one", "two", "four"};
        static const char *const slices[] = {"t", "t", "u"};
        struct house house;
        struct job jobs[3];
        char *paths[3];
        uint64_t before[3];
        double used[3];

        house_open(&house,
                   "[Capacity]\nMemory=400M\nCPU=2\n[Ratio]\nCPU=4\n[Enforce]\nMemoryOverhead=0\n"
                   "[Claim]\nMemory=16M\nDiskIO=0\n",
                   NULL);
        house_slice("u", HOUSE_SLICE);
        house_reload(&house);
        for (int i = 0; i < 3; i++) {
                JOB(&jobs[i], "provium", "run", "--slice", slices[i], "--name", names[i], "--cpus",
                    cpus[i], "--", "vm", "spin", "2");
                job_wait_out(&jobs[i], "ready");
                paths[i] = vm_path(names[i]);
        }
        /* The shares are judged while the rig has both processors: whoever takes them from outside
         * takes them from one VM more than from another. A wrong weight stays wrong. */
        for (int tries = 0; tries < 3; tries++) {
                for (int i = 0; i < 3; i++)
                        before[i] = usage_us(paths[i]);
                poll(NULL, 0, 6000);
                for (int i = 0; i < 3; i++)
                        used[i] = (double)(usage_us(paths[i]) - before[i]) / 6e6;
                if (used[1] / used[0] >= 1.8 && used[1] / used[0] <= 2.2 &&
                    used[2] / used[0] >= 3.6 && used[2] / used[0] <= 4.4)
                        break;
        }
        unit_note("%.3f, %.3f, %.3f of a CPU: 1 : %.2f : %.2f", used[0], used[1], used[2],
                  used[1] / used[0], used[2] / used[0]);
        expect_within(used[1] / used[0], 1.8, 2.2);
        expect_within(used[2] / used[0], 3.6, 4.4);
        expect_within(used[0] + used[1] + used[2], 1.8, 2.1);
        for (int i = 0; i < 3; i++) {
                job_kill(&jobs[i], SIGKILL);
                job_wait(&jobs[i], HOUSE_WAIT_MS);
                free(paths[i]);
        }
        house_close(&house);
}

static void a_fork_bomb_stops_at_its_limit_and_can_be_killed(void) {
        struct house house;
        struct job job, other, killer;
        char text[64];

        house_open(&house, HOUSE_CONF "PidsMax=40\n", NULL);
        JOB_RUN(&job, "--name", "bomb", "--mem", "64M", "--", "vm", "bomb");
        job_wait_out(&job, "ready");
        expect_in(job.out, "ready 39 EAGAIN");
        vm_file("bomb", "pids.current", text, sizeof(text));
        expect_str(text, "40");
        /* Nobody else notices. */
        expect_int(SHELL(&other, "provium", "run", "--slice", "t", "--", "vm", "exit", "3"), 3);
        expect_int(SHELL(&killer, "provium", "kill", "bomb", "--grace", "0s"), 0);
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 128 + 9);
        expect_int(count_vms(), 0);
        house_close(&house);
}

static void page_cache_up_to_the_limit_is_reclaimed_and_kills_nobody(void) {
        struct house house;
        struct news news;
        struct job job;
        const char *disk = getenv("RIG_DISKS");
        const json_t *event;

        if (!disk || !*disk)
                unit_skip("the rig has no disk");
        need_int(system("mkfs.ext4 -q -F $RIG_DISKS"), 0);
        mkdir("/run/disk", 0755);
        need_int(mount(disk, "/run/disk", "ext4", 0, NULL), 0);
        house_open(&house, NULL, NULL);
        news_open(&news);
        JOB_RUN(&job, "--name", "cache", "--mem", "20M", "--", "vm", "cache", "/run/disk/file",
                "48");
        expect_int(job_wait(&job, 60000), 0);
        while ((event = news_next(&news, HOUSE_WAIT_MS))) {
                const char *kind = json_string_value(json_object_get(event, "kind"));

                expect(strcmp(kind, "vm_oom") != 0);
                if (strcmp(kind, "claim_released") == 0)
                        break;
        }
        need(event != NULL);
        news_close(&news);
        house_close(&house);
        umount("/run/disk");
}

static void what_is_reported_is_what_the_kernel_holds(void) {
        struct house house;
        struct job job;
        json_t *dry, *show;
        const json_t *planned, *limits;
        const char *file;
        json_t *value;
        struct line line;

        house_open(&house, "[Capacity]\nCPU=4\nMemory=800M\n[Ratio]\nMemory=2\n[Claim]\nDiskIO=0\n",
                   NULL);
        need(line_open(&line));
        line_run(&line, json_pack("{s:s s:b s:{s:i s:I} s:[s] s:[]}", "slice", "t", "dry_run", 1,
                                  "claim", "cpu", 700, "memory", (json_int_t)(50 << 20), "command",
                                  "vm", "environment"));
        dry = line_wait(&line, "dry_run");
        line_close(&line);
        JOB_RUN(&job, "--name", "real", "--cpus", "0.7", "--mem", "50M", "--", "vm", "rest");
        job_wait_out(&job, "ready");
        show = ask("Show", json_pack("{s:s}", "vm", "real"));
        planned = json_object_get(json_object_get(json_object_get(dry, "parameters"), "run"),
                                  "limits");
        limits = json_object_get(json_object_get(show, "parameters"), "limits");
        expect(json_object_size(planned) >= 7);
        json_object_foreach((json_t *)planned, file, value) {
                const char *is = json_string_value(json_object_get(limits, file));

                expect_that(is && strcmp(is, json_string_value(value)) == 0,
                            "%s was planned as '%s' and is '%s'", file, json_string_value(value),
                            is ?: "");
        }
        expect_str(json_string_value(json_object_get(limits, "cpu.max")), "72800 100000");
        /* 50 and 100 MiB for the hypervisor; at a ratio of 2 half of it is guaranteed. */
        expect_str(json_string_value(json_object_get(limits, "memory.max")), "157286400");
        expect_str(json_string_value(json_object_get(limits, "memory.low")), "78643200");
        json_decref(dry);
        json_decref(show);
        job_kill(&job, SIGTERM);
        job_wait(&job, HOUSE_WAIT_MS);
        house_close(&house);
}

UNIT_MAIN(TEST(a_vm_that_eats_more_memory_than_its_claim_is_killed_and_told_so),
          TEST(an_oom_kill_takes_the_whole_vm_and_is_told_with_its_number),
          TEST(a_vm_within_its_claim_is_left_alone),
          TEST(a_vm_of_half_a_cpu_that_spins_gets_half_a_cpu),
          TEST(without_headroom_a_vm_gets_exactly_its_cpu),
          TEST(busy_vms_share_full_cpus_as_their_claims),
          TEST(a_fork_bomb_stops_at_its_limit_and_can_be_killed),
          TEST(page_cache_up_to_the_limit_is_reclaimed_and_kills_nobody),
          TEST(what_is_reported_is_what_the_kernel_holds), )
