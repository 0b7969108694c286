/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --timeout 400 */
/*
 * A launch and its release with one system call of the launcher after the other failing, and with
 * the launcher killed there. A call that fails is a refusal with its reason, or the end of the
 * launcher; with it the broker leaves, and the next one finds nothing half-made, and every VM that
 * ran before still running.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "house.h"
#include "steps.h"

#define SOON_MS 400 /* a launcher does nothing for later */

/* Of its way, as strace shows it. Not close_range, which does what it is asked for whatever it
 * answers, nor waitid, which has nothing to fail at. */
static const char *const calls[] = {"clone3",  "openat",     "write", "sendmsg",
                                    "recvmsg", "epoll_wait", "waitid"};
#define N_CALLS (sizeof(calls) / sizeof(calls[0]))
#define N_FAILING (N_CALLS - 1)

static int seen[N_CALLS]; /* how often each was made, once that is known */

struct left {
        const struct house *house;
        unsigned broker_fds, launcher_fds;
        json_int_t cpu, memory; /* of the one that stays */
        unsigned vms;
};

/* Zombies too. */
static unsigned count_children(pid_t pid) {
        char path[64], text[1024];
        unsigned n = 0;

        snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
        file_get(path, text, sizeof(text));
        for (const char *at = text; (at = strchr(at, ' ')); at++)
                n++;
        return n;
}

static bool nothing_left(void *userdata) {
        const struct left *left = userdata;
        pid_t launcher;
        struct tree tree;

        if (pidfd_wait(left->house->pidfd, 0))
                return false;
        launcher = steps_launcher(left->house);
        if (count_fds(left->house->broker) > left->broker_fds ||
            count_fds(launcher) > left->launcher_fds || count_children(launcher) > 0)
                return false;
        tree_walk(&tree);
        return tree.vms == left->vms && count_vms() == left->vms && count_waiting() == 0 &&
               allocated("cpu") == left->cpu && allocated("memory") == left->memory;
}

static bool check_clean(struct left *left, const char *call, int when) {
        bool clean = wait_until(nothing_left, left, 40000);
        pid_t launcher;

        if (clean)
                return true;
        launcher = steps_launcher(left->house);
        expect_that(false,
                    "after %s %d nothing is left: %d VMs, descriptors %u of %u, the launcher's %u "
                    "of %u and %u children",
                    call, when, (int)count_vms(), count_fds(left->house->broker), left->broker_fds,
                    count_fds(launcher), left->launcher_fds, count_children(launcher));
        return false;
}

/* What the first launch leaves for later ones is counted from then on. */
static void warm_up(struct left *left, struct house *house) {
        struct outcome outcome = steps_launch(house, NULL);

        expect_int(outcome.exit_code, 3);
        left->house = house;
        left->broker_fds = left->launcher_fds = ~0U;
        check_clean(left, "nothing", 0);
        left->broker_fds = count_fds(house->broker);
        left->launcher_fds = count_fds(steps_launcher(house));
}

/* The broker says why it leaves, and the next one is in order. */
static void bury(struct left *left, struct house *house, const char *call, int when) {
        if (!pidfd_wait(house->pidfd, HOUSE_WAIT_MS)) {
                expect_that(false, "after %s %d the broker leaves", call, when);
                kill(house->broker, SIGKILL);
        }
        expect_that(house_log_has("the launcher has ended"), "%s %d: it says why it leaves", call,
                    when);
        steps_bury(house);
        left->broker_fds = left->launcher_fds = ~0U;
}

static struct outcome launch_at(struct house *house, const char *call, const char *what, int when) {
        struct outcome outcome;
        struct job strace;

        steps_attach_launcher(&strace, house, call, what, when);
        outcome = steps_launch(house, NULL);
        outcome.broker_gone |= pidfd_wait(house->pidfd, SOON_MS);
        steps_detach(&strace);
        outcome.injected = steps_injected();
        return outcome;
}

static void each_call_of_the_launcher_that_fails_leaves_nothing(void) {
        unsigned injected = 0, refused = 0, unharmed = 0, gone = 0;
        struct left left = {};
        struct house house;

        house_open(&house, HOUSE_CONF "[Broker]\nReconnectGrace=1s\n", NULL);
        warm_up(&left, &house);
        for (size_t i = 0; i < N_FAILING; i++)
                for (int when = 1; when < STEPS_MAX; when++) {
                        struct outcome outcome = launch_at(&house, calls[i], "error=EIO", when);

                        if (outcome.broker_gone) {
                                gone++;
                                bury(&left, &house, calls[i], when);
                                warm_up(&left, &house);
                        } else if (outcome.told && outcome.exit_code != 3) {
                                refused++;
                                expect_that(strlen(outcome.message) > 10 ||
                                                    strcmp(outcome.word, "exited") == 0,
                                            "%s %d: told why (%s: %s)", calls[i], when,
                                            outcome.word, outcome.message);
                        } else {
                                unharmed++;
                                expect_that(outcome.told, "%s %d: who asked is told", calls[i],
                                            when);
                        }
                        check_clean(&left, calls[i], when);
                        if (!outcome.injected && !outcome.broker_gone)
                                break;
                        seen[i] = when;
                        injected++;
                }
        unit_note("%u calls failed: %u launches refused, %u went on, %u times the launcher ended",
                  injected, refused, unharmed - (unsigned)N_FAILING, gone);
        expect(injected > 8);
        expect(refused >= 1);
        expect(gone > 3);
        house_close(&house);
}

static void remember_who_stays(struct left *left, char *processes, size_t size) {
        struct job job;

        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--name", "stays", "--mem", "40M",
                         "--detach", "--", "vm", "rest"),
                   0);
        vm_file("stays", "cgroup.procs", processes, size);
        expect(processes[0] != '\0');
        left->vms = 1;
        left->cpu = allocated("cpu");
        left->memory = allocated("memory");
}

static void a_launcher_killed_at_each_call_ends_no_vm_and_leaves_nothing_half_made(void) {
        char before[256], after[256];
        struct left left = {};
        unsigned killed = 0;
        struct house house;

        house_open(&house, HOUSE_CONF "[Broker]\nReconnectGrace=1s\n", NULL);
        left.house = &house;
        left.broker_fds = left.launcher_fds = ~0U;
        remember_who_stays(&left, before, sizeof(before));
        for (size_t i = 0; i < N_CALLS; i++)
                for (int when = 1; when <= (seen[i] ?: STEPS_MAX); when++) {
                        struct outcome outcome = launch_at(&house, calls[i], "signal=KILL", when);

                        if (!outcome.broker_gone)
                                break;
                        killed++;
                        bury(&left, &house, calls[i], when);
                        check_clean(&left, calls[i], when);
                        vm_file("stays", "cgroup.procs", after, sizeof(after));
                        expect_str(after, before);
                }
        unit_note("killed %u times", killed);
        expect(killed > 8);
        house_close(&house);
}

UNIT_MAIN(TEST(each_call_of_the_launcher_that_fails_leaves_nothing),
          TEST(a_launcher_killed_at_each_call_ends_no_vm_and_leaves_nothing_half_made), )
