/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --timeout 1200 */
/*
 * The launch of a VM with a network, with one system call after the other failing, or the broker
 * killed there: whoever asked is told something true, the books are at zero, and no link, class,
 * queue, filter, group or descriptor is left. Of a broker that has its IFB already, and of one that
 * makes it in this launch.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "house.h"
#include "links.h"
#include "steps.h"

#define CONF                                                                                       \
        "[Capacity]\nCPU=4\nMemory=400M\nDisk=1G\nNetwork=1Gbps\n[Ratio]\nCPU=1\n"                 \
        "[Claim]\nCPU=0.1\nMemory=16M\nDiskIO=0\n[Enforce]\nMemoryOverhead=0\n"                    \
        "[Broker]\nReconnectGrace=1s\n"

struct left {
        const struct house *house;
        unsigned fds;
};

static bool nothing_left(void *userdata) {
        const struct left *left = userdata;
        struct tree tree;

        if (pidfd_wait(left->house->pidfd, 0))
                return false;
        /* Before we ask: our own connections are descriptors, too, and a traced broker is slow. */
        if (count_fds(left->house->broker) > left->fds)
                return false;
        tree_walk(&tree);
        return tree.vms == 0 && count_vms() == 0 && count_waiting() == 0 && allocated("cpu") == 0 &&
               allocated("network") == 0 && links_gone();
}

static bool check_clean(struct house *house, unsigned fds, const char *call, int when) {
        struct left left = {house, fds};
        bool clean = wait_until(nothing_left, &left, 15000);

        if (!clean) {
                char *links = sh_text("ip -br link; tc class show dev %s", links_ifb().name);

                expect_that(false, "after %s %d nothing is left: %d VMs, %u descriptors of %u; %s",
                            call, when, (int)count_vms(), count_fds(house->broker), fds, links);
                free(links);
        }
        return clean;
}

/* Two taps: then there are two of everything that can fail. */
static json_t *nets(void) {
        return json_pack("[{s:s},{s:s s:i}]", "bridge", "br0", "bridge", "br1", "queues", 2);
}

static void warm_up(struct house *house, unsigned *fdsp) {
        struct outcome outcome = steps_launch(house, nets());

        expect_int(outcome.exit_code, 3);
        check_clean(house, ~0U, "nothing", 0);
        *fdsp = count_fds(house->broker);
}

/* A broker without an IFB. */
static void renew(struct house *house) {
        house_stop(house);
        house_start(house);
}

struct tally {
        unsigned injected, refused, unharmed, gone, closed;
};

/* False: this call did not come that often. */
static bool fail_at(struct house *house, const char *call, int when, unsigned *fdsp, bool fresh,
                    struct tally *tally) {
        struct outcome outcome;
        struct job strace;

        if (fresh)
                renew(house);
        steps_attach(&strace, house, call, "error=EIO", when);
        outcome = steps_launch(house, nets());
        outcome.broker_gone |= pidfd_wait(house->pidfd, STEPS_QUIET_MS);
        steps_detach(&strace);
        outcome.injected = steps_injected();
        if (outcome.broker_gone || pidfd_wait(house->pidfd, steps_leaving_ms(&outcome, call))) {
                tally->gone++;
                /* A word that does not reach the launcher is the end of the two. */
                expect_that(house_log_has("fault") || house_log_has("the launcher has ended"),
                            "%s %d: the broker says why it leaves", call, when);
                steps_bury(house);
                warm_up(house, fdsp);
        }
        if (!check_clean(house, fresh ? ~0U : *fdsp, call, when)) {
                house_kill(house);
                house_start(house);
                warm_up(house, fdsp);
        }
        if (!outcome.injected && !outcome.broker_gone)
                return false;
        tally->injected++;
        tally->closed += !outcome.told;
        tally->unharmed += outcome.told && outcome.exit_code == 3;
        if (outcome.told && outcome.exit_code != 3) {
                tally->refused++;
                expect_that(strlen(outcome.message) > 10 || strcmp(outcome.word, "exited") == 0,
                            "%s %d: told why (%s: %s)", call, when, outcome.word, outcome.message);
        }
        return true;
}

static void tell(const struct tally *tally) {
        unit_note("%u calls failed: %u launches refused, %u went on, %u connections closed, %u "
                  "times the broker left",
                  tally->injected, tally->refused, tally->unharmed, tally->closed, tally->gone);
}

static void every_call_that_fails_for_a_network_is_told_and_leaves_nothing(void) {
        static const char *const calls[] = {"sendmsg",   "recvmmsg", "ioctl",   "openat",
                                            "fsetxattr", "clone3",   "recvfrom"};
        struct tally tally = {};
        struct house house;
        unsigned fds;

        links_open(&house, CONF, NULL);
        warm_up(&house, &fds);
        for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
                for (int when = 1; when < STEPS_MAX; when++)
                        if (!fail_at(&house, calls[i], when, &fds, false, &tally))
                                break;
        tell(&tally);
        expect(tally.injected > 30);
        expect(tally.refused > 10);
        links_close(&house);
}

static void every_call_that_fails_for_the_first_network_leaves_nothing(void) {
        static const char *const calls[] = {"sendmsg", "recvmmsg", "ioctl"};
        struct tally tally = {};
        struct house house;
        unsigned fds = ~0U;

        links_open(&house, CONF, NULL);
        for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
                for (int when = 1; when < STEPS_MAX; when++)
                        if (!fail_at(&house, calls[i], when, &fds, true, &tally))
                                break;
        tell(&tally);
        expect(tally.injected > 15);
        links_close(&house);
}

static unsigned kill_at_every(struct house *house, const char *call, bool fresh) {
        unsigned killed = 0;

        for (int when = 1; when < STEPS_MAX; when++) {
                struct outcome outcome;
                struct job strace;

                if (fresh)
                        renew(house);
                steps_attach(&strace, house, call, "signal=KILL", when);
                outcome = steps_launch(house, nets());
                outcome.broker_gone |= pidfd_wait(house->pidfd, STEPS_QUIET_MS);
                steps_detach(&strace);
                if (!outcome.broker_gone && !pidfd_wait(house->pidfd, 0)) {
                        check_clean(house, ~0U, call, when);
                        break;
                }
                killed++;
                steps_bury(house);
                check_clean(house, ~0U, call, when);
        }
        return killed;
}

static void a_broker_killed_at_every_call_for_a_network_leaves_nothing_for_the_next(void) {
        static const struct {
                const char *call;
                bool fresh;
        } kinds[] = {{"sendmsg", true},   {"sendmsg", false}, {"recvmmsg", true},
                     {"recvmmsg", false}, {"ioctl", false},   {"fsetxattr", false},
                     {"clone3", false}};
        struct house house;
        unsigned killed = 0;

        links_open(&house, CONF, NULL);
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
                killed += kill_at_every(&house, kinds[i].call, kinds[i].fresh);
        unit_note("killed %u times", killed);
        expect(killed > 15);
        links_close(&house);
}

UNIT_MAIN(TEST(every_call_that_fails_for_a_network_is_told_and_leaves_nothing),
          TEST(every_call_that_fails_for_the_first_network_leaves_nothing),
          TEST(a_broker_killed_at_every_call_for_a_network_leaves_nothing_for_the_next), )
