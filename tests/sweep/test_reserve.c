/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --timeout 400 */
/*
 * The broker killed at the system calls by which a reservation is made, and by which one with a VM
 * inside is ended. Whoever comes next finds all of it, in force, or nothing; and what was being
 * ended ends.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "house.h"
#include "steps.h"

struct step {
        const char *call;
        int most; /* kills at the first so many of them */
};

static const struct step making[] = {
        {"mkdirat", 2}, {"fsetxattr", 1},         {"openat", 3},
        {"write", 3},   {"inotify_add_watch", 2}, {"sendmsg", 2},
};

static const struct step ending[] = {
        /* The first of sendmsg has the launcher send the VM its signal. */
        {"fsetxattr", 1},
        {"unlinkat", 3},
        {"inotify_rm_watch", 2},
        {"sendmsg", 3},
};

static bool nothing_left(void *userdata) {
        struct tree tree;

        (void)userdata;
        tree_walk(&tree);
        return tree.vms == 0 && count_vms() == 0 && count_waiting() == 0 && allocated("cpu") == 0 &&
               allocated("memory") == 0;
}

static void claim(struct job *job) {
        JOB(job, "provium", "claim", "--slice", "t", "--owner", "o", "--name", "r", "--cpus", "1",
            "--mem", "100M", "--detach");
}

static void start_inside(void) {
        struct job job;

        expect_int(SHELL(&job, "provium", "run", "--owner", "o", "--name", "a", "--detach", "--mem",
                         "40M", "--", "vm", "rest"),
                   0);
}

/* What stands does so with its limits, and can be used and ended. False: nothing stands. */
static bool check_standing(const struct step *step, int when) {
        struct job job;
        char text[64];

        if (count_vms() == 0)
                return false;
        vm_file("r", "cpu.max", text, sizeof(text));
        expect_that(strcmp(text, "104000 100000") == 0, "after %s %d its cpu.max is %s", step->call,
                    when, text);
        vm_file("r", "memory.max", text, sizeof(text));
        expect_that(strcmp(text, "104857600") == 0, "after %s %d its memory.max is %s", step->call,
                    when, text);
        expect_int(allocated("cpu"), 1000);
        expect_int(allocated("memory"), 100 << 20);
        (void)SHELL(&job, "provium", "release", "o", "--grace", "0");
        return true;
}

static void expect_nothing_left(const struct step *step, int when) {
        expect_that(wait_until(nothing_left, NULL, HOUSE_WAIT_MS), "after %s %d nothing is left",
                    step->call, when);
}

/* Kills the broker at the @when-th @step of what @job does; false: it did not get that far. */
static bool kill_at(struct house *house, const struct step *step, int when,
                    void (*begin)(struct job *job)) {
        uint64_t until = now_ms() + HOUSE_WAIT_MS;
        struct job strace, job;
        bool killed, ended = false;

        steps_attach(&strace, house, step->call, "signal=KILL", when);
        begin(&job);
        /* What is ended takes as long as its VMs do. */
        do {
                killed = pidfd_wait(house->pidfd, 50);
                ended = !killed && job_wait(&job, 0) >= 0;
        } while (!killed && !ended && now_ms() < until);
        killed = killed || pidfd_wait(house->pidfd, STEPS_QUIET_MS);
        steps_detach(&strace);
        expect_that(killed || when > 1, "%s is still one of the calls", step->call);
        if (!ended) {
                job_kill(&job, SIGKILL);
                job_wait(&job, HOUSE_WAIT_MS);
        }
        return killed;
}

static void release(struct job *job) {
        JOB(job, "provium", "release", "o");
}

static void what_was_being_made_is_there_or_not(void) {
        unsigned killed = 0, stood = 0;
        struct house house;
        struct job job;

        house_open(&house, HOUSE_CONF "[Broker]\nReconnectGrace=1s\n", NULL);
        for (size_t i = 0; i < sizeof(making) / sizeof(making[0]); i++)
                for (int when = 1; when <= making[i].most; when++) {
                        if (!kill_at(&house, &making[i], when, claim))
                                break;
                        killed++;
                        steps_bury(&house);
                        stood += check_standing(&making[i], when);
                        expect_nothing_left(&making[i], when);
                }
        unit_note("killed %u times, it stood %u times", killed, stood);
        expect(killed >= 8);
        expect(stood > 0 && stood < killed);
        claim(&job);
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 0);
        expect_int(SHELL(&job, "provium", "release", "o"), 0);
        house_close(&house);
}

static void what_was_being_ended_ends(void) {
        unsigned killed = 0, stood = 0;
        struct house house;
        struct job job;

        house_open(&house, HOUSE_CONF "[Broker]\nReconnectGrace=1s\n", NULL);
        for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
                for (int when = 1; when <= ending[i].most; when++) {
                        bool ended;

                        claim(&job);
                        expect_int(job_wait(&job, HOUSE_WAIT_MS), 0);
                        start_inside();
                        if (!kill_at(&house, &ending[i], when, release)) {
                                expect_nothing_left(&ending[i], when);
                                break;
                        }
                        killed++;
                        steps_bury(&house);
                        /* Before it was noted nobody knows of it. */
                        ended = strcmp(ending[i].call, "fsetxattr") != 0;
                        if (!ended)
                                stood += check_standing(&ending[i], when);
                        expect_nothing_left(&ending[i], when);
                }
        unit_note("killed %u times, it stood %u times", killed, stood);
        expect(killed >= 5);
        house_close(&house);
}

UNIT_MAIN(TEST(what_was_being_made_is_there_or_not), TEST(what_was_being_ended_ends))
