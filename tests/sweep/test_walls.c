/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --disk 64M --timeout 600 */
/*
 * The child's way to execve with one step after the other failing, behind all walls: each launch is
 * refused with the step's own sentence, the command is not executed, and nothing is left.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "house.h"
#include "links.h"
#include "steps.h"

#define CONF HOUSE_CONF "[Capacity]\nDiskIO=100MB/s\n[Claim]\nDiskIO=1MB/s\n"
#define IMAGE "/run/d/image"
#define SLICE                                                                                      \
        "[Access]\nUsers=*\n[Sandbox]\nAllowRoot=yes\nPrivateTmp=yes\nReadOnlyRoot=yes\n"          \
        "PrivateNetwork=yes\nBatch=yes\n"

struct step {
        const char *call, *said; /* of its first failure */
        int most;                /* more are not looked for */
};

static const struct step walls[] = {
        {"setsid", "start a session", 3},
        {"dup3", "pass stdin, stdout and stderr", 3},
        {"prlimit64", "set resource limits", 2}, /* the third is the program's own */
        {"unshare", "enter a namespace of cgroups", 3},
        {"mount", "part its mounts", 12},
        {"mount_setattr", "make the file system read-only", 3},
        {"mknodat", "make a /dev of its own", 12},
        {"symlinkat", "make a /dev of its own", 3},
        {"setgroups", "set the supplementary groups", 3},
        {"setresgid", "set the group id", 3},
        {"setresuid", "set the user id", 3},
        {"capset", "give up its capabilities", 3},
        {"chdir", "enter the working directory", 3},
        {"sched_setscheduler", "set its scheduling", 3},
        {"seccomp", "load its seccomp filter", 3},
};

/* Each is there a second time, later: for the VM's own groups, for its standard streams. */
static const struct step opening[] = {
        {"setfsuid", "open its disk images", 6},
        {"setfsgid", "open its disk images", 6},
        {"setgroups", "open its disk images", 1},
        {"dup3", "cannot open it for reading and writing", 1},
};

static bool nothing_left(void *userdata) {
        const unsigned *fds = userdata;
        struct tree tree;

        /* Before we ask: our own connections are descriptors, too, and a traced broker is slow. */
        if (count_fds((pid_t)fds[1]) > fds[0])
                return false;
        tree_walk(&tree);
        return tree.vms == 0 && count_vms() == 0 && allocated("cpu") == 0 &&
               allocated("memory") == 0;
}

static struct outcome launch(struct house *house) {
        return steps_launch(house, NULL);
}

static struct outcome launch_disk(struct house *house) {
        return steps_launch_disk(house, IMAGE);
}

static void walls_open(struct house *house, const char *conf) {
        need_int(chdir("/"), 0);
        sh("mkdir -p " HOUSE_DIR "/vendor; cp -r $PROVIUM_SOURCE/policies/etc/seccomp " HOUSE_DIR
           "/vendor; cp $(command -v vm) /run/vm");
        setenv("PROVIUM_HELPERS", "/run", 1);
        house_open(house, conf, SLICE);
}

/* Each of @steps at each of its calls; returns how many failed. */
static unsigned fail_each(struct house *house, const struct step *steps, size_t n,
                          struct outcome (*start)(struct house *house)) {
        unsigned fds[2], injected = 0;
        struct outcome outcome;

        outcome = start(house);
        need_that(outcome.exit_code == 3, "it starts: '%s'", outcome.message);
        fds[0] = ~0U;
        fds[1] = (unsigned)house->broker;
        need(wait_until(nothing_left, fds, 40000));
        fds[0] = count_fds(house->broker);
        for (size_t i = 0; i < n; i++) {
                for (int when = 1; when <= steps[i].most; when++) {
                        struct job strace;

                        steps_attach_child(&strace, house, steps[i].call, "error=EIO", when);
                        outcome = start(house);
                        need_that(wait_until(nothing_left, fds, 40000),
                                  "after %s %d nothing is left: %d VMs, %u descriptors of %u; "
                                  "told '%s' '%s'",
                                  steps[i].call, when, (int)count_vms(), count_fds(house->broker),
                                  fds[0], outcome.word, outcome.message);
                        steps_detach(&strace);
                        outcome.injected = steps_injected();
                        if (!outcome.injected) {
                                expect_that(when > 1, "%s is a step", steps[i].call);
                                break;
                        }
                        injected++;
                        expect_that(outcome.told && outcome.exit_code != 3,
                                    "%s %d: it is not executed", steps[i].call, when);
                        expect_that(when > 1 || strstr(outcome.message, steps[i].said),
                                    "%s %d: '%s'", steps[i].call, when, outcome.message);
                }
        }
        unit_note("%u steps failed", injected);
        return injected;
}

static void each_step_that_fails_refuses_the_launch_and_leaves_nothing(void) {
        struct house house;

        walls_open(&house, NULL);
        expect(fail_each(&house, walls, ARRAY_SIZE(walls), launch) > 25);
        house_close(&house);
}

static void an_image_that_cannot_be_opened_as_the_caller_is_opened_by_nobody(void) {
        struct house house;

        walls_open(&house, CONF);
        sh("PATH=$PATH:/sbin:/usr/sbin; mkdir -p /run/d; mkfs.ext4 -qF $RIG_DISKS &&"
           "mount $RIG_DISKS /run/d && echo image > " IMAGE " && chown 1000 " IMAGE);
        expect_uint(fail_each(&house, opening, ARRAY_SIZE(opening), launch_disk), 12);
        house_close(&house);
}

UNIT_MAIN(TEST(each_step_that_fails_refuses_the_launch_and_leaves_nothing),
          TEST(an_image_that_cannot_be_opened_as_the_caller_is_opened_by_nobody), )
