/* SPDX-License-Identifier: MIT */
/* rig: --mem 1G --timeout 120 --beside */
/*
 * The network's two directions in the books: one axis or two, as the operator says, also when he
 * says otherwise while VMs run, wait, or have no broker.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "house.h"

#define CONF                                                                                       \
        "[Capacity]\nCPU=4\nMemory=400M\nDisk=1G\nNetwork=1Gbps\n[Ratio]\nCPU=1\nNetwork=1\n"      \
        "[Claim]\nCPU=0.1\nMemory=16M\nDiskIO=0\nNetwork=0\n[Enforce]\nMemoryOverhead=0\n"
#define DUPLEX CONF "[Network]\nFullDuplex=yes\n"
#define MBPS 125000

static void expect_record(const char *name, const char *text) {
        char record[4096] = "", *path = vm_path(name);

        expect(getxattr(path, "trusted.provium.lease", record, sizeof(record) - 1) > 0);
        expect_in(record, text);
        free(path);
}

static bool told(const char *resource) {
        json_t *reply = ask("Resources", NULL);
        char *text = json_dumps(reply, 0);
        char quoted[64];
        bool found;

        snprintf(quoted, sizeof(quoted), "\"%s\"", resource);
        found = strstr(text, quoted) != NULL;
        free(text);
        json_decref(reply);
        return found;
}

static void full_duplex_may_be_turned_on_and_off_under_vms_that_run(void) {
        struct house house;
        struct job job;
        char *before, *after;

        house_open(&house, CONF, NULL);
        JOB_RUN(&job, "--detach", "--name", "web", "--download", "100Mbps", "--upload", "200Mbps",
                "--", "vm", "rest");
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 0);
        expect_int(allocated("network"), 200 * MBPS);
        expect(!told("network_upload"));
        expect_record("web", " network=25000000 network_upload=0 ");

        house_conf(DUPLEX);
        house_reload(&house);
        expect_int(allocated("network"), 100 * MBPS);
        expect_int(allocated("network_upload"), 200 * MBPS);
        expect_record("web", " network=12500000 network_upload=25000000 ");
        before = ledger_text();
        house_kill(&house);
        house_start(&house);
        after = ledger_text();
        expect_str(after, before);
        free(before);
        free(after);

        /* Nobody is there to exchange it: who comes next derives it. */
        house_kill(&house);
        house_conf(CONF);
        house_start(&house);
        expect_int(allocated("network"), 200 * MBPS);
        expect(!told("network_upload"));
        expect_record("web", " network=25000000 network_upload=0 ");
        house_end_all(&house);
        house_close(&house);
}

static void a_claim_that_waits_for_the_link_starts_when_its_directions_count_apart(void) {
        struct house house;
        struct job running, waiting, explain;
        struct news news;

        house_open(&house, CONF, NULL);
        news_open(&news);
        JOB_RUN(&running, "--detach", "--name", "web", "--download", "100Mbps", "--upload",
                "200Mbps", "--", "vm", "rest");
        expect_int(job_wait(&running, HOUSE_WAIT_MS), 0);
        JOB_RUN(&waiting, "--name", "wide", "--download", "900Mbps", "--upload", "1Mbps", "--",
                "vm", "rest");
        news_wait(&news, "claim_queued", "wide");
        SHELL(&explain, "provium", "explain", "wide");
        expect_in(explain.out, "network: 113MB/s asked");
        expect(!strstr(explain.out, "network_upload"));

        house_conf(DUPLEX);
        house_reload(&house);
        news_wait(&news, "vm_spawned", "wide");
        expect_int(allocated("network"), 1000 * MBPS);
        expect_int(allocated("network_upload"), 201 * MBPS);

        /* Oversold now, and nobody dies of it. */
        house_conf(CONF);
        house_reload(&house);
        expect_int(allocated("network"), 1100 * MBPS);
        expect_int(count_vms(), 2);
        news_close(&news);
        house_end_all(&house);
        job_wait(&waiting, HOUSE_WAIT_MS);
        house_close(&house);
}

UNIT_MAIN(TEST(full_duplex_may_be_turned_on_and_off_under_vms_that_run),
          TEST(a_claim_that_waits_for_the_link_starts_when_its_directions_count_apart), )
