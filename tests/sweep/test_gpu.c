/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --gpus --timeout 400 */
/*
 * The broker killed before each of its writes to sysfs for a GPU, and around them: the next one
 * finds what the record names, and the device is as it was, with its driver and nobody's.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gpus.h"
#include "house.h"
#include "links.h"
#include "steps.h"

#define A GPU_A
#define CONF HOUSE_CONF "[GPU]\nDevices=" A "\nBind=yes\nGiveBack=yes\n"
#define SLICE                                                                                      \
        "[Access]\nUsers=*\n[Sandbox]\nAllowRoot=yes\nPrivatePIDs=no\nPrivateNetwork=no\n"         \
        "Seccomp=none\n"
#define DEVICE "$(realpath /sys/bus/pci/devices/" A ")"
#define DRIVERS "/sys/bus/pci/drivers/"
#define OUTPUT HOUSE_DIR "/strace"

static const struct {
        const char *call, *path; /* NULL: whatever it is about */
        int when;
        bool at_end;   /* of the VM; else at its start */
        bool launcher; /* killed in its stead; the broker leaves with it */
} steps[] = {
        {"fsetxattr", NULL, 1, false},
        {"clone3", NULL, 1, false}, /* the thread */
        {"write", DEVICE "/driver_override", 1, false},
        {"write", DRIVERS "virtio-pci/unbind", 1, false},
        {"write", "/sys/bus/pci/drivers_probe", 1, false},
        {"clone3", NULL, 1, false, true}, /* the VM */
        {"clone3", NULL, 1, true},
        {"write", DEVICE "/reset", 1, true},
        {"write", DEVICE "/driver_override", 1, true},
        {"write", DRIVERS "vfio-pci/unbind", 1, true},
        {"write", "/sys/bus/pci/drivers_probe", 1, true},
        {"unlinkat", NULL, 1, true},
};

static bool nothing_left(void *userdata) {
        struct tree tree;

        tree_walk(&tree);
        return tree.vms == 0 && count_vms() == 0 && allocated("gpu") == 0 &&
               gpus_number("used_slots") == 0;
}

static void attach(struct job *strace, const struct house *house, size_t i) {
        char line[512], path[160] = "";

        if (steps[i].path)
                snprintf(path, sizeof(path), "-P %s", steps[i].path);
        snprintf(line, sizeof(line),
                 "exec strace -f -p %d -o " OUTPUT " %s -e inject=%s:signal=KILL:when=%d",
                 steps[i].launcher ? steps_launcher(house) : house->broker, path, steps[i].call,
                 steps[i].when);
        JOB(strace, "sh", "-c", line);
        job_wait_err(strace, "attached");
}

static void run(struct job *job) {
        JOB_RUN(job, "--name", "a", "--gpus", "1", "--", "vm", "rest");
}

/* A VM that starts and ends; the broker is killed on the way. */
static void one(struct house *house, size_t i) {
        struct job strace, job, kill;
        char *driver;

        if (!steps[i].at_end)
                attach(&strace, house, i);
        run(&job);
        if (steps[i].at_end) {
                job_wait_out(&job, "ready");
                attach(&strace, house, i);
                JOB(&kill, "provium", "kill", "a");
        }
        need_that(pidfd_wait(house->pidfd, HOUSE_WAIT_MS), "it is killed at %s %d of %s",
                  steps[i].call, steps[i].when, steps[i].path ?: "anything");
        job_wait(&strace, HOUSE_WAIT_MS);
        /* It would come back with its ticket. */
        job_kill(&job, SIGKILL);
        job_wait(&job, HOUSE_WAIT_MS);
        if (steps[i].at_end) {
                job_kill(&kill, SIGKILL);
                job_wait(&kill, HOUSE_WAIT_MS);
        }
        steps_bury(house);
        need_that(wait_until(nothing_left, NULL, HOUSE_WAIT_MS), "%s %d of %s leaves nothing",
                  steps[i].call, steps[i].when, steps[i].path ?: "anything");
        driver = sh_text("cd /sys/bus/pci/devices/" A "; echo $(basename $(readlink -f driver)) "
                         "$(cat driver_override)");
        expect_that(strcmp(driver, "virtio-pci (null)\n") == 0,
                    "after %s %d of %s its driver is %s", steps[i].call, steps[i].when,
                    steps[i].path ?: "anything", driver);
        free(driver);
}

static void a_gpu_is_as_it_was_wherever_the_broker_was_killed(void) {
        struct house house;
        struct job job, kill;

        gpus_open(&house, CONF, SLICE);
        for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
                one(&house, i);
        /* And the device can be had. */
        run(&job);
        job_wait_out(&job, "ready");
        expect_int(gpus_number("used_slots"), 1);
        expect_int(SHELL(&kill, "provium", "kill", "a"), 0);
        job_wait(&job, HOUSE_WAIT_MS);
        need(wait_until(nothing_left, NULL, HOUSE_WAIT_MS));
        house_close(&house);
}

UNIT_MAIN(TEST(a_gpu_is_as_it_was_wherever_the_broker_was_killed))
