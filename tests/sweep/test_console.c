/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --timeout 600 */
/*
 * A detached VM with a console, with one call of its set-up after the other failing, and the broker
 * killed there, and with the steps of the keeper's own way to execve failing. Each is refused with
 * the step's sentence, and nothing is left: no terminal, no keeper, no socket, no group.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "house.h"
#include "screen.h"
#include "steps.h"

#define CONF HOUSE_CONF "[Broker]\nReconnectGrace=1s\n"
#define PTY "cannot make a console"
#define SOCKET "cannot make the console socket"

struct step {
        const char *call;
        const char *said; /* of its first failure */
        int most;         /* more are not looked for */
        bool launcher;    /* whose call it is */
};

/* A QMP socket is not asked for, nor a tap: all of these are the console's but openat and clone3.
 */
static const struct step parent[] = {
        {"ioctl", PTY, 6},
        {"fchmod", PTY, 4},
        {"mkdir", "cannot create", 3},
        {"socket", SOCKET, 3},
        {"bind", SOCKET, 3},
        {"listen", SOCKET, 3},
        {"rename", SOCKET, 3},
        {"openat", NULL, 30},
        {"fchownat", "cannot give a console to its VM", 4, true},
        {"clone3", "cannot start a process in its group", 4, true},
};

/* Of the keeper, and then of the VM: both go the same way, each counted for itself. */
static const struct step child[] = {
        {"setsid", "start a session", 2},
        {"dup3", "pass stdin, stdout and stderr", 3},
        {"setgroups", "set the supplementary groups", 2},
        {"execve", "cannot execute", 1},
};

static void attach(struct job *strace, const struct house *house, const struct step *step,
                   const char *what, int when) {
        if (step->launcher)
                steps_attach_launcher(strace, house, step->call, what, when);
        else
                steps_attach(strace, house, step->call, what, when);
}

static int count_ptys(void) {
        char text[32];

        file_get("/proc/sys/kernel/pty/nr", text, sizeof(text));
        return atoi(text);
}

struct left {
        const struct house *house;
        unsigned fds;
        int ptys;
};

static bool nothing_left(void *userdata) {
        const struct left *left = userdata;
        struct tree tree;

        /* Before we ask: our own connections are descriptors, too, and a traced broker is slow. */
        if (count_fds(left->house->broker) > left->fds || count_ptys() > left->ptys)
                return false;
        tree_walk(&tree);
        return tree.vms == 0 && console_count_sockets() == 0 && console_count_keepers() == 0 &&
               count_vms() == 0 && count_waiting() == 0 && allocated("cpu") == 0 &&
               allocated("memory") == 0;
}

static void check_clean(const struct left *left, const char *call, int when) {
        if (!wait_until(nothing_left, (void *)left, 40000))
                need_that(false,
                          "after %s %d nothing is left: %d VMs, %d sockets, %d keepers, %d "
                          "terminals of %d, %u descriptors of %u",
                          call, when, (int)count_vms(), console_count_sockets(),
                          console_count_keepers(), count_ptys(), left->ptys,
                          count_fds(left->house->broker), left->fds);
}

/* What the client is told first: "started", or an error. */
static struct outcome launch(struct house *house) {
        struct outcome outcome = {.exit_code = -1};
        char path[1024];
        struct line line;
        json_t *reply;
        bool timeout;

        snprintf(path, sizeof(path), "%s/vm", getenv("PROVIUM_HELPERS"));
        if (!line_open(&line)) {
                outcome.broker_gone = pidfd_wait(house->pidfd, 1000);
                return outcome;
        }
        line_run(&line, json_pack("{s:s s:b s:b s:[s,s,s] s:[]}", "slice", "t", "detach", 1,
                                  "console", 1, "command", path, "exit", "3", "environment"));
        while (!outcome.told && (reply = line_reply(&line, 45000, &timeout))) {
                snprintf(outcome.word, sizeof(outcome.word), "%s", reply_word(reply) ?: "");
                snprintf(outcome.message, sizeof(outcome.message), "%s",
                         reply_text(reply, "message") ?: "");
                outcome.told = json_object_get(reply, "error") ||
                               strcmp(outcome.word, "started") == 0 ||
                               strcmp(outcome.word, "exited") == 0;
                json_decref(reply);
        }
        line_close(&line);
        outcome.broker_gone = pidfd_wait(house->pidfd, outcome.told ? 0 : 300);
        return outcome;
}

static struct left warm_up(struct house *house) {
        struct left left = {house, ~0U, count_ptys()};
        struct outcome outcome = launch(house);

        need_that(strcmp(outcome.word, "started") == 0, "it starts: '%s' '%s'", outcome.word,
                  outcome.message);
        check_clean(&left, "nothing", 0);
        left.fds = count_fds(house->broker);
        return left;
}

/* The directory of the sockets is made once; here each launch is a broker's first. */
static void forget_directory(void) {
        rmdir(HOUSE_DIR "/run/console");
}

static void each_call_that_fails_is_told_and_leaves_nothing(void) {
        struct house house;
        struct left left;
        unsigned injected = 0;

        house_open(&house, CONF, NULL);
        left = warm_up(&house);
        for (size_t i = 0; i < sizeof(parent) / sizeof(parent[0]); i++) {
                const struct step *step = &parent[i];

                for (int when = 1; when <= step->most; when++) {
                        struct outcome outcome;
                        struct job strace;

                        forget_directory();
                        attach(&strace, &house, step, "error=EIO", when);
                        outcome = launch(&house);
                        outcome.broker_gone |= pidfd_wait(house.pidfd, STEPS_QUIET_MS);
                        steps_detach(&strace);
                        outcome.injected = steps_injected();
                        need_that(!outcome.broker_gone, "%s %d: the broker stays", step->call,
                                  when);
                        check_clean(&left, step->call, when);
                        if (!outcome.injected) {
                                expect_that(when > 1, "%s is a step", step->call);
                                break;
                        }
                        injected++;
                        if (when == 1 && step->said)
                                expect_that(strstr(outcome.message, step->said), "%s: '%s' '%s'",
                                            step->call, outcome.word, outcome.message);
                }
        }
        unit_note("%u calls failed", injected);
        expect(injected > 20);
        house_close(&house);
}

static void each_step_of_a_keeper_that_fails_is_told_and_leaves_nothing(void) {
        struct house house;
        struct left left;
        unsigned injected = 0;

        house_open(&house, CONF, NULL);
        left = warm_up(&house);
        for (size_t i = 0; i < sizeof(child) / sizeof(child[0]); i++)
                for (int when = 1; when <= child[i].most; when++) {
                        struct outcome outcome;
                        struct job strace;

                        steps_attach_child(&strace, &house, child[i].call, "error=EIO", when);
                        outcome = launch(&house);
                        check_clean(&left, child[i].call, when);
                        steps_detach(&strace);
                        if (!steps_injected()) {
                                expect_that(when > 1, "%s is a step", child[i].call);
                                break;
                        }
                        injected++;
                        expect_that(strcmp(outcome.word, "started") != 0,
                                    "%s %d: it is not executed", child[i].call, when);
                        expect_that(when > 1 || strstr(outcome.message, child[i].said),
                                    "%s %d: '%s' '%s'", child[i].call, when, outcome.word,
                                    outcome.message);
                }
        unit_note("%u steps failed", injected);
        expect(injected >= 5);
        house_close(&house);
}

static void a_broker_killed_at_each_call_leaves_nothing_for_the_next(void) {
        struct house house;
        unsigned killed = 0;

        house_open(&house, CONF, NULL);
        warm_up(&house);
        for (size_t i = 0; i < sizeof(parent) / sizeof(parent[0]); i++) {
                const struct step *step = &parent[i];

                for (int when = 1; when <= step->most; when++) {
                        struct left left = {&house, ~0U, count_ptys()};
                        struct outcome outcome;
                        struct job strace;

                        forget_directory();
                        attach(&strace, &house, step, "signal=KILL", when);
                        outcome = launch(&house);
                        outcome.broker_gone |= pidfd_wait(house.pidfd, STEPS_QUIET_MS);
                        steps_detach(&strace);
                        if (!outcome.broker_gone && !pidfd_wait(house.pidfd, 0)) {
                                check_clean(&left, step->call, when);
                                expect_that(when > 1, "%s is a step", step->call);
                                break;
                        }
                        killed++;
                        steps_bury(&house);
                        check_clean(&left, step->call, when);
                }
        }
        unit_note("killed %u times", killed);
        expect(killed > 20);
        house_close(&house);
}

UNIT_MAIN(TEST(each_call_that_fails_is_told_and_leaves_nothing),
          TEST(each_step_of_a_keeper_that_fails_is_told_and_leaves_nothing),
          TEST(a_broker_killed_at_each_call_leaves_nothing_for_the_next), )
