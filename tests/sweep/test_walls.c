/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --timeout 500 */
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

#define SLICE                                                                                      \
        "[Access]\nUsers=*\n[Sandbox]\nAllowRoot=yes\nPrivateTmp=yes\nReadOnlyRoot=yes\n"          \
        "PrivateNetwork=yes\nBatch=yes\n"

static const struct {
        const char *call, *said; /* of its first failure */
        int most;                /* more are not looked for */
} steps[] = {
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

static void each_step_that_fails_refuses_the_launch_and_leaves_nothing(void) {
        unsigned fds[2], injected = 0;
        struct outcome outcome;
        struct house house;

        need_int(chdir("/"), 0);
        sh("mkdir -p " HOUSE_DIR "/vendor; cp -r $PROVIUM_SOURCE/policies/etc/seccomp " HOUSE_DIR
           "/vendor; cp $PROVIUM_HELPERS/vm /run/vm");
        setenv("PROVIUM_HELPERS", "/run", 1);
        house_open(&house, NULL, SLICE);
        outcome = steps_launch(&house, NULL);
        need_int(outcome.exit_code, 3);
        fds[0] = ~0U;
        fds[1] = (unsigned)house.broker;
        need(wait_until(nothing_left, fds, 40000));
        fds[0] = count_fds(house.broker);
        for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
                for (int when = 1; when <= steps[i].most; when++) {
                        struct job strace;

                        steps_attach_child(&strace, &house, steps[i].call, "error=EIO", when);
                        outcome = steps_launch(&house, NULL);
                        need_that(wait_until(nothing_left, fds, 40000),
                                  "after %s %d nothing is left: %d VMs, %u descriptors of %u; "
                                  "told '%s' '%s'",
                                  steps[i].call, when, (int)count_vms(), count_fds(house.broker),
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
        expect(injected > 25);
        house_close(&house);
}

UNIT_MAIN(TEST(each_step_that_fails_refuses_the_launch_and_leaves_nothing), )
