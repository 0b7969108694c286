/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --swap 64M --timeout 120 */
/*
 * What `provium doctor` finds of a real host; and each line that is said to mend something, mends
 * it when it is executed as it was printed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "house.h"

#define BRIDGE                                                                                     \
        HOUSE_CONF "[Network]\nBridge=pvdoc0\nAddress=10.77.0.1/24\nAddress=10.78.0.1/24\n"        \
                   "Address=fd77::1/64\nNAT=yes\n"

struct found {
        char verdict[16], text[512], mend[512];
};

static void set_text(char *buffer, size_t size, const json_t *finding, const char *key) {
        const char *text = json_string_value(json_object_get(finding, key));

        need_that(text != NULL, "each finding has its %s", key);
        snprintf(buffer, size, "%s", text);
}

/* The worst finding of @check, by the command; its status is to be what the list says. */
static struct found find(const char *check) {
        static const char *const order[] = {"", "ok", "warning", "problem"};
        size_t worst = 0, problems = 0;
        struct found found = {};
        struct job job;
        int status;
        char *state = NULL;

        status = SHELL(&job, "provium", "doctor", "--json");
        for (char *line = strtok_r(job.out, "\n", &state); line;
             line = strtok_r(NULL, "\n", &state)) {
                json_t *finding = json_loads(line, 0, NULL);
                struct found this;

                need_that(finding != NULL, "an object: %s", line);
                set_text(this.verdict, sizeof(this.verdict), finding, "verdict");
                set_text(this.text, sizeof(this.text), finding, "text");
                set_text(this.mend, sizeof(this.mend), finding, "mend");
                problems += strcmp(this.verdict, "problem") == 0;
                for (size_t i = worst + 1; i < 4; i++)
                        if (strcmp(this.verdict, order[i]) == 0 &&
                            strcmp(json_string_value(json_object_get(finding, "check")), check) ==
                                    0) {
                                worst = i;
                                found = this;
                        }
                json_decref(finding);
        }
        expect_int(status, problems > 0);
        return found;
}

static void expect_found(const char *check, const char *verdict, const char *text) {
        struct found found = find(check);

        expect_that(strcmp(found.verdict, verdict) == 0, "%s is %s, and not '%s: %s'", check,
                    verdict, found.verdict, found.text);
        expect_in(found.text, text);
}

static void run(const char *line) {
        struct job job;
        int status = SHELL(&job, "sh", "-c", line);

        need_that(status == 0, "%s: %d: %s", line, status, job.err);
}

/* Breaks something, expects it to be told, and executes the line that mends it. */
static void harm(const char *line, const char *check, const char *verdict, const char *text) {
        struct found found;

        expect_found(check, "ok", "");
        run(line);
        expect_found(check, verdict, text);
        found = find(check);
        run(found.mend);
        found = find(check);
        expect_that(strcmp(found.verdict, "ok") == 0, "%s is mended: %s: %s", check, found.verdict,
                    found.text);
}

static void capacity_is_unknown_until_it_is_configured(void) {
        struct house house;
        struct found found;

        house_open(&house, HOUSE_CONF, NULL);
        found = find("capacity");
        expect_str(found.verdict, "warning");
        expect_in(found.text, "of network it is unknown");
        expect_str(found.mend, "set Network= in [Capacity] of broker.conf");
        expect_found("reserve", "warning", "of CPUs and memory");
        house_conf("[Capacity]\nCPU=4\nMemory=400M\nDisk=1G\nNetwork=1Gbps\n"
                   "[Reserve]\nCPU=0.1\nMemory=10M\n[Broker]\nBestEffort=yes\n");
        house_reload(&house);
        expect_found("capacity", "ok", "");
        expect_found("reserve", "ok", "");
        expect_found("best-effort", "warning", "");
        expect_found("pids", "warning", "kernel.pid_max");
        house_close(&house);
}

static void a_host_as_it_should_be_has_no_problem(void) {
        struct house house;
        struct job job;
        json_t *reply;

        house_open(&house, NULL, NULL);
        expect_int(SHELL(&job, "provium", "doctor"), 0);
        expect_in(job.out, "ok       controllers");
        expect_in(job.out, "\n0 problems, ");
        expect_found("controllers", "ok", "");
        expect_found("oom", "ok", "");
        expect_found("launcher", "ok", "");
        expect_found("psi", "ok", "");
        expect_found("rtnetlink", "ok", "");
        expect_found("fq_codel", "ok", "");
        expect_found("bridge", "", "");

        /* Anybody may ask, and it takes no words. */
        reply = ask_as(1000, "Doctor", NULL);
        expect(json_array_size(json_object_get(json_object_get(reply, "parameters"), "findings")) >
               10);
        json_decref(reply);
        reply = ask("Doctor", json_pack("{s:s}", "vm", "x"));
        expect_str(reply_word(reply), "Invalid");
        json_decref(reply);
        house_close(&house);
}

static void what_is_harmed_by_hand_is_told_with_the_line_that_mends_it(void) {
        struct house house;

        house_open(&house, BRIDGE, NULL);
        harm("ip link delete pvdoc0", "bridge", "problem", "bridge pvdoc0 is missing");
        harm("ip link set pvdoc0 down", "bridge", "problem", "bridge pvdoc0 is down");
        harm("ip address delete 10.77.0.1/24 dev pvdoc0", "bridge", "problem",
             "lacks its address 10.77.0.1/24");
        harm("ip address delete 10.78.0.1/24 dev pvdoc0", "bridge", "problem", "10.78.0.1/24");
        harm("ip address delete fd77::1/64 dev pvdoc0", "bridge", "problem", "fd77::1/64");
        harm("sysctl -w net.ipv4.ip_forward=0", "forwarding", "problem", "IPv4 is not forwarded");
        harm("sysctl -w net.ipv6.conf.all.forwarding=0", "forwarding", "problem", "IPv6");
        harm("echo 1 > /sys/kernel/mm/ksm/run", "ksm", "warning", "different users");
        house_close(&house);
}

static void the_bridges_of_slices_are_looked_at(void) {
        struct house house;
        struct found found;

        run("ip link add brdoc0 type bridge && ip link set brdoc0 up");
        house_open(&house, NULL, HOUSE_SLICE "[Network]\nBridge=brdoc0\n");
        harm("ip link delete brdoc0", "bridge", "problem", "bridge of slice 't': brdoc0");
        harm("ip link set brdoc0 down", "bridge", "problem", "down");
        run("ip link delete brdoc0 && ip link add brdoc0 type dummy && ip link set brdoc0 up");
        expect_found("bridge", "problem", "is no bridge");
        run("ip link delete brdoc0");

        /* Not ours, although Bridge= names it: used, but never changed. */
        run("ip link add pvdoc0 type bridge && ip link set pvdoc0 up");
        house_slice("t", HOUSE_SLICE);
        house_conf(BRIDGE);
        house_reload(&house);
        expect_found("bridge", "warning", "somebody else's");
        run("ip link set pvdoc0 down");
        found = find("bridge");
        expect_str(found.mend, "ip link set pvdoc0 up");
        run("ip link delete pvdoc0");
        house_close(&house);
}

static void the_uplink_is_to_be_a_port(void) {
        struct house house;

        run("ip link add updoc0 type dummy && ip link set updoc0 up");
        house_open(&house, HOUSE_CONF "[Network]\nBridge=pvdoc0\nUplink=updoc0\n", NULL);
        harm("ip link set updoc0 nomaster", "uplink", "problem", "is no port of pvdoc0");
        harm("ip link set updoc0 down", "uplink", "problem", "is down");
        run("ip link delete updoc0");
        expect_found("uplink", "problem", "is missing");
        house_close(&house);
}

static void swap_and_devices_are_told_as_they_are_now(void) {
        struct house house;

        run("mkdir -p /var/lib/provium");
        house_open(&house, NULL, NULL);
        expect_found("swap", "ok", "on disk, accounted; VMs get none");
        run("swapoff -a");
        expect_found("swap", "ok", "off");
        harm("rmdir /var/lib/provium", "disk", "warning", "/var/lib/provium is missing");
        run("mv /dev/net/tun /dev/net/away");
        expect_found("tun", "problem", "no VM can have a network");
        run("mv /dev/net/away /dev/net/tun");
        expect_found("tun", "ok", "");
        house_close(&house);
}

UNIT_MAIN(TEST(capacity_is_unknown_until_it_is_configured),
          TEST(a_host_as_it_should_be_has_no_problem),
          TEST(what_is_harmed_by_hand_is_told_with_the_line_that_mends_it),
          TEST(the_bridges_of_slices_are_looked_at), TEST(the_uplink_is_to_be_a_port),
          TEST(swap_and_devices_are_told_as_they_are_now))
