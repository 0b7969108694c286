/* SPDX-License-Identifier: MIT */
/* rig: --beside --timeout 100 */
/*
 * Masquerading, as nft shows it, and seen by a host on the other side.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <tc/nat.h>

#include "bench.h"
#include "unit.h"

#define TABLE "provium-test"

static const struct nat_subnet subnets[] = {
        {AF_INET, {10, 9, 0, 0}, 24},
        {AF_INET, {10, 9, 1, 0}, 24},
        {AF_INET6, {0xfd, 0x09}, 64},
};

static void the_table_is_what_was_asked_and_goes_without_a_trace(void) {
        static const char *const words[] = {
                "table inet provium-test {",
                "type nat hook postrouting priority srcnat; policy accept;",
                "ip saddr 10.9.0.0/24 oifname != \"pvtestbr\" masquerade",
                "ip saddr 10.9.1.0/24 oifname != \"pvtestbr\" masquerade",
                "ip6 saddr fd09::/64 oifname != \"pvtestbr\" masquerade",
        };
        struct why why = {};
        char *text;

        need_int(run("nft add table inet operators"), 0);
        need_that(nat_set(TABLE, BRIDGE, subnets, 3, &why) == 0, "%s", why.text);
        expect_output("nft list table inet " TABLE, words, ARRAY_SIZE(words));
        /* Again, and with less: nothing is doubled, nothing is left. */
        need_int(nat_set(TABLE, BRIDGE, subnets + 1, 1, &why), 0);
        text = output("nft list table inet " TABLE);
        expect_in(text, "10.9.1.0/24");
        expect(!strstr(text, "10.9.0.0/24") && !strstr(text, "fd09"));
        free(text);
        expect_int(nat_remove(TABLE, &why), 0);
        expect_int(nat_remove(TABLE, &why), 0);
        text = output("nft list ruleset");
        expect_str(text, "table inet operators {\n}\n");
        free(text);
        run("nft delete table inet operators");
}

static void a_refusal_leaves_the_old_table_and_says_why(void) {
        const struct nat_subnet wrong = {AF_INET, {10, 9, 0, 0}, 99};
        struct why why = {};
        char *text;

        need_int(nat_set(TABLE, BRIDGE, subnets, 1, &why), 0);
        expect_int(nat_set(TABLE, BRIDGE, &wrong, 1, &why), NAT_E_HOST);
        printf("# %s\n", why.text);
        expect_in(why.text, TABLE);
        text = output("nft list table inet " TABLE);
        expect_in(text, "10.9.0.0/24");
        free(text);
        expect_int(nat_set("a b", BRIDGE, subnets, 1, &why), NAT_E_NAME);
        expect_int(nat_set("", BRIDGE, subnets, 1, &why), NAT_E_NAME);
        expect_int(nat_set(TABLE, "br*", subnets, 1, &why), NAT_E_NAME);
        expect_int(nat_set(TABLE, "br\"; flush ruleset #", subnets, 1, &why), NAT_E_NAME);
        expect_int(nat_remove("ruleset; flush", &why), NAT_E_NAME);
        expect_int(nat_remove(TABLE, &why), 0);
}

/* A "world" behind a veth answers only to the host's own address there: nothing else has a way
 * back. */
static void what_leaves_has_the_hosts_address(void) {
        struct why why = {};
        struct bench bench;
        struct guest guest;

        bench_up(&bench);
        guest_up(&bench, &guest, 1, 1, 10 * MBIT, 10 * MBIT, 10 * MBIT);
        guest_start(&guest);
        need_int(
                run("ip netns add world && ip link add pvout type veth peer name in netns world && "
                    "ip addr add 192.0.2.1/24 dev pvout && ip link set pvout up && "
                    "ip -n world addr add 192.0.2.2/24 dev in && ip -n world link set in up && "
                    "echo 1 >/proc/sys/net/ipv4/ip_forward && "
                    "nsenter -t %d -n ip route add default via 10.9.0.1",
                    guest.pid),
                0);
        run("ip netns exec world sh -c 'echo hello | timeout 20 socat -u STDIN TCP-LISTEN:99,fork' "
            "& until ip netns exec world ss -ltn | grep -q :99; do :; done");
        expect(run("timeout 2 nsenter -t %d -n socat -u TCP:192.0.2.2:99,connect-timeout=1 - "
                   "2>/dev/null",
                   guest.pid) != 0);
        need_int(nat_set(TABLE, BRIDGE, subnets, 3, &why), 0);
        expect(run("timeout 5 nsenter -t %d -n socat -u TCP:192.0.2.2:99 - >/dev/null",
                   guest.pid) == 0);
        expect_int(nat_remove(TABLE, &why), 0);
        run("ip link del pvout; ip netns pids world | xargs -r kill; ip netns del world");
        guest_down(&bench, &guest);
        bench_down(&bench);
}

UNIT_MAIN(TEST(the_table_is_what_was_asked_and_goes_without_a_trace),
          TEST(a_refusal_leaves_the_old_table_and_says_why),
          TEST(what_leaves_has_the_hosts_address), )
