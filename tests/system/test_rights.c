/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --timeout 120 */
/*
 * What the broker and the launcher may do, as the kernel tells it of the processes: after their
 * start, after an upgrade in place, and what of it a VM has that keeps all it can.
 */
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <base/macro.h>

#include "house.h"
#include "links.h"

#define BIT(capability) (UINT64_C(1) << (capability))
/* As broker/rights.c has them, each with its reason. */
#define OF_BROKER (BIT(CAP_SYS_ADMIN) | BIT(CAP_NET_ADMIN))
#define OF_LAUNCHER                                                                                \
        (BIT(CAP_SYS_ADMIN) | BIT(CAP_NET_ADMIN) | BIT(CAP_SYS_RESOURCE) | BIT(CAP_DAC_OVERRIDE) | \
         BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIT(CAP_SETPCAP) | BIT(CAP_KILL) | BIT(CAP_CHOWN) |   \
         BIT(CAP_FOWNER) | BIT(CAP_MKNOD) | BIT(CAP_SYSLOG))

static void read_status(const char *path, char *status, size_t size) {
        status[0] = '\n';
        file_get(path, status + 1, size - 2);
        strcat(status, "\n");
}

/* @status: one of a process that has @effective and can have @bounding. */
static void expect_rights(const char *status, uint64_t effective, uint64_t bounding) {
        char line[64];

        snprintf(line, sizeof(line), "\nCapEff:\t%016jx\n", (uintmax_t)effective);
        expect_in(status, line);
        snprintf(line, sizeof(line), "\nCapPrm:\t%016jx\n", (uintmax_t)effective);
        expect_in(status, line);
        snprintf(line, sizeof(line), "\nCapBnd:\t%016jx\n", (uintmax_t)bounding);
        expect_in(status, line);
        expect_in(status, "\nCapInh:\t0000000000000000\n");
        expect_in(status, "\nCapAmb:\t0000000000000000\n");
        expect_in(status, "\nNoNewPrivs:\t1\n");
        expect_in(status, "\nSeccomp:\t2\n");
}

static void expect_limited_to(int pid, uint64_t kept) {
        char path[64], status[8192];

        snprintf(path, sizeof(path), "/proc/%d/status", pid);
        read_status(path, status, sizeof(status));
        expect_rights(status, kept, kept);
        expect_in(status, "\nSeccomp_filters:\t1\n");
}

/* The launcher is the only child that a broker without systemd has. */
static void expect_limited(const struct house *house) {
        char path[64], children[64] = "";

        expect_limited_to(house->broker, OF_BROKER);
        snprintf(path, sizeof(path), "/proc/%d/task/%d/children", house->broker, house->broker);
        file_get(path, children, sizeof(children));
        expect_that(atoi(children) > 0, "the children of the broker: '%s'", children);
        expect_limited_to(atoi(children), OF_LAUNCHER);
}

static void broker_and_launcher_have_what_they_need_and_no_more(void) {
        struct house house;
        struct job job;

        house_open(&house, NULL, NULL);
        expect_limited(&house);
        JOB(&job, "provium", "doctor");
        job_wait_out(&job, "the broker has the 2 capabilities it needs, and no other");
        job_wait_out(&job, "the launcher has the 12 capabilities it needs, and no other");
        need(job_wait(&job, HOUSE_WAIT_MS) >= 0);
        house_close(&house);
}

static void an_upgrade_gives_nothing_back_and_adds_no_filter(void) {
        struct house house;
        struct job job;

        house_open(&house, NULL, NULL);
        for (int i = 0; i < 3; i++) {
                expect_int(SHELL(&job, "provium", "upgrade"), 0);
                expect_limited(&house);
        }
        house_close(&house);
}

/* One that runs as root and keeps its capabilities, as the policy here lets it. */
static void a_vm_without_walls_has_no_more_than_the_launcher(void) {
        char status[8192];
        struct house house;
        struct job job;

        house_open(&house, NULL, NULL);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--", "sh", "-c",
                         "cat /proc/self/status > " HOUSE_DIR "/status"),
                   0);
        read_status(HOUSE_DIR "/status", status, sizeof(status));
        expect_rights(status, OF_LAUNCHER, OF_LAUNCHER);
        expect_in(status, "\nSeccomp_filters:\t1\n");
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--name", "open", "--detach", "--",
                         "sleep", "60"),
                   0);
        expect_int(SHELL(&job, "provium", "show", "open"), 0);
        expect_in(job.out, "seccomp                    none\n");
        expect_in(job.out, "namespaces                 none of its own\n");
        house_end_all(&house);
        house_close(&house);
}

UNIT_MAIN(TEST(broker_and_launcher_have_what_they_need_and_no_more),
          TEST(an_upgrade_gives_nothing_back_and_adds_no_filter),
          TEST(a_vm_without_walls_has_no_more_than_the_launcher))
