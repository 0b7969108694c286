/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --disk 64M --timeout 200 */
/*
 * What the broker says that VMs have used, beside the kernel's own files and tc(8): each number is
 * read there before and after, and what the broker says lies between.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <base/macro.h>

#include "house.h"
#include "links.h"

#define CONF                                                                                       \
        "[Capacity]\nCPU=4\nMemory=400M\nDisk=1G\nNetwork=1Gbps\n[Ratio]\nCPU=1\nNetwork=2\n"      \
        "[Claim]\nCPU=0.1\nMemory=16M\nDiskIO=0\n[Enforce]\nMemoryOverhead=0\n"
#define DISK_DIR "/run/stats-disk"

/* A Stats that began after now: what is younger than a second is told again. */
static json_t *fresh(const char *vm) {
        uint64_t until = now_ms() + HOUSE_WAIT_MS;
        struct timespec now;
        uint64_t begun;

        clock_gettime(CLOCK_REALTIME, &now);
        begun = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
        while (now_ms() < until) {
                json_t *reply = ask("Stats", vm ? json_pack("{s:s}", "vm", vm) : NULL);
                json_t *parameters = json_object_get(reply, "parameters");
                json_int_t taken = json_integer_value(json_object_get(parameters, "taken_ns"));

                if ((uint64_t)taken >= begun) {
                        json_incref(parameters);
                        json_decref(reply);
                        return parameters;
                }
                json_decref(reply);
                usleep(50000); /* until it is told anew, nothing tells us */
        }
        need_that(false, "a survey of after the asking comes");
        return NULL;
}

static const json_t *row(const json_t *stats, const char *list, const char *name) {
        const json_t *entry;
        size_t i;

        json_array_foreach(json_object_get(stats, list), i, entry)
                if (strcmp(json_string_value(json_object_get(entry, "name")), name) == 0)
                        return entry;
        return NULL;
}

/* "cpu_usec", "upload.bytes", "pressure.io.waiting_usec"; -1: it is not there. */
static json_int_t number(const json_t *object, const char *path) {
        char parts[64], *rest = parts, *part;

        snprintf(parts, sizeof(parts), "%s", path);
        while (object && (part = strsep(&rest, ".")))
                object = json_object_get(object, part);
        return json_is_integer(object) ? json_integer_value(object) : -1;
}

static json_int_t shell_number(const char *command) {
        char *text = sh_text("%s", command);
        json_int_t value = atoll(text);

        free(text);
        return value;
}

/* What is compared, and how a person would find it. %s: the group's path, or the tap. */
struct probe {
        const char *field, *command;
};

static const struct probe of_groups[] = {
        {"cpu_usec", "awk '/^usage_usec/ {print $2}' %s/cpu.stat"},
        {"periods", "awk '/^nr_periods/ {print $2}' %s/cpu.stat"},
        {"throttled_periods", "awk '/^nr_throttled/ {print $2}' %s/cpu.stat"},
        {"throttled_usec", "awk '/^throttled_usec/ {print $2}' %s/cpu.stat"},
        {"memory_peak", "cat %s/memory.peak"},
        {"oom_kills", "awk '/^oom_kill / {print $2}' %s/memory.events"},
        {"pressure.cpu.waiting_usec", "sed -n 's/^some .*total=//p' %s/cpu.pressure"},
        {"pressure.cpu.stalled_usec", "sed -n 's/^full .*total=//p' %s/cpu.pressure"},
        {"pressure.memory.waiting_usec", "sed -n 's/^some .*total=//p' %s/memory.pressure"},
        {"pressure.io.stalled_usec", "sed -n 's/^full .*total=//p' %s/io.pressure"},
};
static const struct probe of_taps[] = {
        {"upload.bytes", "cat /sys/class/net/%s/statistics/rx_bytes"},
        {"upload.packets", "cat /sys/class/net/%s/statistics/rx_packets"},
        {"upload.drops", "cat /sys/class/net/%s/statistics/rx_dropped"},
        {"download.bytes", "cat /sys/class/net/%s/statistics/tx_bytes"},
        {"download.packets", "cat /sys/class/net/%s/statistics/tx_packets"},
        {"download.drops", "cat /sys/class/net/%s/statistics/tx_dropped"},
        {"download.shaping_drops",
         "tc -s -j qdisc show dev %s root | jq '[.[] | select(.kind == \"tbf\")][0].drops'"},
};
#define PROBES_MAX 16

/* All in one shell: the more time between them, the less the comparison says. */
static void look(const struct probe *probes, size_t n, const char *what, json_int_t *values) {
        char commands[4000], *text, *rest, *line;
        size_t used = 0, i = 0;

        for (size_t j = 0; j < n; j++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                used += (size_t)snprintf(commands + used, sizeof(commands) - used,
                                         probes[j].command, what);
#pragma GCC diagnostic pop
                used += (size_t)snprintf(commands + used, sizeof(commands) - used, "; ");
                need(used < sizeof(commands));
        }
        rest = text = sh_text("%s", commands);
        while (i < n && (line = strsep(&rest, "\n")))
                values[i++] = atoll(line);
        need_uint(i, n);
        free(text);
}

static void compare(const struct probe *probes, size_t n, const json_t *told,
                    const json_int_t *before, const json_int_t *after) {
        for (size_t i = 0; i < n; i++) {
                json_int_t value = number(told, probes[i].field);

                expect_that(value >= before[i] && value <= after[i],
                            "%s: %lld, which the kernel said was %lld before and %lld after",
                            probes[i].field, (long long)value, (long long)before[i],
                            (long long)after[i]);
        }
}

static void open_disk(void) {
        sh("set -e; exec 2>&1; mkdir -p " DISK_DIR "; mkfs.ext4 -qF $RIG_DISKS; "
           "mountpoint -q " DISK_DIR " || mount $RIG_DISKS " DISK_DIR "; truncate -s 16M " DISK_DIR
           "/image");
}

/* ---- the tests ---- */

static void start(const char *const *words) {
        struct job job;

        expect_int(job_run(&job, words), 0);
}
#define START(...)                                                                                 \
        start((const char *const[]){"provium", "run", "--slice", "t", "--detach", __VA_ARGS__,     \
                                    NULL})

static void what_is_told_of_a_group_lies_between_what_the_kernel_says_before_and_after(void) {
        json_int_t before[PROBES_MAX], after[PROBES_MAX];
        const char *slice = HOUSE_ROOT "/t.slice";
        struct house house;
        json_t *stats;
        char *path;

        links_open(&house, CONF, NULL);
        START("--name", "spinner", "--cpus", "0.2", "--", "vm", "spin");
        START("--name", "other", "--", "vm", "rest");
        path = vm_path("spinner");
        for (unsigned round = 0; round < 2; round++) {
                look(of_groups, ARRAY_SIZE(of_groups), path, before);
                stats = fresh(NULL);
                look(of_groups, ARRAY_SIZE(of_groups), path, after);
                compare(of_groups, ARRAY_SIZE(of_groups), row(stats, "vms", "spinner"), before,
                        after);
                json_decref(stats);
        }
        expect(after[0] > 0 && after[2] > 0);
        look(of_groups, ARRAY_SIZE(of_groups), slice, before);
        stats = fresh(NULL);
        look(of_groups, ARRAY_SIZE(of_groups), slice, after);
        compare(of_groups, ARRAY_SIZE(of_groups), row(stats, "slices", "t"), before, after);
        expect_int(number(row(stats, "vms", "other"), "memory_limit"), 16 << 20);
        /* It, and the keeper of its console. */
        expect_int(number(row(stats, "vms", "other"), "processes"), 2);
        expect_int(number(row(stats, "vms", "other"), "download.bytes"), -1);
        json_decref(stats);
        free(path);
        links_close(&house);
}

static bool has_written(void *command) {
        return shell_number(command) > 0;
}

static void what_a_vm_wrote_is_told_by_device(void) {
        json_int_t before, after, told;
        const json_t *disks;
        char command[300];
        struct house house;
        json_t *stats;
        char *path;

        open_disk();
        links_open(&house, CONF, NULL);
        START("--name", "writer", "--", "diskvm", "write", DISK_DIR "/image", "64");
        path = vm_path("writer");
        snprintf(command, sizeof(command),
                 "sed -n 's/.*wbytes=\\([0-9]*\\).*/\\1/p' %s/io.stat | head -n 1", path);
        need(wait_until(has_written, command, HOUSE_WAIT_MS));
        before = shell_number(command);
        stats = fresh("writer");
        after = shell_number(command);
        expect_uint(json_array_size(json_object_get(stats, "vms")), 1);
        disks = json_object_get(row(stats, "vms", "writer"), "disks");
        need_uint(json_array_size(disks), 1);
        expect_that(strstr(getenv("RIG_DISKS"),
                           json_string_value(json_object_get(json_array_get(disks, 0), "disk"))),
                    "the disk has the kernel's name");
        told = number(json_array_get(disks, 0), "written_bytes");
        expect_that(told >= before && told <= after && after > 0, "%lld, between %lld and %lld",
                    (long long)told, (long long)before, (long long)after);
        json_decref(stats);
        free(path);
        links_close(&house);
        sh("umount " DISK_DIR);
}

/* Frames to a VM that may have 1 Mbit/s, more than its queue holds. */
static void what_a_vms_taps_carry_and_lose_is_told_from_its_side(void) {
        json_int_t before[PROBES_MAX], after[PROBES_MAX];
        struct house house;
        json_t *stats;
        struct job job;
        char *tap;

        links_open(&house, CONF, HOUSE_SLICE "[Network]\nBridges=*\n");
        JOB_RUN(&job, "--name", "web", "--net", "br0", "--download", "1Mbps", "--upload", "50Mbps",
                "--", "netvm", "{tap.fd}", "10.79.0.2/24", "-");
        job_wait_out(&job, "up");
        sh("ip addr add 10.79.0.1/24 dev br0");
        tap = tap_of("web", 0);
        /* One datagram for each write, in 40 frames: more than fq_codel's 10,240. */
        sh("bash -c 'dd if=/dev/zero bs=60000 count=600 status=none >/dev/udp/10.79.0.2/9' || "
           "true");
        look(of_taps, ARRAY_SIZE(of_taps), tap, before);
        stats = fresh("web");
        look(of_taps, ARRAY_SIZE(of_taps), tap, after);
        compare(of_taps, ARRAY_SIZE(of_taps), row(stats, "vms", "web"), before, after);
        for (size_t i = 0; i < ARRAY_SIZE(of_taps); i++)
                if (!strstr(of_taps[i].field, "s.drops") && !strstr(of_taps[i].field, "d.drops"))
                        expect_that(after[i] > 0, "%s is not nothing", of_taps[i].field);
        json_decref(stats);
        free(tap);
        job_kill(&job, SIGTERM);
        job_wait(&job, HOUSE_WAIT_MS);
        links_close(&house);
}

static void others_see_their_own_vms_only(void) {
        struct house house;
        json_t *reply;

        links_open(&house, CONF, NULL);
        START("--name", "roots", "--", "vm", "rest");
        reply = ask_as(4711, "Stats", NULL);
        expect_uint(json_array_size(json_object_get(json_object_get(reply, "parameters"), "vms")),
                    0);
        json_decref(reply);
        reply = fresh("roots");
        expect_uint(json_array_size(json_object_get(reply, "vms")), 1);
        json_decref(reply);
        links_close(&house);
}

/* Vanished askers cost nothing and hold nobody up; parts come until the last. */
static void many_ask_and_some_leave(void) {
        struct line lines[20], gone[20];
        struct house house;
        bool timeout;

        links_open(&house, CONF, NULL);
        for (unsigned i = 0; i < 5; i++)
                START("--", "vm", "rest");
        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                need(line_open(&lines[i]) && line_open(&gone[i]));
                line_call(&gone[i], "Stats", NULL, true, NULL, 0);
                line_call(&lines[i], "Stats", NULL, i % 2, NULL, 0);
                line_close(&gone[i]);
        }
        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                json_t *reply = line_reply(&lines[i], HOUSE_WAIT_MS, &timeout);

                need(reply);
                expect_uint(json_array_size(
                                    json_object_get(json_object_get(reply, "parameters"), "vms")),
                            5);
                expect(!json_is_true(json_object_get(reply, "continues")));
                json_decref(reply);
                line_close(&lines[i]);
        }
        links_close(&house);
}

UNIT_MAIN(TEST(what_is_told_of_a_group_lies_between_what_the_kernel_says_before_and_after),
          TEST(what_a_vm_wrote_is_told_by_device),
          TEST(what_a_vms_taps_carry_and_lose_is_told_from_its_side),
          TEST(others_see_their_own_vms_only), TEST(many_ask_and_some_leave), )
