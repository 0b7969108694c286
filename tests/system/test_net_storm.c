/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --timeout 600 */
/*
 * VMs with networks come, go and change at random, and their broker is killed in the middle of it:
 * when all have ended nothing of theirs is left, and what others have on this host is as it was.
 * The seed is printed; PROVIUM_SEED=N goes the same way again, as far as time lets it.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "house.h"
#include "links.h"

#define STEPS 500
#define SETTLED_EVERY 100
#define NAMES 8
#define HURRIED 4   /* calls at most that nobody waits for when the broker is killed */
#define CLAIMS 2100 /* with two events each: more than are kept */
#define LEASES 2000
#define LEASES_MS 120000
#define CAPACITY (1000 * LINKS_MBPS)
#define CONF(ratio)                                                                                \
        "[Capacity]\nCPU=8\nMemory=600M\nDisk=1G\nNetwork=1Gbps\n"                                 \
        "[Ratio]\nCPU=1\nNetwork=" ratio "\n"                                                      \
        "[Claim]\nCPU=0.1\nMemory=16M\nDiskIO=0\n[Enforce]\nMemoryOverhead=0\n"
#define BYSTANDERS "st0 st1 dm0 ifb7"

static uint64_t random_state;

static uint32_t any(uint32_t below) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        return (uint32_t)(random_state >> 33) % below;
}

static uint64_t pick_seed(void) {
        const char *given = getenv("PROVIUM_SEED");
        uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);

        /* Now: whoever hangs or dies later must have said it. */
        unit_note("PROVIUM_SEED=%ju", (uintmax_t)seed);
        fflush(stdout);
        return seed;
}

/* A tap, queues and classes of others beside ours, with names and numbers like ours. */
static void put_bystanders(void) {
        sh("ip tuntap add st0 mode tap && ip link set st0 master br0 up && "
           "tc qdisc add dev st0 root tbf rate 1mbit burst 10k latency 50ms && "
           "ip tuntap add st1 mode tap && ip link set st1 master br1 && "
           "ip link set st1 alias provium:deadbeef:aaaaaaaaaaaaaaaa:0 && "
           "ip link add dm0 type dummy && ip link set dm0 up && "
           "tc qdisc add dev dm0 root handle 7056: htb default 10 && "
           "tc class add dev dm0 parent 7056: classid 7056:1 htb rate 10mbit && "
           "tc class add dev dm0 parent 7056:1 classid 7056:10 htb rate 1mbit && "
           "ip link add ifb7 type ifb && ip link set ifb7 up && "
           "ip link set ifb7 alias provium:deadbeef:ifb && "
           "tc qdisc add dev ifb7 root handle 7: htb && "
           "tc class add dev ifb7 parent 7: classid 7:10 htb rate 10mbit");
}

/*
 * Steps
 */

static json_t *a_name(void) {
        return json_sprintf("s%u", any(NAMES));
}

static json_int_t a_rate(void) {
        return (json_int_t)((1 + any(150)) * LINKS_MBPS);
}

static json_t *a_vm(void) {
        json_t *nets = json_array(), *command = json_array();
        unsigned n = any(6) == 0 ? 2 : 1;

        for (unsigned i = 0; i < n; i++)
                json_array_append_new(nets, json_pack("{s:s s:i}", "bridge", any(2) ? "br0" : "br1",
                                                      "queues", any(5) == 0 ? 2 : 1));
        switch (any(8)) {
        case 0: /* leaves at once */
                json_array_append_new(command, json_string("vm"));
                json_array_append_new(command, json_string("exit"));
                json_array_append_new(command, json_string("0"));
                break;
        case 1: /* never comes */
                json_array_append_new(command, json_string("/nowhere/vm"));
                break;
        case 2:
                json_array_append_new(command, json_string("tapvm"));
                json_array_append_new(command, json_string("send"));
                json_array_append_new(command, json_string("{tap.fd}"));
                json_array_append_new(command, json_string("20"));
                break;
        default:
                json_array_append_new(command, json_string("vm"));
                json_array_append_new(command, json_string("rest"));
        }
        return json_pack("{s:s s:o s:b s:i s:{s:I s:I} s:o s:o s:[o]}", "slice", "t", "name",
                         a_name(), "detach", 1, "wait_usec", 0, "claim", "download", a_rate(),
                         "upload", a_rate(), "net", nets, "command", command, "environment",
                         json_sprintf("PATH=%s", getenv("PATH")));
}

struct tally {
        unsigned started, exited, refused, failed, killed, reloads;
};

/* Sends something at random; the reply is the caller's to wait for. */
static void send_any(struct line *line) {
        switch (any(9)) {
        case 0:
        case 1:
        case 2:
                line_call(line, "Kill", json_pack("{s:o s:i}", "vm", a_name(), "grace_usec", 0),
                          false, NULL, 0);
                return;
        case 3:
                line_call(line, "Resize",
                          json_pack("{s:o s:{s:I s:I}}", "vm", a_name(), "claim", "download",
                                    a_rate(), "upload", a_rate()),
                          false, NULL, 0);
                return;
        default:
                line_run(line, a_vm());
        }
}

/* A resize meets a VM whose taps the kernel has closed, but whose end is not collected yet. */
static bool ended_just_now(const json_t *reply) {
        return strstr(reply_text(reply, "message") ?: "", "No such device") != NULL;
}

/* One that is waited for. Full, unknown, there already: all are answers; a failure is none. */
static void step(struct tally *tally) {
        struct line line;
        json_t *reply;
        bool timeout = false;

        need(line_open(&line));
        send_any(&line);
        while ((reply = line_reply(&line, HOUSE_WAIT_MS, &timeout))) {
                const char *word = reply_word(reply) ?: "";
                bool more = strcmp(word, "queued") == 0;

                tally->started += strcmp(word, "started") == 0;
                tally->exited += strcmp(word, "exited") == 0 || strcmp(word, "ExecFailed") == 0;
                tally->refused += json_object_get(reply, "error") != NULL;
                if (strcmp(word, "Failed") == 0 && !ended_just_now(reply)) {
                        tally->failed++;
                        unit_note("failed: %s", reply_text(reply, "message"));
                }
                json_decref(reply);
                if (!more)
                        break;
        }
        expect_that(reply || !timeout, "a call is answered");
        line_close(&line);
}

static void step_killed(struct house *house, struct tally *tally) {
        struct line lines[HURRIED];
        unsigned n = any(HURRIED + 1);

        for (unsigned i = 0; i < n; i++) {
                need(line_open(&lines[i]));
                send_any(&lines[i]);
        }
        /* A random moment is a moment in time: the one sleep that is meant. */
        poll(NULL, 0, (int)any(60));
        house_kill(house);
        for (unsigned i = 0; i < n; i++)
                line_close(&lines[i]);
        house_start(house);
        tally->killed++;
}

static void step_reload(struct house *house, struct tally *tally) {
        static const char *const confs[] = {CONF("1"), CONF("2"), CONF("4"),
                                            CONF("2") "[Network]\nFullDuplex=yes\n"};

        house_conf(confs[any(4)]);
        house_reload(house);
        tally->reloads++;
}

/*
 * What must be true whenever it is quiet
 */

struct quiet {
        unsigned taps, classes; /* of the VMs that are listed */
        unsigned links;         /* that are there */
        size_t there;
        uint64_t sum;
};

static bool is_quiet(void *userdata) {
        static struct class classes[CLASSES_MAX];
        struct quiet *quiet = userdata;
        json_t *reply = ask("List", NULL);
        const json_t *vm;
        size_t i;

        *quiet = (struct quiet){};
        json_array_foreach(json_object_get(json_object_get(reply, "parameters"), "vms"), i, vm) {
                unsigned n = (unsigned)json_array_size(json_object_get(vm, "nets"));

                quiet->taps += n;
                quiet->classes += n > 1 ? 2 : n;
        }
        json_decref(reply);
        quiet->links = links_count("provium:") - links_count("provium:deadbeef:");
        quiet->there = links_vm_classes(classes);
        for (i = 0; i < quiet->there; i++)
                quiet->sum += classes[i].parent[0] ? classes[i].rate : 0;
        /* tc rounds each. */
        return quiet->there == quiet->classes &&
               quiet->links == quiet->taps + (links_ifb().name[0] != '\0') &&
               quiet->sum <= CAPACITY + CAPACITY / 500;
}

static void expect_quiet(unsigned at) {
        struct quiet quiet;
        bool good = wait_until(is_quiet, &quiet, HOUSE_WAIT_MS);

        expect_that(good,
                    "after %u steps: %u links and %zu classes (%ju bytes per second guaranteed) "
                    "for %u taps and %u classes of VMs",
                    at, quiet.links, quiet.there, (uintmax_t)quiet.sum, quiet.taps, quiet.classes);
}

static void nothing_is_left_of_a_storm_and_bystanders_stand(void) {
        struct tally tally = {};
        struct house house;
        char *before, *after;
        uint64_t begin;

        random_state = pick_seed();
        links_open(&house, CONF("2") "[Broker]\nReconnectGrace=1s\n", NULL);
        put_bystanders();
        before = links_of_others(BYSTANDERS);
        begin = now_ms();
        for (unsigned i = 1; i <= STEPS; i++) {
                uint32_t kind = any(20);

                if (kind < 3)
                        step_killed(&house, &tally);
                else if (kind == 3)
                        step_reload(&house, &tally);
                else
                        step(&tally);
                if (i % SETTLED_EVERY == 0)
                        expect_quiet(i);
        }
        unit_note("%.0f s: %u started, %u ended at once, %u refused, %u kills of the broker, %u "
                  "reloads",
                  (double)(now_ms() - begin) / 1e3, tally.started, tally.exited, tally.refused,
                  tally.killed, tally.reloads);
        expect_int(tally.failed, 0);
        expect(tally.started > 50 && tally.killed > 30);
        house_end_all(&house);
        after = links_of_others(BYSTANDERS);
        expect_str(after, before);
        free(before);
        free(after);
        sh("for d in " BYSTANDERS "; do ip link del $d; done");
        expect_no_links();
        links_close(&house);
}

struct size {
        uint64_t rss_kib;
        unsigned fds, links;
        size_t classes;
};

static struct size size_of(const struct house *house) {
        static struct class classes[CLASSES_MAX];

        return (struct size){rss_kib(house->broker), count_fds(house->broker), links_count(""),
                             links_vm_classes(classes)};
}

/* A VM with a network, to its end. */
static void run_one(void) {
        struct line line;

        need(line_open(&line));
        line_run(&line, json_pack("{s:s s:[s,s,s] s:[{s:s}] s:[o]}", "slice", "t", "command", "vm",
                                  "exit", "0", "net", "bridge", "br0", "environment",
                                  json_sprintf("PATH=%s", getenv("PATH"))));
        json_decref(line_wait(&line, "exited"));
        line_close(&line);
}

/* The ring of events takes its memory as it fills: here by claims that wait and give up, which cost
 * no process. */
static void fill_events(void) {
        char path[1024];
        struct line big;
        json_t *environment;

        snprintf(path, sizeof(path), "PATH=%s", getenv("PATH"));
        environment = json_pack("[s]", path);
        need(line_open(&big));
        line_run(&big, json_pack("{s:s s:{s:i} s:[s,s] s:O}", "slice", "t", "claim", "cpu", 8000,
                                 "command", "vm", "rest", "environment", environment));
        json_decref(line_wait(&big, "started"));
        for (unsigned i = 0; i < CLAIMS; i++) {
                struct line line;

                need(line_open(&line));
                line_run(&line, json_pack("{s:s s:[s,s] s:O}", "slice", "t", "command", "vm",
                                          "rest", "environment", environment));
                json_decref(line_wait(&line, "queued"));
                line_close(&line);
        }
        json_decref(environment);
        line_close(&big);
}

static void thousands_of_networks_in_a_row_leave_nothing_to_grow(void) {
        struct size before, after;
        struct house house;
        uint64_t begin;
        unsigned n = 0;

        /* A page of 2 MiB in place of some small ones would look like growth. */
        file_put("/sys/kernel/mm/transparent_hugepage/enabled", "never");
        links_open(&house, CONF("2"), NULL);
        fill_events();
        for (int i = 0; i < 50; i++)
                run_one();
        expect_no_links();
        before = size_of(&house);
        begin = now_ms();
        while (n < LEASES && now_ms() - begin < LEASES_MS) {
                run_one();
                n++;
        }
        begin = now_ms() - begin;
        expect_no_links();
        after = size_of(&house);
        unit_note("%u leases, %.1f ms each; %ju KiB before, %ju after", n, (double)begin / n,
                  (uintmax_t)before.rss_kib, (uintmax_t)after.rss_kib);
        expect(n > 200);
        expect_int(after.fds, before.fds);
        expect_int(after.links, before.links);
        expect_uint(after.classes, 0);
        /* The texts of their events are longer than those of the claims above. */
        expect_within(after.rss_kib, 0, before.rss_kib + 1024);
        links_close(&house);
}

UNIT_MAIN(TEST(nothing_is_left_of_a_storm_and_bystanders_stand),
          TEST(thousands_of_networks_in_a_row_leave_nothing_to_grow), )
