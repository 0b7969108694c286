/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 768M --disk 64M --swap 32M --timeout 250 */
/*
 * What may happen beneath a broker: the clock jumps, a process cannot be killed, memory is swapped,
 * CPUs are taken away.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "house.h"
#include "links.h"

#define MIB ((json_int_t)1 << 20)
#define HOUR_USEC ((json_int_t)3600 * 1000000)
#define DAY_S 86400
#define LINGERS_MS                                                                                 \
        60000 /* a retry after a quarter of a second, and six that take twice as long each */

static void jump(time_t seconds) {
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        now.tv_sec += seconds;
        need_int(clock_settime(CLOCK_REALTIME, &now), 0);
}

/* In how long the claim @name is going to start. */
static json_int_t starts_in(const char *name) {
        json_t *reply = ask("Explain", json_pack("{s:s}", "vm", name));
        const json_t *estimate = json_object_get(json_object_get(reply, "parameters"), "estimate");
        json_int_t usec = json_integer_value(json_object_get(estimate, "in_usec"));

        json_decref(reply);
        return usec;
}

static bool one_waits(void *userdata) {
        return count_waiting() == 1;
}

static void a_clock_that_jumps_ends_starts_and_promises_nothing(void) {
        static const time_t jumps[] = {2 * DAY_S, -4 * DAY_S, 400 * DAY_S};
        struct house house;
        struct job holder, waits;

        house_open(&house, NULL, NULL);
        expect_int(SHELL(&holder, "provium", "run", "--slice", "t", "--detach", "--name", "holder",
                         "--mem", "300M", "--max-time", "1h", "--", "vm", "rest"),
                   0);
        JOB_RUN(&waits, "--name", "waits", "--mem", "200M", "--wait", "1h", "--", "vm", "rest");
        job_wait_err(&waits, "pool_full");
        for (size_t i = 0; i < ARRAY_SIZE(jumps); i++) {
                jump(jumps[i]);
                house_reload(&house);
                expect_int(allocated("memory"), 300 * MIB);
                expect_int(count_waiting(), 1);
                expect_within(starts_in("waits"), HOUR_USEC - 300000000, HOUR_USEC);
        }
        /* A broker that starts in another year finds the same. */
        house_kill(&house);
        jump(-800 * DAY_S);
        house_start(&house);
        need(wait_until(one_waits, NULL, HOUSE_WAIT_MS));
        expect_int(allocated("memory"), 300 * MIB);
        expect_within(starts_in("waits"), HOUR_USEC - 300000000, HOUR_USEC);
        expect_int(SHELL(&holder, "provium", "kill", "holder"), 0);
        job_wait_out(&waits, "ready");
        job_kill(&waits, SIGTERM);
        job_wait(&waits, HOUSE_WAIT_MS);
        jump(402 * DAY_S);
        house_close(&house);
}

static bool is_lingering(void *userdata) {
        json_t *reply = ask("Show", json_pack("{s:s}", "vm", "stuck"));
        const json_t *vm = json_object_get(json_object_get(reply, "parameters"), "vm");
        const char *state = json_string_value(json_object_get(vm, "state"));
        bool is = state && strcmp(state, "lingering") == 0;

        json_decref(reply);
        return is;
}

/* It waits for a disk, where no signal reaches it. */
static bool is_in_disk_sleep(void *userdata) {
        char *states = sh_text("for p in $(cat %s/cgroup.procs); do"
                               "  cut -d' ' -f3 /proc/$p/stat; done",
                               (const char *)userdata);
        bool is = strchr(states, 'D') != NULL;

        free(states);
        return is;
}

static void what_cannot_be_killed_keeps_its_charge_and_is_shown(void) {
        const char *disk = getenv("RIG_DISKS");
        struct house house;
        struct job stuck, kills, next;
        char *path;

        if (!disk || !*disk)
                unit_skip("the rig has no disk");
        sh("exec 2>&1; export PATH=$PATH:/sbin:/usr/sbin; set -e; mkdir -p /run/frozen;"
           "mkfs.ext4 -qF ${RIG_DISKS%%%% *}; mount ${RIG_DISKS%%%% *} /run/frozen");
        house_open(&house, NULL, NULL);
        JOB_RUN(&stuck, "--name", "stuck", "--mem", "50M", "--", "/bin/sh", "-c",
                "echo ready; while :; do echo x >/run/frozen/file; done");
        job_wait_out(&stuck, "ready");
        path = vm_path("stuck");
        sh("/sbin/fsfreeze -f /run/frozen");
        need(wait_until(is_in_disk_sleep, path, HOUSE_WAIT_MS));
        JOB(&kills, "provium", "kill", "stuck");
        need(wait_until(is_lingering, NULL, LINGERS_MS));
        expect(house_log_has("its processes do not end; its charge is held"));
        expect_int(allocated("memory"), 50 * MIB);
        JOB_RUN(&next, "--name", "next", "--mem", "400M", "--", "vm", "rest");
        job_wait_err(&next, "pool_full");
        /* Neither does a broker that comes then sell it again. */
        house_kill(&house);
        house_start(&house);
        expect_int(allocated("memory"), 50 * MIB);
        sh("/sbin/fsfreeze -u /run/frozen");
        job_wait_out(&next, "ready");
        expect_int(allocated("memory"), 400 * MIB);
        job_kill(&next, SIGTERM);
        job_wait(&next, HOUSE_WAIT_MS);
        job_wait(&kills, HOUSE_WAIT_MS);
        job_wait(&stuck, HOUSE_WAIT_MS);
        free(path);
        house_close(&house);
        sh("umount /run/frozen");
}

static void swap_is_for_vms_as_the_policy_says_and_the_doctor_tells(void) {
        struct house house;
        struct job job;
        char text[64];

        house_open(&house, NULL, NULL);
        (void)SHELL(&job, "provium", "doctor");
        expect_in(job.out, "on disk, accounted; VMs get none (SwapMax=0)");
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--detach", "--name", "a", "--",
                         "vm", "rest"),
                   0);
        vm_file("a", "memory.swap.max", text, sizeof(text));
        expect_str(text, "0");
        house_conf(HOUSE_CONF "SwapMax=8M\n");
        house_reload(&house);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--detach", "--name", "b", "--",
                         "vm", "rest"),
                   0);
        vm_file("b", "memory.swap.max", text, sizeof(text));
        expect_str(text, "8388608");
        (void)SHELL(&job, "provium", "doctor");
        expect_in(job.out, "on disk, accounted; VMs get what SwapMax= says");
        sh("export PATH=$PATH:/sbin; swapoff $(awk 'NR > 1 { print $1 }' /proc/swaps)");
        (void)SHELL(&job, "provium", "doctor");
        expect(!strstr(job.out, "accounted; VMs get"));
        house_end_all(&house);
        house_close(&house);
}

#define AUTO_CONF                                                                                  \
        "[Capacity]\nCPU=auto\nMemory=400M\nDisk=1G\n[Ratio]\nCPU=1\n[Reserve]\nCPU=0\n"           \
        "[Claim]\nCPU=0.1\nMemory=16M\nDiskIO=0\nNetwork=0\n[Enforce]\nMemoryOverhead=0\n"

/* What may be sold of CPUs, in thousandths. */
static json_int_t cpu_limit(void) {
        json_t *reply = ask("Resources", NULL);
        const json_t *resources =
                json_object_get(json_object_get(reply, "parameters"), "resources");
        json_int_t limit = json_integer_value(
                json_object_get(json_object_get(resources, "cpu"), "effective_limit"));

        json_decref(reply);
        return limit;
}

static void cpus_that_are_taken_away_are_told_and_not_sold_after_a_reload(void) {
        struct house house;
        struct job job;
        char text[64];

        house_open(&house, AUTO_CONF, NULL);
        file_get("/sys/devices/system/cpu/online", text, sizeof(text));
        if (strcmp(text, "0-1") != 0)
                unit_skip("the rig has not two CPUs");
        expect_int(cpu_limit(), 2000);
        (void)SHELL(&job, "provium", "doctor");
        expect_in(job.out, "VMs may run on 2");
        need_int(file_put("/sys/fs/cgroup/cgroup.subtree_control", "+cpuset"), 0);
        need_int(file_put(HOUSE_ROOT "/cpuset.cpus", "1"), 0);
        (void)SHELL(&job, "provium", "doctor");
        expect_in(job.out, "2 are counted on, but VMs may run on 1");
        house_reload(&house);
        expect_int(cpu_limit(), 1000);
        need_int(file_put(HOUSE_ROOT "/cpuset.cpus", "\n"), 0);
        house_reload(&house);
        expect_int(cpu_limit(), 2000);
        house_close(&house);
}

UNIT_MAIN(TEST(a_clock_that_jumps_ends_starts_and_promises_nothing),
          TEST(what_cannot_be_killed_keeps_its_charge_and_is_shown),
          TEST(swap_is_for_vms_as_the_policy_says_and_the_doctor_tells),
          TEST(cpus_that_are_taken_away_are_told_and_not_sold_after_a_reload), )
