/* SPDX-License-Identifier: MIT */
/* rig: --mem 1G --timeout 300 --beside */
/*
 * Why and until when: who holds what a claim waits for, when it will have it if promises are kept,
 * and a dry run that says what the run then does.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "house.h"
#include "links.h"

#define MIB ((json_int_t)1 << 20)
#define HOUR_USEC ((json_int_t)3600 * 1000000)

static const json_t *in(const json_t *object, const char *key) {
        return json_object_get(object, key);
}

static json_int_t number(const json_t *object, const char *key) {
        return json_integer_value(in(object, key));
}

static const char *text(const json_t *object, const char *key) {
        return json_string_value(in(object, key)) ?: "";
}

/* The parameters of a reply, a new reference; it is let go. */
static json_t *parameters(json_t *reply) {
        json_t *object = json_incref(json_object_get(reply, "parameters"));

        json_decref(reply);
        return object;
}

static json_t *explain(const char *vm) {
        return parameters(ask("Explain", json_pack("{s:s}", "vm", vm)));
}

static json_t *vm_of(const char *name) {
        json_t *show = parameters(ask("Show", json_pack("{s:s}", "vm", name)));
        json_t *vm = json_incref(json_object_get(show, "vm"));

        json_decref(show);
        return vm;
}

static void start(const char *name, const char *mem, const char *time) {
        struct job job;

        if (time)
                expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--detach", "--name", name,
                                 "--mem", mem, "--time", time, "--", "vm", "rest"),
                           0);
        else
                expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--detach", "--name", name,
                                 "--mem", mem, "--", "vm", "rest"),
                           0);
}

static void a_claim_is_told_who_holds_what_it_waits_for_and_until_when(void) {
        struct house house;
        struct job job, next, command;
        const json_t *holders;
        json_t *why;

        house_open(&house, NULL, NULL);
        start("small", "50M", NULL);
        start("big", "300M", "1h");
        JOB_RUN(&job, "--name", "first", "--mem", "200M", "--time", "30m", "--", "vm", "rest");
        job_wait_err(&job, "pool_full");
        why = explain("first");
        expect_str(text(why, "verdict"), "waits");
        expect_str(text(why, "reason"), "pool_full");
        expect_str(text(why, "short_of"), "memory");
        expect_int(number(why, "position"), 0);
        holders = in(why, "holders");
        expect_int((int)json_array_size(holders), 2);
        expect_str(text(json_array_get(holders, 0), "vm"), "big");
        expect_int(number(json_array_get(holders, 0), "amount"), 300 * MIB);
        expect(number(json_array_get(holders, 0), "until_usec") > 0);
        expect(!in(json_array_get(holders, 1), "until_usec"));
        expect_within(number(in(why, "estimate"), "in_usec"), HOUR_USEC - 60000000, HOUR_USEC);
        json_decref(why);
        /* Behind it, the next one: it fits beside the first, when that has started. */
        JOB_RUN(&next, "--name", "next", "--mem", "190M", "--", "vm", "rest");
        job_wait_err(&next, "pool_full");
        why = explain("next");
        expect_int(number(why, "position"), 1);
        expect_within(number(in(why, "estimate"), "in_usec"), HOUR_USEC * 3 / 2 - 60000000,
                      HOUR_USEC * 3 / 2);
        json_decref(why);
        expect_int(SHELL(&command, "provium", "explain", "first"), 0);
        unit_note("%s", command.out);
        expect_in(command.out, "memory: (400M - 0B) x 1 = 400M may be sold, 350M is: 50M left");
        expect_in(command.out, "HELD BY");
        expect_in(command.out, "place: 1 of 2");
        expect_in(command.out, "start: in ");
        job_kill(&job, SIGTERM);
        job_wait(&job, HOUSE_WAIT_MS);
        job_kill(&next, SIGTERM);
        job_wait(&next, HOUSE_WAIT_MS);
        house_close(&house);
}

static void what_others_hold_is_told_as_a_sum(void) {
        struct house house;
        json_t *reply, *run, *why;
        struct job job;

        house_open(&house, NULL, NULL);
        start("secret", "300M", "1h");
        JOB(&job, "setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", "--", "provium",
            "run", "--slice", "t", "--name", "poor", "--mem", "200M", "--", "vm", "rest");
        job_wait_err(&job, "pool_full");
        why = parameters(ask_as(12345, "Explain", json_pack("{s:s}", "vm", "poor")));
        expect_int((int)json_array_size(in(why, "holders")), 0);
        expect_int(number(in(why, "others"), "vms"), 1);
        expect_int(number(in(why, "others"), "amount"), 300 * MIB);
        json_decref(why);
        job_kill(&job, SIGTERM);
        job_wait(&job, HOUSE_WAIT_MS);
        reply = ask_as(12345, "Explain", json_pack("{s:s}", "vm", "secret"));
        expect_str(reply_word(reply), "NotFound");
        json_decref(reply);
        run = explain("secret");
        expect_str(text(run, "verdict"), "admitted");
        expect(!in(run, "holders"));
        json_decref(run);
        house_close(&house);
}

static void who_waits_for_a_slice_is_told_who_is_in_it(void) {
        struct house house;
        struct job job;
        json_t *why;

        house_open(&house, NULL, HOUSE_SLICE "[Slice]\nMemory=100M\n");
        house_slice("u", HOUSE_SLICE);
        house_reload(&house);
        expect_int(SHELL(&job, "provium", "run", "--slice", "u", "--detach", "--mem", "200M", "--",
                         "vm", "rest"),
                   0);
        start("mine", "60M", "1h");
        JOB_RUN(&job, "--name", "waits", "--mem", "60M", "--", "vm", "rest");
        job_wait_err(&job, "slice_full");
        why = explain("waits");
        expect_str(text(why, "reason"), "slice_full");
        expect_int((int)json_array_size(in(why, "holders")), 1);
        expect_str(text(json_array_get(in(why, "holders"), 0), "vm"), "mine");
        expect_int(number(in(why, "others"), "vms"), 0);
        expect_within(number(in(why, "estimate"), "in_usec"), HOUR_USEC - 60000000, HOUR_USEC);
        json_decref(why);
        job_kill(&job, SIGTERM);
        job_wait(&job, HOUSE_WAIT_MS);
        house_close(&house);
}

static void a_promise_outlives_the_broker(void) {
        struct house house;
        json_int_t until;
        struct job job;
        json_t *vm;

        house_open(&house, NULL, NULL);
        start("a", "16M", "2h");
        vm = vm_of("a");
        until = number(vm, "until_usec");
        expect_int(number(vm, "time_usec"), 2 * HOUR_USEC);
        expect(until > 0 && json_is_false(in(vm, "late")));
        json_decref(vm);
        house_kill(&house);
        house_start(&house);
        vm = vm_of("a");
        expect_int(number(vm, "until_usec"), until);
        expect_int(number(vm, "time_usec"), 2 * HOUR_USEC);
        json_decref(vm);
        expect_int(SHELL(&job, "provium", "show", "a"), 0);
        expect_in(job.out, "promised 2h, over in ");
        /* What it will give back then follows its size, and the policy. */
        expect_int(SHELL(&job, "provium", "resize", "a", "--mem", "32M"), 0);
        house_reload(&house);
        expect_int(SHELL(&job, "provium", "resize", "a", "--mem", "24M"), 0);
        house_close(&house);
}

static void who_is_late_runs_on_and_is_not_counted_on(void) {
        struct house house;
        struct job job, command;
        json_t *object;

        house_open(&house, NULL, NULL);
        start("late", "300M", "1ms");
        object = vm_of("late");
        expect(json_is_true(in(object, "late")));
        expect_str(text(object, "state"), "running");
        json_decref(object);
        JOB_RUN(&job, "--name", "waits", "--mem", "200M", "--", "vm", "rest");
        job_wait_err(&job, "pool_full");
        object = explain("waits");
        expect(!in(in(object, "estimate"), "in_usec"));
        expect_in(text(in(object, "estimate"), "detail"), "1 should have left");
        json_decref(object);
        expect_int(SHELL(&command, "provium", "show", "late"), 0);
        expect_in(command.out, "late by ");
        job_kill(&job, SIGTERM);
        job_wait(&job, HOUSE_WAIT_MS);
        house_close(&house);
}

static void before_a_gate_no_time_is_promised(void) {
        struct house house;
        struct job job, command;
        json_t *object;

        house_open(&house, NULL, NULL);
        expect_int(SHELL(&command, "provium", "drain"), 0);
        expect_int(SHELL(&command, "provium", "run", "--slice", "t", "--dry-run", "--", "vm"), 0);
        expect_in(command.out, "wait: draining");
        expect_in(command.out, "start: unknown: when the host is ready for it again");
        expect_int(SHELL(&command, "provium", "run", "--slice", "t", "--dry-run", "--no-wait", "--",
                         "vm"),
                   75);
        expect_in(command.out, "refuse: draining");
        JOB_RUN(&job, "--name", "waits", "--", "vm", "rest");
        job_wait_err(&job, "draining");
        object = explain("waits");
        expect_str(text(object, "reason"), "draining");
        expect(!in(in(object, "estimate"), "in_usec"));
        json_decref(object);
        expect_int(SHELL(&command, "provium", "drain", "--undo"), 0);
        job_wait_out(&job, "ready");
        job_kill(&job, SIGTERM);
        job_wait(&job, HOUSE_WAIT_MS);
        house_close(&house);
}

static unsigned random_state = 3;

static unsigned any(unsigned below) {
        random_state = random_state * 1103515245 + 12345;
        return (random_state >> 8) % below;
}

static json_t *some_claim(const char *name, json_int_t cpu, json_int_t memory, const char *command,
                          bool no_wait, bool dry) {
        json_t *call = json_pack("{s:s s:s s:b s:b s:{s:I s:I} s:[s s] s:[o]}", "slice", "t",
                                 "name", name, "detach", 1, "dry_run", dry, "claim", "cpu", cpu,
                                 "memory", memory, "command", command, "rest", "environment",
                                 json_sprintf("PATH=%s", getenv("PATH")));

        if (no_wait)
                json_object_set_new(call, "wait_usec", json_integer(0));
        return call;
}

/* Every VM runs: none is on its way, in or out, and none that waits is told to go. */
static bool nothing_moves(void *unused) {
        json_t *reply = parameters(ask("List", NULL)), *vm;
        bool moves = false;
        size_t i;

        (void)unused;
        json_array_foreach(json_object_get(reply, "vms"), i, vm)
                moves |= strcmp(text(vm, "state"), "running") != 0;
        json_decref(reply);
        return !moves;
}

/* What a release lets go comes after the release; so nothing moves, and a look later still not. */
static void wait_until_settled(void) {
        do
                need(wait_until(nothing_moves, NULL, HOUSE_WAIT_MS));
        while (!nothing_moves(NULL));
}

/* It is gone, or was let go. */
static bool has_left(void *name) {
        json_t *vm = vm_of(name);
        bool left = !vm || strcmp(text(vm, "state"), "waiting") != 0;

        json_decref(vm);
        return left;
}

/* Many claims of all sizes against a pool, a slice and a bound of VMs that fill and empty. */
static void a_dry_run_says_what_the_run_then_does(void) {
        unsigned started = 0, queued = 0, refused = 0;
        struct house house;
        struct line line[3] = {};
        char waiting[3][16] = {};
        bool waits[3] = {};

        house_open(&house, NULL, HOUSE_SLICE "[Slice]\nMemory=300M\nMaxVMs=8\n[VM]\nMaxCPU=2\n");
        for (unsigned i = 0; i < 60; i++) {
                json_int_t cpu = 100 + any(any(4) ? 500 : 2500);
                json_int_t memory = (1 + any(any(4) ? 80 : 350)) * MIB;
                unsigned at = any(3);
                const char *command = any(12) ? "vm" : "{no.such}";
                bool no_wait = any(3) == 0;
                struct line dry_line;
                char name[16], dry_word[64], dry_reason[64];
                const char *word;
                json_t *dry, *real;

                snprintf(name, sizeof(name), "v%u", i);
                /* Both are to find the same: so the one that gave up is out of the way first, and
                 * what another's end let go is there, or is found not to be executable. */
                if (waits[at]) {
                        line_close(&line[at]);
                        need(wait_until(has_left, waiting[at], HOUSE_WAIT_MS));
                }
                waits[at] = false;
                wait_until_settled();
                need(line_open(&dry_line));
                line_run(&dry_line, some_claim(name, cpu, memory, command, no_wait, true));
                dry = line_reply(&dry_line, HOUSE_WAIT_MS, NULL);
                need(dry != NULL);
                snprintf(dry_word, sizeof(dry_word), "%s",
                         reply_text(dry, "verdict") ?: reply_word(dry));
                snprintf(dry_reason, sizeof(dry_reason), "%s", reply_text(dry, "reason") ?: "");
                json_decref(dry);
                line_close(&dry_line);

                need(line_open(&line[at]));
                line_run(&line[at], some_claim(name, cpu, memory, command, no_wait, false));
                real = line_reply(&line[at], HOUSE_WAIT_MS, NULL);
                need(real != NULL);
                word = reply_word(real);
                if (strcmp(word, "started") == 0) {
                        expect_str(dry_word, "start");
                        started++;
                        line_close(&line[at]);
                } else if (strcmp(word, "queued") == 0) {
                        expect_str(dry_word, "wait");
                        waits[at] = true;
                        strcpy(waiting[at], name);
                        queued++;
                } else if (strcmp(word, "ExecFailed") == 0) {
                        /* That nothing has this name is found by who executes it. */
                        expect_str(command, "{no.such}");
                        expect_str(dry_word, "start");
                        line_close(&line[at]);
                } else if (strcmp(dry_word, "refuse") == 0) {
                        expect_str(word, "Refused");
                        expect_str(dry_reason, reply_text(real, "reason"));
                        refused++;
                        line_close(&line[at]);
                } else {
                        expect_that(strcmp(word, dry_word) == 0,
                                    "%s: a dry run says %s, the run %s: %s", command, dry_word,
                                    word, reply_text(real, "message") ?: "no message");
                        line_close(&line[at]);
                }
                json_decref(real);
                /* Some earlier one leaves, if it is there. */
                if (any(2)) {
                        snprintf(name, sizeof(name), "v%u", any(i + 1));
                        json_decref(
                                ask("Kill", json_pack("{s:s s:i}", "vm", name, "grace_usec", 0)));
                }
        }
        for (unsigned i = 0; i < 3; i++)
                if (waits[i])
                        line_close(&line[i]);
        unit_note("%u started, %u waited, %u were refused", started, queued, refused);
        expect(started > 3 && queued > 3 && refused > 3);
        house_close(&house);
}

/* The member @key of the first of @list whose kind is @kind. */
static const char *planned(const json_t *list, const char *kind, const char *key) {
        size_t i;
        json_t *object;

        json_array_foreach((json_t *)list, i, object)
                if (strcmp(text(object, "kind"), kind) == 0)
                        return text(object, key);
        return "";
}

static void expect_shown(const char *key, const char *value) {
        char *is = shown("web", "limits", key);

        expect_str(is, value);
        free(is);
}

static void a_dry_run_names_what_would_be_made(void) {
        struct house house;
        struct line line;
        const json_t *objects, *links, *groups, *group;
        char value[64];
        struct job job;
        json_t *dry;

        links_open(&house, HOUSE_CONF "[Capacity]\nNetwork=1Gbps\n[Ratio]\nNetwork=2\n",
                   HOUSE_SLICE "[Network]\nBridges=*\n");
        need(line_open(&line));
        line_run(&line, json_pack("{s:s s:s s:b s:{s:i s:i s:i} s:[{s:s}] s:[s] s:[]}", "slice",
                                  "t", "name", "web", "dry_run", 1, "claim", "cpu", 700, "download",
                                  12500000, "upload", 6250000, "net", "bridge", "br0", "command",
                                  "vm", "environment"));
        dry = line_wait(&line, "dry_run");
        line_close(&line);
        objects = in(in(in(dry, "parameters"), "run"), "objects");
        links = in(objects, "links");
        groups = in(objects, "cgroups");
        expect_str(text(json_array_get(groups, 0), "path"), HOUSE_ROOT "/t.slice");
        expect_str(text(json_array_get(groups, 1), "path"), HOUSE_ROOT "/t.slice/<id>.vm");
        expect_str(planned(links, "tap", "bridge"), "br0");
        expect_str(planned(links, "tap", "name"), "<tap 0>");
        expect(atoll(planned(links, "tbf", "burst")) >= 128 << 10);
        expect_str(planned(links, "redirect", "on"), "<tap 0> ingress");
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--detach", "--name", "web",
                         "--cpus", "0.7", "--net", "br0", "--download", "100Mbps", "--upload",
                         "50Mbps", "--", "vm", "rest"),
                   0);
        expect_str(planned(links, "tbf", "rate"), "12500kB/s");
        expect_shown("net.0.download", "12.5MB/s");
        group = json_array_get(groups, 0);
        vm_file("web", "../cpu.weight", value, sizeof(value));
        expect_str(text(in(group, "files"), "cpu.weight"), value);
        vm_file("web", "../memory.low", value, sizeof(value));
        expect_str(text(in(group, "files"), "memory.low"), value);
        group = json_array_get(groups, 1);
        vm_file("web", "cpu.max", value, sizeof(value));
        expect_str(text(in(group, "files"), "cpu.max"), value);
        expect_str(planned(links, "ifb", "name"), links_ifb().name);
        expect_str(planned(links, "class", "direction"), "upload");
        expect_shown("net.upload.queue", planned(links, "class", "leaf"));
        {
                json_t *vm = vm_of("web");

                expect_str(planned(links, "tap", "mac"),
                           text(json_array_get(in(vm, "nets"), 0), "mac"));
                json_decref(vm);
        }
        json_decref(dry);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--dry-run", "--net", "br0",
                         "--download", "8Mbps", "--upload", "8Mbps", "--", "vm", "rest"),
                   0);
        unit_note("%s", job.out);
        expect_in(job.out, "tbf on <tap 0> rate ");
        expect_int(SHELL(&job, "provium", "kill", "web", "--grace", "0s"), 0);
        links_close(&house);
}

UNIT_MAIN(TEST(a_claim_is_told_who_holds_what_it_waits_for_and_until_when),
          TEST(what_others_hold_is_told_as_a_sum), TEST(who_waits_for_a_slice_is_told_who_is_in_it),
          TEST(a_promise_outlives_the_broker), TEST(who_is_late_runs_on_and_is_not_counted_on),
          TEST(before_a_gate_no_time_is_promised), TEST(a_dry_run_says_what_the_run_then_does),
          TEST(a_dry_run_names_what_would_be_made), )
