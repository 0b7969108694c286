/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --disk 64M --disk 64M --timeout 300 */
/*
 * Disks and network of a reservation: what is reserved of them is shared out by CPU to VMs that do
 * not say, and of what is not reserved nobody inside has anything.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "house.h"
#include "links.h"

#define FULL 75
#define DENIED 77
#define BRIDGE "br9"
#define CONF                                                                                       \
        "[Capacity]\nCPU=4\nMemory=400M\nDisk=1G\nDiskIO=20MB/s\nNetwork=800Mbps\n"                \
        "[Ratio]\nCPU=1\nDiskIO=1\nNetwork=1\n"                                                    \
        "[Claim]\nCPU=0.1\nMemory=16M\nDiskIO=0\n[Enforce]\nMemoryOverhead=0\n"                    \
        "[Disk]\nBurstBy=none\n"
#define A "/run/d0/a.img"
#define B "/run/d1/b.img"

#define CLAIM_NOW(job, ...)                                                                        \
        SHELL(job, "provium", "claim", "--slice", "t", "--owner", "o", "--detach", "--mem",        \
              "200M", "--cpus", "1", __VA_ARGS__)
#define INSIDE(job, ...) SHELL(job, "provium", "run", "--owner", "o", "--detach", __VA_ARGS__)

static void disks_open(void) {
        const char *disks = getenv("RIG_DISKS");

        if (!disks || !strchr(disks, ' '))
                unit_skip("the rig has not two disks");
        sh("set -e; exec 2>&1; export PATH=$PATH:/sbin:/usr/sbin; set -- $RIG_DISKS;"
           "if ! mountpoint -q /run/d0; then mkdir -p /run/d0 /run/d1;"
           "  mkfs.ext4 -qF $1; mount $1 /run/d0; mkfs.ext4 -qF $2; mount $2 /run/d1;"
           "  for f in " A " " B "; do dd if=/dev/zero of=$f bs=1M count=4 status=none; done;"
           "fi");
}

static void disks_are_shared_out_and_found_again(void) {
        struct house house;
        struct job job;
        char *before, *after, text[200];

        disks_open();
        house_open(&house, CONF, NULL);
        expect_int(CLAIM_NOW(&job, "--name", "r", "--disk-io", "10MB/s", "--disk-image", A), 0);
        expect_int(allocated("disk_io"), 10000000);
        vm_file("r", "io.max", text, sizeof(text));
        expect_in(text, "rbps=10000000 wbps=10000000");
        /* Half of the CPUs, half of the disk. */
        expect_int(
                INSIDE(&job, "--name", "a", "--cpus", "0.5", "--disk-image", A, "--", "vm", "rest"),
                0);
        vm_file("a", "io.max", text, sizeof(text));
        expect_in(text, "rbps=5000000 wbps=5000000");
        expect_int(allocated("disk_io"), 10000000);
        expect_int(INSIDE(&job, "--cpus", "0.1", "--disk-io", "8MB/s", "--disk-image", A, "--",
                          "vm", "rest"),
                   FULL);
        expect_in(job.err, "disk_io: 8MB/s asked, the reservation 'o' has 5MB/s of 10MB/s left");
        expect_int(INSIDE(&job, "--cpus", "0.1", "--disk-image", B, "--", "vm", "rest"), DENIED);
        expect_in(job.err, "is in the reservation 'o'; name the disk's files when reserving");
        /* Who names no disk has none of that of others. */
        expect_int(INSIDE(&job, "--cpus", "0.1", "--", "vm", "rest"), 0);
        before = ledger_text();
        house_kill(&house);
        house_start(&house);
        after = ledger_text();
        expect_str(after, before);
        free(before);
        free(after);
        vm_file("r", "io.max", text, sizeof(text));
        expect_in(text, "rbps=10000000 wbps=10000000");
        expect_int(INSIDE(&job, "--cpus", "0.1", "--disk-io", "5MB/s", "--disk-image", A, "--",
                          "vm", "rest"),
                   0);
        expect_int(SHELL(&job, "provium", "release", "o"), 0);
        expect_int(allocated("disk_io"), 0);
        house_close(&house);
}

/* Both directions, as they were sold to @name. */
static void expect_rates(const char *name, json_int_t rate) {
        json_t *reply = ask("Resources", json_pack("{s:s}", "instance", name));
        const json_t *list = json_object_get(
                json_object_get(json_object_get(reply, "parameters"), "resources"), "allocations");
        const json_t *one = json_array_get(list, 0);

        expect_int(json_integer_value(json_object_get(one, "network_download_bps")), rate);
        expect_int(json_integer_value(json_object_get(one, "network_upload_bps")), rate);
        json_decref(reply);
}

static size_t count_nets(const char *name) {
        json_t *reply = ask("Show", json_pack("{s:s}", "vm", name));
        size_t n = json_array_size(json_object_get(
                json_object_get(json_object_get(reply, "parameters"), "vm"), "nets"));

        json_decref(reply);
        return n;
}

static void the_network_is_shared_out_or_nobodys(void) {
        struct house house;
        struct job job;

        sh("ip link add " BRIDGE " type bridge 2>/dev/null; ip link set " BRIDGE " up");
        house_open(&house, CONF, HOUSE_SLICE "[Network]\nBridge=" BRIDGE "\n");
        expect_int(CLAIM_NOW(&job, "--download", "80Mbps", "--upload", "80Mbps"), 0);
        expect_int(allocated("network"), 10000000);
        expect_int(INSIDE(&job, "--name", "a", "--cpus", "0.5", "--", "vm", "rest"), 0);
        expect_int((int)count_nets("a"), 1);
        expect_rates("a", 5000000);
        expect_int(INSIDE(&job, "--name", "b", "--download", "60Mbps", "--", "vm", "rest"), FULL);
        expect_in(job.err, "network: 7.5MB/s asked, the reservation 'o' has 5MB/s of 10MB/s left");
        expect_int(allocated("network"), 10000000);
        expect_int(SHELL(&job, "provium", "release", "o"), 0);
        /* Of nothing, nothing: no tap that nobody asked for, and none for who does. */
        expect_int(CLAIM_NOW(&job, "--name", "r"), 0);
        expect_int(INSIDE(&job, "--name", "a", "--", "vm", "rest"), 0);
        expect_int((int)count_nets("a"), 0);
        expect_int(INSIDE(&job, "--net", BRIDGE, "--", "vm", "rest"), DENIED);
        expect_in(job.err, "download: 0");
        expect_int(INSIDE(&job, "--net", BRIDGE, "--download", "8Mbps", "--upload", "8Mbps", "--",
                          "vm", "rest"),
                   FULL);
        expect_in(job.err, "network: 1MB/s asked, but the reservation 'o' is of 0B/s in all");
        expect_int(SHELL(&job, "provium", "release", "o"), 0);
        house_close(&house);
        sh("ip link del " BRIDGE);
}

/* A slice that shrinks takes back nothing of what was reserved in it, and lets nothing more in. */
static void a_slice_that_shrinks_leaves_what_was_reserved(void) {
        struct house house;
        struct job job;

        house_open(&house, CONF, HOUSE_SLICE "[Slice]\nCPU=2\n");
        expect_int(CLAIM_NOW(&job, "--name", "r"), 0);
        house_slice("t", HOUSE_SLICE "[Slice]\nCPU=0.5\n");
        house_reload(&house);
        expect_int(INSIDE(&job, "--name", "a", "--cpus", "1", "--", "vm", "rest"), 0);
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--no-wait", "--", "vm", "rest"),
                   FULL);
        expect_in(job.err, "slice 't'");
        expect_int(allocated("cpu"), 1000);
        expect_int(SHELL(&job, "provium", "release", "o"), 0);
        expect_int(allocated("cpu"), 0);
        house_close(&house);
}

UNIT_MAIN(TEST(disks_are_shared_out_and_found_again), TEST(the_network_is_shared_out_or_nobodys),
          TEST(a_slice_that_shrinks_leaves_what_was_reserved))
