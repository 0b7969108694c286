/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --timeout 900 */
/*
 * A VM's network from the claim to its end, with the objects of the kernel as iproute2 shows them:
 * what a VM gets, who may have it, what it costs, how it changes, and that nothing of it stays.
 * Longer than other tests: one feature, and its tables are best read side by side.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "house.h"
#include "links.h"

#define MBPS LINKS_MBPS
#define CONF_OF(network)                                                                           \
        "[Capacity]\nCPU=4\nMemory=400M\nDisk=1G\n" network                                        \
        "[Claim]\nCPU=0.1\nMemory=16M\nDiskIO=0\n[Enforce]\nMemoryOverhead=0\n"
#define CONF CONF_OF("Network=1Gbps\n[Ratio]\nCPU=1\nNetwork=2\n")
#define CONF_RATIO(ratio) CONF_OF("Network=1Gbps\n[Ratio]\nCPU=1\nNetwork=" ratio "\n")
#define CONF_UNKNOWN CONF_OF("[Ratio]\nCPU=1\n")
#define DUPLEX "[Network]\nFullDuplex=yes\n"
#define SLICE HOUSE_SLICE "[Network]\nBridges=*\n"

#define ALL_FIVE "--name", "web", "--net", "br0", "--download", "100Mbps", "--upload", "50Mbps"

/* What the usual VM has: 100 Mbit/s to it, 50 from it, of 1 Gbit/s sold twice. */
static const struct wanted usual = {.vm = "web",
                                    .bridges = "br0",
                                    .download = 100 * MBPS,
                                    .rate = 25 * MBPS,
                                    .ceil = 200 * MBPS};

static void start_usual(void) {
        struct job job;

        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--detach", ALL_FIVE, "--", "vm",
                         "rest"),
                   0);
}

static void end(const char *vm) {
        struct job job;

        expect_int(SHELL(&job, "provium", "kill", vm, "--grace", "0s"), 0);
}

static int pid_of(const char *vm) {
        json_t *reply = ask("Show", json_pack("{s:s}", "vm", vm));
        int pid = (int)json_integer_value(json_object_get(
                json_object_get(json_object_get(reply, "parameters"), "vm"), "pid"));

        json_decref(reply);
        return pid;
}

/* @whose: "vm" (web) or "network" (the IFB). */
static void wait_drift(struct news *news, const char *whose, const char *harm) {
        uint64_t until = now_ms() + HOUSE_WAIT_MS;
        const json_t *event = NULL;

        while (now_ms() < until && (event = news_next(news, HOUSE_WAIT_MS)))
                if (strcmp(json_string_value(json_object_get(event, "kind")), "drift") == 0 &&
                    json_object_get(event, whose))
                        break;
        need_that(event && json_object_get(event, whose), "'%s' is told", harm);
        expect_that(json_is_true(json_object_get(event, "repaired")), "'%s' is repaired", harm);
}

struct root {
        uint64_t rate, is, ceil;
};

static bool root_is(void *userdata) {
        static struct class classes[CLASSES_MAX];
        struct root *root = userdata;
        struct ifb ifb = links_ifb();
        size_t n = ifb.name[0] ? links_classes(ifb.name, classes) : 0;

        for (size_t i = 0; i < n; i++) {
                if (strcmp(strchr(classes[i].handle, ':'), ":1") != 0)
                        continue;
                root->is = classes[i].rate;
                root->ceil = classes[i].ceil;
        }
        return root->is == root->rate && root->ceil == root->rate;
}

static void wait_root(uint64_t rate, const char *after) {
        struct root root = {.rate = rate};
        bool good = wait_until(root_is, &root, 5000);

        expect_that(good, "after '%s' the root has %ju, ceil %ju", after, (uintmax_t)root.is,
                    (uintmax_t)root.ceil);
}

static void restart(struct house *house) {
        house_kill(house);
        house_start(house);
}

/*
 * What a VM gets
 */

static void a_vm_gets_exactly_the_expected_objects_and_none_of_them_stays(void) {
        struct house house;
        struct job job;

        links_open(&house, CONF, NULL);
        JOB_RUN(&job, ALL_FIVE, "--", "vm", "listen");
        job_wait_out(&job, "ready");
        expect_links(&usual);
        expect_int(links_count("provium:"), 2); /* its tap, and the IFB */
        job_kill(&job, SIGTERM);
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 7);
        expect_no_links();
        links_close(&house);
}

static void nothing_stays_whoever_ends_it(void) {
        struct house house;
        struct job job;
        struct news news;

        links_open(&house, CONF, NULL);
        news_open(&news);
        /* By itself. */
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", ALL_FIVE, "--", "vm", "exit", "3"),
                   3);
        expect_no_links();
        /* By a signal from outside. */
        JOB_RUN(&job, ALL_FIVE, "--", "vm", "rest");
        job_wait_out(&job, "ready");
        kill(pid_of("web"), SIGKILL);
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 128 + 9);
        expect_no_links();
        /* By its client's disappearance. */
        JOB_RUN(&job, ALL_FIVE, "--", "vm", "rest");
        job_wait_out(&job, "ready");
        job_kill(&job, SIGKILL);
        job_wait(&job, HOUSE_WAIT_MS);
        news_wait(&news, "claim_released", "web");
        news_wait(&news, "claim_released", "web");
        news_wait(&news, "claim_released", "web");
        expect_no_links();
        /* It never was executed. */
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", ALL_FIVE, "--", "/nowhere/vm"),
                   127);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", ALL_FIVE, "--", "/etc/passwd"),
                   126);
        expect_no_links();
        /* In the time without a broker, and after it. */
        start_usual();
        kill(pid_of("web"), SIGKILL);
        restart(&house);
        expect_no_links();
        start_usual();
        restart(&house);
        expect_links(&usual);
        end("web");
        expect_no_links();
        news_close(&news);
        links_close(&house);
}

/* Who reads the log must not learn to overlook warnings. */
static void the_usual_end_of_a_vm_is_no_warning(void) {
        struct house house;
        struct job job;

        links_open(&house, CONF, NULL);
        for (int i = 0; i < 12; i++)
                expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--net", "br0", "--net",
                                 "br0", "--", "vm", "exit", "0"),
                           0);
        expect(!house_log_has("warning"));
        expect(!house_log_has("error"));
        links_close(&house);
}

static void the_hypervisor_gets_its_taps_at_the_numbers_it_was_told_and_nothing_else(void) {
        struct house house;
        char wanted[256], *first, *second;
        struct job job;

        links_open(&house, CONF, NULL);
        JOB_RUN(&job, ALL_FIVE, "--", "tapvm", "report", "{tap}", "{tap.fd}", "{tap.fds}", "{mac}",
                "{tap.0.fd}");
        job_wait_out(&job, "ready");
        first = tap_of("web", 0);
        snprintf(wanted, sizeof(wanted), "words %s 3 3 ", first);
        expect_in(job.out, wanted);
        expect_in(job.out, " 3\nfd 3 tap ");
        snprintf(wanted, sizeof(wanted), "\nfd 3 tap %s vnet_hdr\nready\n", first);
        expect_in(job.out, wanted);
        free(first);
        end("web");
        job_wait(&job, HOUSE_WAIT_MS);

        JOB_RUN(&job, "--name", "web", "--net", "br0", "--net", "br1,queues=2", "--", "tapvm",
                "report", "{tap.fd}", "{tap.1.fd}", "{tap.1.fds}");
        job_wait_out(&job, "ready");
        first = tap_of("web", 0);
        second = tap_of("web", 1);
        snprintf(wanted, sizeof(wanted),
                 "words 3 4 4:5\nfd 3 tap %s vnet_hdr\nfd 4 tap %s vnet_hdr multi_queue\n"
                 "fd 5 tap %s vnet_hdr multi_queue\nready\n",
                 first, second, second);
        expect_str(job.out, wanted);
        free(first);
        free(second);
        end("web");
        job_wait(&job, HOUSE_WAIT_MS);
        links_close(&house);
}

static void a_vm_has_the_same_mac_address_whenever_it_starts(void) {
        char first[64], second[64];
        struct house house;
        struct job job;

        links_open(&house, CONF, NULL);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--name", "web", "--net", "br0",
                         "--net", "br0", "--", "echo", "{mac}", "{mac.1}"),
                   0);
        snprintf(first, sizeof(first), "%.*s", (int)sizeof(first) - 1, job.out);
        expect(strncmp(first, first + 18, 17) != 0);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--name", "other", "--net", "br0",
                         "--", "echo", "{mac}"),
                   0);
        snprintf(second, sizeof(second), "%.*s", (int)sizeof(second) - 1, job.out);
        expect(strncmp(first, second, 17) != 0);
        restart(&house);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--name", "web", "--net", "br1",
                         "--net", "br0", "--", "echo", "{mac}", "{mac.1}"),
                   0);
        expect_str(job.out, first);
        /* Set by us and for one host alone: the second bit, and not the first. */
        expect_int(strtol(first, NULL, 16) & 3, 2);
        links_close(&house);
}

static void two_taps_share_one_class_each_way(void) {
        const struct wanted two = {.vm = "web",
                                   .bridges = "br0 br1",
                                   .queues = 2,
                                   .download = 100 * MBPS,
                                   .rate = 25 * MBPS,
                                   .ceil = 200 * MBPS};
        static struct class classes[CLASSES_MAX];
        struct house house;
        struct job job;

        links_open(&house, CONF, NULL);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--detach", "--name", "web",
                         "--net", "br0,queues=2", "--net", "br1,queues=2", "--download", "100Mbps",
                         "--upload", "50Mbps", "--", "vm", "rest"),
                   0);
        expect_links(&two);
        expect_int(links_vm_classes(classes), 2);
        restart(&house);
        expect_links(&two);
        expect_int(links_vm_classes(classes), 2);
        end("web");
        expect_no_links();
        links_close(&house);
}

static void vhost_net_is_opened_for_who_asks_and_refused_clearly_where_it_is_missing(void) {
        struct house house;
        struct job job;
        char wanted[256], *tap;

        links_open(&house, CONF, NULL);
        if (access("/dev/vhost-net", F_OK) == 0) {
                JOB_RUN(&job, "--name", "web", "--net", "br0,queues=2", "--", "tapvm", "report",
                        "{tap.fds}", "{vhost.fds}");
                job_wait_out(&job, "ready");
                tap = tap_of("web", 0);
                snprintf(wanted, sizeof(wanted),
                         "words 3:4 5:6\nfd 3 tap %s vnet_hdr multi_queue\n"
                         "fd 4 tap %s vnet_hdr multi_queue\nfd 5 /dev/vhost-net\n"
                         "fd 6 /dev/vhost-net\nready\n",
                         tap, tap);
                expect_str(job.out, wanted);
                free(tap);
                end("web");
                job_wait(&job, HOUSE_WAIT_MS);
                sh("mv /dev/vhost-net /dev/vhost-net.away");
        }
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", ALL_FIVE, "--", "vm", "exit",
                         "{vhost.fd}"),
                   125);
        expect_in(job.err, "cannot open /dev/vhost-net: No such file or directory");
        expect_no_links();
        expect_int(allocated("network"), 0);
        free(sh_text("mv /dev/vhost-net.away /dev/vhost-net 2>&1"));
        links_close(&house);
}

/*
 * Who may have it
 */

static void refused(const char *sentence, int status, const char *const *words) {
        struct job job;

        expect_int(job_run(&job, words), status);
        expect_in(job.err, sentence);
        expect_int(allocated("network"), 0);
        expect_int(links_count("provium:"), 0);
}

#define REFUSED(sentence, status, ...)                                                             \
        refused(sentence, status,                                                                  \
                (const char *const[]){"provium", "run", "--slice", "t", __VA_ARGS__, NULL})
#define AS_1234 "setpriv", "--reuid=1234", "--regid=1234", "--clear-groups"
#define REFUSED_1234(sentence, status, ...)                                                        \
        refused(sentence, status,                                                                  \
                (const char *const[]){AS_1234, "provium", "run", "--slice", "t", __VA_ARGS__,      \
                                      NULL})

static void what_cannot_be_is_refused_in_a_sentence_and_leaves_nothing(void) {
        struct house house;

        links_open(&house, CONF, NULL);
        REFUSED("there is no bridge 'br7'", 66, "--net", "br7", "--", "vm");
        REFUSED("'lo' is no bridge", 66, "--net", "lo", "--", "vm");
        REFUSED("there is no bridge 'br7'", 66, "--net", "br0", "--net", "br7", "--", "vm");
        REFUSED("download: 0B/s for a VM with a network; 8 kbit/s to 160 Gbit/s", 77, "--net",
                "br0", "--download", "0", "--", "vm");
        REFUSED("upload: 0B/s for a VM with a network", 77, "--net", "br0", "--upload", "0", "--",
                "vm");
        REFUSED("it has no network; --net BRIDGE gives one", 64, "--", "vm", "{tap.fd}");
        REFUSED("it has no network; --net BRIDGE gives one", 64, "--", "vm", "{mac}");
        REFUSED("it has no network; --net BRIDGE gives one", 64, "--", "vm", "{vhost.fd}");
        REFUSED("br0.0/x", 64, "--net", "br0.0/x", "--", "vm");
        REFUSED("network: 300MB/s asked", 75, "--net", "br0", "--download", "2400Mbps", "--", "vm");
        links_close(&house);
}

static void a_slice_joins_only_the_bridges_of_its_policy(void) {
        struct house house;
        struct job job;
        const struct wanted mine = {.vm = "web",
                                    .bridges = "br1",
                                    .user = "1234",
                                    .download = 100 * MBPS,
                                    .rate = 25 * MBPS,
                                    .ceil = 200 * MBPS};

        links_open(&house, CONF, NULL);
        REFUSED_1234("slice 't' may not join the bridge 'br0'; Bridges= in [Network] of the "
                     "slice's policy allows it",
                     77, "--net", "br0", "--", "vm");
        house_slice("t", HOUSE_SLICE "[Network]\nBridges=br1\n");
        house_reload(&house);
        REFUSED_1234("may not join the bridge 'br0'", 77, "--net", "br0", "--", "vm");
        REFUSED_1234("may not join the bridge 'br0'", 77, "--net", "br1", "--net", "br0", "--",
                     "vm");
        expect_int(SHELL(&job, AS_1234, "provium", "run", "--slice", "t", "--detach", "--name",
                         "web", "--net", "br1", "--download", "100Mbps", "--upload", "50Mbps", "--",
                         "vm", "rest"),
                   0);
        expect_links(&mine);
        /* A policy that is stricter now is for whoever comes next. */
        house_slice("t", HOUSE_SLICE "[Network]\nBridges=br0\n");
        house_reload(&house);
        expect_links(&mine);
        restart(&house);
        expect_links(&mine);
        end("web");
        house_slice("t", SLICE);
        house_reload(&house);
        expect_int(SHELL(&job, AS_1234, "provium", "run", "--slice", "t", "--net", "br0", "--",
                         "vm", "exit", "0"),
                   0);
        links_close(&house);
}

static void a_slice_has_a_default_bridge_and_none_is_no_network(void) {
        struct house house;
        struct job job;

        links_open(&house, CONF, HOUSE_SLICE "[Network]\nBridge=br1\n");
        expect_int(SHELL(&job, AS_1234, "provium", "run", "--slice", "t", "--name", "web", "--",
                         "sh", "-c", "ip -j link show master br1; ip -j link show master br0"),
                   0);
        expect_in(job.out, "provium:");
        expect_in(job.out, "\"br1\"");
        expect(!strstr(job.out, "\"br0\""));
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--net", "none", "--", "sh", "-c",
                         "ip -j link show master br1; vm report"),
                   0);
        expect(!strstr(job.out, "provium:"));
        expect_in(job.out, "fds=0 1 2 \n");
        /* What the command names replaces the default. */
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--net", "br0", "--", "sh", "-c",
                         "ip -j link show master br1; ip -j link show master br0"),
                   0);
        expect(!strstr(job.out, "\"br1\""));
        expect_in(job.out, "\"br0\"");
        links_close(&house);
}

static void isolated_slices_have_isolated_ports(void) {
        struct wanted isolated = usual;
        struct house house;

        isolated.isolated = true;
        links_open(&house, CONF, HOUSE_SLICE "[Network]\nIsolated=yes\n");
        start_usual();
        expect_links(&isolated);
        restart(&house);
        expect_links(&isolated);
        end("web");
        links_close(&house);
}

static void a_full_bridge_is_refused_in_a_sentence(void) {
        struct house house;
        struct job job;

        links_open(&house, CONF, NULL);
        /* br0 has 1,023 ports. */
        sh("for i in $(seq 1023); do echo link add pd$i group 77 master br0 type dummy; done | "
           "ip -batch -");
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", ALL_FIVE, "--", "vm", "rest"),
                   125);
        expect_in(job.err, "a bridge of web is full");
        expect_no_links();
        expect_int(allocated("network"), 0);
        sh("ip link del pd17");
        start_usual();
        expect_links(&usual);
        end("web");
        expect_no_links();
        sh("ip link del group 77");
        links_close(&house);
}

/*
 * What it costs
 */

static void an_unknown_capacity_is_not_limited_and_shown_so(void) {
        const struct wanted unlimited = {.vm = "web",
                                         .bridges = "br0",
                                         .download = 160000 * MBPS,
                                         .rate = MBPS,
                                         .ceil = 160000 * MBPS};
        const struct wanted limited = {.vm = "some",
                                       .bridges = "br0",
                                       .download = 80 * MBPS,
                                       .rate = 20 * MBPS,
                                       .ceil = 160 * MBPS};
        struct house house;
        struct job job;
        char *text;

        links_open(&house, CONF_UNKNOWN, NULL);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--detach", "--name", "web",
                         "--net", "br0", "--", "vm", "rest"),
                   0);
        expect_links(&unlimited);
        expect_int(allocated("network"), 0);
        expect_int(SHELL(&job, "provium", "show", "web"), 0);
        expect_in(job.out, "net.0.download             not limited\n");
        expect_in(job.out, "net.upload.rate            not limited\n");
        expect(noted("web", "the uplink's speed is unknown and no rate was claimed"));
        /* One that says a number has it. */
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--detach", "--name", "some",
                         "--net", "br0", "--download", "80Mbps", "--upload", "40Mbps", "--", "vm",
                         "rest"),
                   0);
        expect_links(&limited);
        text = shown("some", "limits", "net.0.download");
        expect_str(text, "10MB/s");
        free(text);
        expect(!noted("some", "not limited"));
        restart(&house);
        expect_links(&unlimited);
        expect_links(&limited);
        end("web");
        end("some");
        links_close(&house);
}

static void either_direction_is_charged_and_full_duplex_both_apart(void) {
        struct wanted now = usual;
        struct house house;
        char *before, *after;

        links_open(&house, CONF, NULL);
        start_usual();
        expect_int(allocated("network"), 100 * MBPS);
        house_conf(CONF DUPLEX);
        house_reload(&house);
        expect_int(allocated("network"), 100 * MBPS);
        expect_int(allocated("network_upload"), 50 * MBPS);
        expect_links(&now);
        before = ledger_text();
        restart(&house);
        after = ledger_text();
        expect_str(after, before);
        free(before);
        free(after);
        expect_links(&now);
        /* Only its upload counts in that direction, which it now has for itself. */
        json_decref(ask("Resize", json_pack("{s:s s:{s:I}}", "vm", "web", "claim", "upload",
                                            (json_int_t)(400 * MBPS))));
        expect_int(allocated("network"), 100 * MBPS);
        expect_int(allocated("network_upload"), 400 * MBPS);
        now.rate = 200 * MBPS;
        now.ceil = 1000 * MBPS;
        expect_links(&now);
        house_conf(CONF);
        house_reload(&house);
        expect_int(allocated("network"), 400 * MBPS);
        restart(&house);
        expect_int(allocated("network"), 400 * MBPS);
        expect_links(&now);
        end("web");
        expect_int(allocated("network"), 0);
        links_close(&house);
}

/*
 * How it changes
 */

static uint64_t sum_of_rates(void) {
        static struct class classes[CLASSES_MAX];
        size_t n = links_vm_classes(classes);
        uint64_t sum = 0;

        for (size_t i = 0; i < n; i++)
                if (classes[i].parent[0])
                        sum += classes[i].rate;
        return sum;
}

static void guarantees_follow_the_ratio_and_never_exceed_the_uplink(void) {
        static struct wanted vms[4];
        static const char *const names[] = {"a", "b", "c", "d"};
        struct house house;
        struct job job;

        links_open(&house, CONF, NULL);
        for (int i = 0; i < 4; i++) {
                expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--detach", "--name",
                                 names[i], "--net", "br0", "--download", "100Mbps", "--upload",
                                 "400Mbps", "--", "vm", "rest"),
                           0);
                vms[i] = (struct wanted){.vm = names[i],
                                         .bridges = "br0",
                                         .download = 100 * MBPS,
                                         .rate = 200 * MBPS,
                                         .ceil = 1000 * MBPS};
                expect_links(&vms[i]);
        }
        house_conf(CONF_RATIO("4"));
        house_reload(&house);
        for (int i = 0; i < 4; i++) {
                vms[i].rate = 100 * MBPS;
                expect_links(&vms[i]);
        }
        /* More is sold than may be: all are cut. */
        house_conf(CONF_RATIO("1"));
        house_reload(&house);
        for (int i = 0; i < 4; i++) {
                vms[i].rate = 250 * MBPS;
                expect_links(&vms[i]);
        }
        expect_within(sum_of_rates(), 999 * MBPS, 1000 * MBPS);
        restart(&house);
        for (int i = 0; i < 4; i++)
                wait_links(&vms[i]);
        expect_within(sum_of_rates(), 999 * MBPS, 1000 * MBPS);
        /* One goes, the others grow, until all have what they were sold. */
        end("a");
        vms[1].rate = 1000 * MBPS / 3;
        wait_links(&vms[1]);
        expect_within(sum_of_rates(), 999 * MBPS, 1001 * MBPS);
        end("b");
        vms[2].rate = vms[3].rate = 400 * MBPS;
        wait_links(&vms[2]);
        wait_links(&vms[3]);
        end("c");
        end("d");
        expect_no_links();
        links_close(&house);
}

static void the_root_follows_the_capacity(void) {
        struct wanted now = usual;
        struct house house;

        links_open(&house, CONF, NULL);
        start_usual();
        wait_root(1000 * MBPS, "the start");
        house_conf(CONF_OF("Network=100Mbps\n[Ratio]\nCPU=1\nNetwork=2\n"));
        house_reload(&house);
        wait_root(100 * MBPS, "the reload");
        now.ceil = 100 * MBPS;
        expect_links(&now);
        restart(&house);
        wait_root(100 * MBPS, "the restart");
        expect_links(&now);
        /* It is changed while no broker is there. */
        house_kill(&house);
        house_conf(CONF);
        house_start(&house);
        wait_root(1000 * MBPS, "the start with another capacity");
        expect_links(&usual);
        end("web");
        links_close(&house);
}

static uint64_t bytes_up(const char *vm) {
        static struct class classes[CLASSES_MAX];
        char *text = shown(vm, "stats", "net.upload_bytes");
        uint64_t bytes = strtoull(text, NULL, 10);

        free(text);
        need_int(links_vm_classes(classes), 1);
        /* Both tell of the same class; frames may still be on their way. */
        expect(classes[0].bytes >= bytes);
        return bytes;
}

static json_t *resize(const char *vm, uint64_t download, uint64_t upload) {
        json_t *claim = json_object();

        if (download)
                json_object_set_new(claim, "download", json_integer((json_int_t)download));
        if (upload)
                json_object_set_new(claim, "upload", json_integer((json_int_t)upload));
        return ask("Resize", json_pack("{s:s s:o}", "vm", vm, "claim", claim));
}

static void a_resize_changes_the_kernel_the_books_and_the_record(void) {
        struct wanted now = usual;
        struct house house;
        struct job job;
        uint64_t before;
        json_t *reply;

        links_open(&house, CONF, NULL);
        JOB_RUN(&job, ALL_FIVE, "--", "tapvm", "send", "{tap.fd}", "500");
        job_wait_out(&job, "ready");
        before = bytes_up("web");
        expect(before > 100000);
        expect_int(SHELL(&job, "provium", "resize", "web", "--download", "200Mbps", "--upload",
                         "80Mbps"),
                   0);
        now.download = 200 * MBPS;
        now.rate = 40 * MBPS;
        now.ceil = 320 * MBPS;
        expect_links(&now);
        expect_int(allocated("network"), 200 * MBPS);
        expect(bytes_up("web") >= before);
        restart(&house);
        expect_links(&now);
        expect_int(allocated("network"), 200 * MBPS);
        expect(bytes_up("web") >= before);
        /* Down, one way alone. */
        reply = resize("web", 10 * MBPS, 0);
        expect(!reply_word(reply) || !json_object_get(reply, "error"));
        json_decref(reply);
        now.download = 10 * MBPS;
        expect_links(&now);
        expect_int(allocated("network"), 80 * MBPS);
        expect(bytes_up("web") >= before);
        end("web");
        expect_int(allocated("network"), 0);
        links_close(&house);
}

static void a_resize_that_does_not_fit_is_refused_and_changes_nothing(void) {
        struct house house;
        struct job job;
        char *before, *after;
        json_t *reply;

        links_open(&house, CONF, NULL);
        start_usual();
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--detach", "--name", "other",
                         "--net", "br0", "--download", "1500Mbps", "--upload", "1Mbps", "--", "vm",
                         "rest"),
                   0);
        before = ledger_text();
        expect_int(SHELL(&job, "provium", "resize", "web", "--download", "600Mbps"), 75);
        expect_in(job.err, "network");
        /* Never, and nonsense. */
        expect_int(SHELL(&job, "provium", "resize", "web", "--download", "3Gbps"), 75);
        reply = resize("web", 1, 0);
        expect_str(reply_word(reply), "Refused");
        json_decref(reply);
        expect_int(SHELL(&job, "provium", "resize", "nobody", "--download", "1Mbps"), 66);
        after = ledger_text();
        expect_str(after, before);
        free(before);
        free(after);
        expect_links(&usual);
        restart(&house);
        expect_links(&usual);
        /* As much as is left is given. */
        expect_int(SHELL(&job, "provium", "resize", "web", "--download", "500Mbps"), 0);
        end("web");
        end("other");
        links_close(&house);
}

/*
 * Strangers
 */

static void whatever_a_stranger_takes_away_is_put_back_and_told(void) {
        /* $TAP, $IFB, $ROOT (7056:) and $CLASS (7056:10) are ours. */
        static const struct {
                const char *whose, *harm;
        } harms[] = {
                {"vm", "tc qdisc del dev $TAP root"},
                {"vm", "tc qdisc replace dev $TAP root tbf rate 1mbit burst 100k latency 50ms"},
                {"vm", "tc qdisc replace dev $TAP root pfifo"},
                {"vm", "tc filter del dev $TAP ingress"},
                {"vm", "tc qdisc del dev $TAP clsact"},
                {"vm", "tc class change dev $IFB parent ${ROOT}1 classid $CLASS htb rate 1mbit"},
                {"network", "tc class change dev $IFB classid ${ROOT}1 htb rate 1mbit"},
                {"network", "tc class change dev $IFB classid ${ROOT}1 htb rate 1gbit ceil 2gbit"},
                {"vm", "tc qdisc del dev $IFB parent $CLASS"},
                {"vm", "tc filter del dev $TAP ingress && tc class del dev $IFB classid $CLASS"},
                {"vm", "tc qdisc del dev $IFB root"},
                {"vm", "tc qdisc replace dev $IFB root handle 99: htb"},
                {"vm", "tc qdisc replace dev $IFB root pfifo"},
                {"vm", "ip link del $IFB"},
        };
        static struct class classes[CLASSES_MAX];
        uint64_t slowest_ms = 0;
        struct house house;
        struct news news;

        links_open(&house, CONF, NULL);
        start_usual();
        for (size_t i = 0; i < sizeof(harms) / sizeof(harms[0]); i++) {
                char root[16], *tap = tap_of("web", 0);
                struct ifb ifb = links_ifb();
                uint64_t begin;

                need_int(links_vm_classes(classes), 1);
                snprintf(root, sizeof(root), "%.*s:", (int)strcspn(classes[0].handle, ":"),
                         classes[0].handle);
                news_open(&news);
                begin = now_ms();
                sh("TAP=%s IFB=%s ROOT=%s CLASS=%s; { %s; } 2>&1", tap, ifb.name, root,
                   classes[0].handle, harms[i].harm);
                free(tap);
                wait_drift(&news, harms[i].whose, harms[i].harm);
                begin = now_ms() - begin;
                slowest_ms = begin > slowest_ms ? begin : slowest_ms;
                wait_links(&usual);
                wait_root(1000 * MBPS, harms[i].harm);
                news_close(&news);
        }
        unit_note("told after %ju ms at most", (uintmax_t)slowest_ms);
        expect(slowest_ms < 5000);
        end("web");
        expect_no_links();
        links_close(&house);
}

static void what_strangers_have_is_never_touched(void) {
        static const char devs[] = "dm0 ifb7 st0 pv0123456789a00 pvdead";
        struct house house;
        struct job job;
        char *before, *after;

        links_open(&house, CONF, NULL);
        sh("ip link add dm0 type dummy && ip link set dm0 up && "
           "tc qdisc add dev dm0 root handle 7056: htb default 10 && "
           "tc class add dev dm0 parent 7056: classid 7056:1 htb rate 10mbit && "
           "tc class add dev dm0 parent 7056:1 classid 7056:10 htb rate 1mbit && "
           "ip link add ifb7 type ifb && ip link set ifb7 up && "
           "tc qdisc add dev ifb7 root handle 1: htb && "
           "tc class add dev ifb7 parent 1: classid 1:10 htb rate 10mbit && "
           "ip tuntap add st0 mode tap && ip link set st0 master br0 up && "
           "tc qdisc add dev st0 root tbf rate 1mbit burst 10k latency 50ms && "
           "ip tuntap add pv0123456789a00 mode tap && "
           "ip link add pvdead type ifb && "
           "ip link set pvdead alias provium:deadbeef:ifb");
        before = links_of_others(devs);
        start_usual();
        expect_links(&usual);
        for (int i = 0; i < 5; i++)
                expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--net", "br0", "--net",
                                 "br1", "--", "vm", "exit", "0"),
                           0);
        restart(&house);
        house_stop(&house);
        house_start(&house);
        end("web");
        house_stop(&house);
        after = links_of_others(devs);
        expect_str(after, before);
        free(before);
        free(after);
        house_start(&house);
        sh("for d in %s; do ip link del $d; done", devs);
        links_close(&house);
}

static void leftovers_of_ours_go_at_the_next_start(void) {
        static struct class classes[CLASSES_MAX];
        struct house house;
        struct ifb ifb;
        char root[16];

        links_open(&house, CONF, NULL);
        start_usual();
        need_int(links_vm_classes(classes), 1);
        snprintf(root, sizeof(root), "%.*s", (int)strcspn(classes[0].handle, ":"),
                 classes[0].handle);
        ifb = links_ifb();
        house_kill(&house);
        sh("ip link add left type dummy && ip link set left alias provium:%s:aaaaaaaaaaaaaaaa:0",
           ifb.tag);
        sh("tc class add dev %s parent %s:1 classid %s:7777 htb rate 1mbit", ifb.name, root, root);
        house_start(&house);
        expect_int(links_vm_classes(classes), 1);
        expect_links(&usual);
        end("web");
        expect_no_links();
        expect(house_log_has("the link 'left' belongs to no VM any more: removed"));
        expect(house_log_has("class 7777 of the IFB belongs to no VM: removed"));
        links_close(&house);
}

static bool second_answers(void *userdata) {
        struct line line;

        if (!line_open_at(&line, "/run/house2/control"))
                return false;
        line_close(&line);
        return true;
}

static void two_brokers_of_one_host_leave_each_other_alone(void) {
        struct house house;
        struct job second, job;

        links_open(&house, CONF, NULL);
        start_usual();
        JOB(&second, "provium-broker", "--config-dir", HOUSE_ETC, "--vendor-dir",
            HOUSE_DIR "/vendor", "--run-dir", "/run/house2", "--cgroup-root", "house2",
            "--no-systemd");
        need(wait_until(second_answers, NULL, HOUSE_WAIT_MS));
        expect_int(SHELL(&job, "provium", "--socket", "/run/house2/control", "run", "--slice", "t",
                         "--detach", ALL_FIVE, "--", "vm", "rest"),
                   0);
        expect_int(links_count("provium:"), 4);
        house_stop(&house);
        expect_int(links_count("provium:"), 4);
        house_start(&house);
        end("web");
        expect_int(links_count("provium:"), 3);
        house_stop(&house);
        expect_int(links_count("provium:"), 2);
        house_start(&house);
        start_usual();
        expect_int(SHELL(&job, "provium", "--socket", "/run/house2/control", "kill", "web"), 0);
        job_kill(&second, SIGTERM);
        expect_int(job_wait(&second, HOUSE_WAIT_MS), 0);
        expect_links(&usual);
        expect_int(links_count("provium:"), 2);
        end("web");
        rmdir("/sys/fs/cgroup/house2");
        links_close(&house);
}

/*
 * The broker's own life
 */

static void the_ifb_goes_with_a_broker_that_has_no_vm(void) {
        struct house house;

        links_open(&house, CONF, NULL);
        expect_int(links_count("provium:"), 0); /* nobody asked for a network yet */
        start_usual();
        house_stop(&house);
        expect_int(links_count("provium:"), 2);
        house_start(&house);
        expect_links(&usual);
        end("web");
        expect_int(links_count("provium:"), 1);
        house_stop(&house);
        expect_int(links_count("provium:"), 0);
        house_start(&house);
        links_close(&house);
}

static bool says_ready(void *userdata) {
        struct house *house = userdata;
        struct pollfd pollfd = {house->notify_fd, POLLIN, 0};
        char text[1024];
        ssize_t n;

        while (poll(&pollfd, 1, 0) == 1) {
                n = recv(house->notify_fd, text, sizeof(text) - 1, 0);
                text[n > 0 ? n : 0] = '\0';
                if (strstr(text, "READY=1"))
                        return true;
        }
        return false;
}

static void an_upgrade_in_place_keeps_all(void) {
        struct house house;
        struct job job;
        json_t *reply;
        char text[1024];
        unsigned fds;

        links_open(&house, CONF, NULL);
        JOB_RUN(&job, ALL_FIVE, "--", "vm", "listen");
        job_wait_out(&job, "ready");
        /* The first one may close what a start leaves open. */
        for (int i = 0; i < 3; i++) {
                while (recv(house.notify_fd, text, sizeof(text), MSG_DONTWAIT) > 0)
                        ;
                fds = count_fds(house.broker);
                reply = ask("Upgrade", NULL);
                expect(!json_object_get(reply, "error"));
                json_decref(reply);
                need(wait_until(says_ready, &house, HOUSE_WAIT_MS));
                expect_links(&usual);
                expect_int(allocated("network"), 100 * MBPS);
        }
        expect_within(count_fds(house.broker), 1, fds + 1);
        job_kill(&job, SIGTERM);
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 7);
        expect_no_links();
        links_close(&house);
}

static bool is_gone(void *userdata) {
        char *text = shown("web", "limits", "net.0");
        bool gone = strcmp(text, "gone") == 0;

        free(text);
        return gone;
}

static bool log_tells(void *userdata) {
        return house_log_has(userdata);
}

static void a_tap_that_a_stranger_deleted_or_moved_is_told_and_nothing_else_is_shaped(void) {
        static const char *const harms[] = {"ip link del", "ip link set netns far dev"};
        struct wanted other = usual;
        struct house house;
        struct job job;

        other.vm = "other";
        links_open(&house, CONF, NULL);
        sh("ip netns add far");
        for (int i = 0; i < 2; i++) {
                char *tap;

                start_usual();
                expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--detach", "--name",
                                 "other", "--net", "br0", "--download", "100Mbps", "--upload",
                                 "50Mbps", "--", "vm", "rest"),
                           0);
                tap = tap_of("web", 0);
                sh("%s %s", harms[i], tap);
                /* Its number may be another's already. */
                sh("ip link add dm0 type dummy");
                expect(wait_until(is_gone, NULL, HOUSE_WAIT_MS));
                expect(wait_until(log_tells, tap, HOUSE_WAIT_MS));
                free(tap);
                expect_links(&other);
                end("web");
                expect_links(&other);
                expect_int(allocated("network"), 100 * MBPS);
                expect_int(SHELL(&job, "sh", "-c",
                                 "tc qdisc show dev dm0; tc filter show dev dm0 "
                                 "ingress"),
                           0);
                expect(!strstr(job.out, "tbf"));
                expect(!strstr(job.out, "clsact"));
                restart(&house);
                expect_links(&other);
                end("other");
                expect_no_links();
                sh("ip link del dm0");
        }
        sh("ip netns del far");
        links_close(&house);
}

static void a_tap_that_somebody_else_holds_open_goes_with_its_vm(void) {
        struct house house;
        int pidfd, fd;

        links_open(&house, CONF, NULL);
        start_usual();
        pidfd = pidfd_open(pid_of("web"), 0);
        fd = pidfd_getfd(pidfd, 3, 0);
        need(fd >= 0);
        end("web");
        expect_int(allocated("network"), 0);
        expect_no_links();
        expect(house_log_has("is still open somewhere: removed"));
        /* And when no broker is there at its end. */
        close(fd);
        close(pidfd);
        start_usual();
        pidfd = pidfd_open(pid_of("web"), 0);
        fd = pidfd_getfd(pidfd, 3, 0);
        need(fd >= 0);
        house_kill(&house);
        pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
        need(pidfd_wait(pidfd, HOUSE_WAIT_MS));
        house_start(&house);
        expect_no_links();
        close(fd);
        close(pidfd);
        links_close(&house);
}

UNIT_MAIN(TEST(a_vm_gets_exactly_the_expected_objects_and_none_of_them_stays),
          TEST(nothing_stays_whoever_ends_it), TEST(the_usual_end_of_a_vm_is_no_warning),
          TEST(the_hypervisor_gets_its_taps_at_the_numbers_it_was_told_and_nothing_else),
          TEST(a_vm_has_the_same_mac_address_whenever_it_starts),
          TEST(two_taps_share_one_class_each_way),
          TEST(vhost_net_is_opened_for_who_asks_and_refused_clearly_where_it_is_missing),
          TEST(what_cannot_be_is_refused_in_a_sentence_and_leaves_nothing),
          TEST(a_slice_joins_only_the_bridges_of_its_policy),
          TEST(a_slice_has_a_default_bridge_and_none_is_no_network),
          TEST(isolated_slices_have_isolated_ports), TEST(a_full_bridge_is_refused_in_a_sentence),
          TEST(an_unknown_capacity_is_not_limited_and_shown_so),
          TEST(either_direction_is_charged_and_full_duplex_both_apart),
          TEST(guarantees_follow_the_ratio_and_never_exceed_the_uplink),
          TEST(the_root_follows_the_capacity),
          TEST(a_resize_changes_the_kernel_the_books_and_the_record),
          TEST(a_resize_that_does_not_fit_is_refused_and_changes_nothing),
          TEST(whatever_a_stranger_takes_away_is_put_back_and_told),
          TEST(what_strangers_have_is_never_touched), TEST(leftovers_of_ours_go_at_the_next_start),
          TEST(two_brokers_of_one_host_leave_each_other_alone),
          TEST(the_ifb_goes_with_a_broker_that_has_no_vm), TEST(an_upgrade_in_place_keeps_all),
          TEST(a_tap_that_a_stranger_deleted_or_moved_is_told_and_nothing_else_is_shaped),
          TEST(a_tap_that_somebody_else_holds_open_goes_with_its_vm), )
