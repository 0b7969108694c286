/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --timeout 700 */
/*
 * The broker's life with one system call after the other failing: the first, second, ... n-th of
 * its kind in the course of a launch and its release, until the launch no longer gets that far. And
 * the same with the broker killed there. After each the books are at zero, no group and no
 * descriptor is left, and whoever asked was told something true.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "house.h"
#include "steps.h"

/* Of the way of a launch, as strace shows it. Not close and close_range: they do what they are
 * asked for whatever they answer, which an injected error would not; nor waitid, which has nothing
 * to fail at. */
static const char *const calls[] = {
        "accept4",
        "getsockopt",
        "epoll_ctl",
        "recvmsg",
        "mkdirat",
        "openat",
        "fsetxattr",
        "write",
        "pread64",
        "read",
        "inotify_add_watch",
        "clone3",
        "sendmsg",
        "unlinkat",
        "epoll_wait",
        "timerfd_settime",
        "getrandom",
        "inotify_rm_watch",
        "pwrite64",
        "setsockopt",
        "fcntl",
};

struct left {
        const struct house *house;
        unsigned fds;
};

static bool nothing_left(void *userdata) {
        const struct left *left = userdata;
        struct tree tree;

        if (pidfd_wait(left->house->pidfd, 0))
                return false; /* it left after all: told below, and a new one is started */
        /* Before we ask: our own connections are descriptors, too, and a traced broker is slow. */
        if (count_fds(left->house->broker) > left->fds)
                return false;
        tree_walk(&tree);
        return tree.vms == 0 && count_vms() == 0 && count_waiting() == 0 && allocated("cpu") == 0 &&
               allocated("memory") == 0;
}

/* False: it was not, and a new broker had better be started before the next one is blamed. */
static bool check_clean(struct house *house, unsigned fds, const char *call, int when) {
        struct left left = {house, fds};
        uint64_t begin = now_ms();

        bool clean = wait_until(nothing_left, &left, 40000);

        if (!clean)
                expect_that(false, "after %s %d nothing is left: %d VMs, %u descriptors of %u",
                            call, when, (int)count_vms(), count_fds(house->broker), fds);
        if (now_ms() - begin > 3000)
                unit_note("after %s %d it took %.0f s", call, when,
                          (double)(now_ms() - begin) / 1e3);
        return clean;
}

static void warm_up(struct house *house, unsigned *fdsp) {
        struct outcome outcome = steps_launch(house, NULL);

        expect_int(outcome.exit_code, 3);
        *fdsp = ~0U;
        check_clean(house, *fdsp, "nothing", 0);
        *fdsp = count_fds(house->broker);
}

static void every_call_that_fails_is_told_and_leaves_nothing(void) {
        struct house house;
        unsigned fds, injected = 0, refused = 0, unharmed = 0, gone = 0, closed = 0;

        house_open(&house, HOUSE_CONF "[Broker]\nReconnectGrace=1s\n", NULL);
        warm_up(&house, &fds);
        for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
                for (int when = 1; when < STEPS_MAX; when++) {
                        struct outcome outcome;
                        struct job strace;

                        steps_attach(&strace, &house, calls[i], "error=EIO", when);
                        outcome = steps_launch(&house, NULL);
                        outcome.broker_gone |= pidfd_wait(house.pidfd, STEPS_QUIET_MS);
                        steps_detach(&strace);
                        outcome.injected = steps_injected();
                        if (outcome.broker_gone ||
                            pidfd_wait(house.pidfd, steps_leaving_ms(&outcome, calls[i]))) {
                                /* A fault: it said so, and the next one finds everything in order.
                                 */
                                gone++;
                                expect_that(house_log_has("fault"),
                                            "%s %d: the broker says why it leaves", calls[i], when);
                                steps_bury(&house);
                                warm_up(&house, &fds);
                        }
                        if (!check_clean(&house, fds, calls[i], when)) {
                                house_kill(&house);
                                house_start(&house);
                                warm_up(&house, &fds);
                        }
                        if (!outcome.injected && !outcome.broker_gone)
                                break;
                        injected++;
                        closed += !outcome.told;
                        unharmed += outcome.told && outcome.exit_code == 3;
                        if (outcome.told && outcome.exit_code != 3) {
                                refused++;
                                expect_that(strlen(outcome.message) > 10 ||
                                                    strcmp(outcome.word, "exited") == 0,
                                            "%s %d: told why (%s: %s)", calls[i], when,
                                            outcome.word, outcome.message);
                        }
                }
        }
        unit_note("%u calls failed: %u launches refused, %u went on, %u connections closed, %u "
                  "times the broker left",
                  injected, refused, unharmed, closed, gone);
        expect(injected > 40);
        expect(refused > 15);
        house_close(&house);
}

static void a_broker_killed_at_every_call_leaves_nothing_for_the_next(void) {
        static const char *const kinds[] = {
                "accept4", "recvmsg", "mkdirat", "openat",   "fsetxattr",  "inotify_add_watch",
                "clone3",  "sendmsg", "waitid",  "unlinkat", "close_range"};
        struct house house;
        unsigned fds, killed = 0;

        house_open(&house, HOUSE_CONF "[Broker]\nReconnectGrace=1s\n", NULL);
        warm_up(&house, &fds);
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
                for (int when = 1; when < STEPS_MAX; when++) {
                        struct outcome outcome;
                        struct job strace;

                        steps_attach(&strace, &house, kinds[i], "signal=KILL", when);
                        outcome = steps_launch(&house, NULL);
                        outcome.broker_gone |= pidfd_wait(house.pidfd, STEPS_QUIET_MS);
                        steps_detach(&strace);
                        if (!outcome.broker_gone && !pidfd_wait(house.pidfd, 0)) {
                                check_clean(&house, ~0U, kinds[i], when);
                                break;
                        }
                        killed++;
                        steps_bury(&house);
                        check_clean(&house, ~0U, kinds[i], when);
                }
        }
        unit_note("killed %u times", killed);
        expect(killed > 15);
        house_close(&house);
}

UNIT_MAIN(TEST(every_call_that_fails_is_told_and_leaves_nothing),
          TEST(a_broker_killed_at_every_call_leaves_nothing_for_the_next), )
