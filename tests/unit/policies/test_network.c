/* SPDX-License-Identifier: MIT */

/*
 * [Network]: which bridge, which addresses, and which slice may join what.
 */

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <policies/policy.h>

#include "tree.h"
#include "unit.h"

/* Loads a broker.conf and one slice, and expects one error, or none if @error is NULL. */
static void expect_set(const char *broker, const char *slice, const char *error) {
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/broker.conf", broker);
        tree_put(&tree, "etc/slices/a.slice", slice);
        expect_int(tree_load(&tree), error ? POLICY_E_INVALID : 0);
        expect_that(tree.errors.n == (error ? 1 : 0), "\"%s\": %s", broker, tree.text);
        if (error)
                expect_in(tree.text, error);
        tree_deinit(&tree);
}

/* The same with one line below the broker's [Network] and a bridge. */
static void expect_line(const char *line, const char *error) {
        char text[512];

        snprintf(text, sizeof(text), "[Network]\nBridge=pvbr0\n%s\n", line);
        expect_set(text, "", error);
}

static void a_host_without_a_word_has_no_network_of_ours(void) {
        const struct network_policy *network;
        const struct slice_policy *slice;
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/slices/a.slice", "");
        need_int(tree_load(&tree), 0);
        network = &tree.policy->broker.network;
        expect_str(network->bridge, "");
        expect_str(network->uplink, "");
        expect_uint(network->n_addresses, 0);
        expect(!network->nat && !network->full_duplex);
        expect_uint(network->upload_ceil_milli, 4000);
        expect_uint(network->download_bucket_milli, 4000);
        slice = &tree.policy->slices[0];
        expect_str(slice->bridge, "");
        expect_uint(slice->n_bridges, 0);
        expect(!slice->any_bridge && !slice->isolated);
        tree_deinit(&tree);
}

static void every_key_of_the_network_is_read(void) {
        static const unsigned char four[16] = {10, 77, 0, 1};
        static const unsigned char six[16] = {0xfd, 0x77, [15] = 1};
        const struct network_policy *network;
        const struct slice_policy *slice;
        struct tree tree;

        tree_init(&tree);
        tree_put(
                &tree, "etc/broker.conf",
                "[Network]\nBridge=pvbr0\nAddress=10.77.0.1/24 fd77::1/64\nUplink=eth0.5\nNAT=yes\n"
                "FullDuplex=on\nUploadCeil=1\nDownloadBucket=64\n");
        tree_put(&tree, "etc/slices/a.slice",
                 "[Network]\nBridge=pvbr0\nBridges=br0, br1\tbr0\nBridges=br2\nIsolated=yes\n");
        need_that(tree_load(&tree) == 0, "%s", tree.text);
        network = &tree.policy->broker.network;
        expect_str(network->bridge, "pvbr0");
        expect_str(network->uplink, "eth0.5");
        need_uint(network->n_addresses, 2);
        expect_int(network->addresses[0].family, AF_INET);
        expect_uint(network->addresses[0].prefix, 24);
        expect(memcmp(network->addresses[0].bytes, four, 16) == 0);
        expect_int(network->addresses[1].family, AF_INET6);
        expect_uint(network->addresses[1].prefix, 64);
        expect(memcmp(network->addresses[1].bytes, six, 16) == 0);
        expect(network->nat && network->full_duplex);
        expect_uint(network->upload_ceil_milli, 1000);
        expect_uint(network->download_bucket_milli, 64000);
        slice = &tree.policy->slices[0];
        expect_str(slice->bridge, "pvbr0");
        need_uint(slice->n_bridges, 3);
        expect_str(slice->bridges[0], "br0");
        expect_str(slice->bridges[1], "br1");
        expect_str(slice->bridges[2], "br2");
        expect(!slice->any_bridge && slice->isolated);
        tree_deinit(&tree);
}

static void lists_add_up_and_start_over(void) {
        const struct network_policy *network;
        const struct slice_policy *slice;
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/broker.conf",
                 "[Network]\nBridge=b\nAddress=10.0.0.1/8 10.0.0.1/8\nAddress=10.1.0.1/16\n");
        tree_put(&tree, "etc/slices/a.slice", "[Network]\nBridge=b\nBridges=x *\nBridges=y\n");
        need_int(tree_load(&tree), 0);
        expect_uint(tree.policy->broker.network.n_addresses, 2);
        expect_uint(tree.policy->slices[0].n_bridges, 2);
        expect(tree.policy->slices[0].any_bridge);

        tree_put(&tree, "etc/broker.conf.d/x.conf", "[Network]\nAddress=\nAddress=10.2.0.1/16\n");
        tree_put(&tree, "etc/slices/a.slice.d/x.conf", "[Network]\nBridge=\nBridges=\nBridges=z\n");
        need_int(tree_load(&tree), 0);
        network = &tree.policy->broker.network;
        need_uint(network->n_addresses, 1);
        expect_uint(network->addresses[0].bytes[1], 2);
        slice = &tree.policy->slices[0];
        expect_str(slice->bridge, "");
        need_uint(slice->n_bridges, 1);
        expect_str(slice->bridges[0], "z");
        expect(!slice->any_bridge);
        tree_deinit(&tree);
}

static void what_is_no_address_is_refused(void) {
        static const char *const bad[] = {
                "10.77.0.1",
                "10.77.0.1/",
                "10.77.0.1/33",
                "10.77.0.1/-1",
                "10.77.0/24",
                "10.77.0.1.1/24",
                "010.77.0.1/24",
                "256.0.0.1/24",
                "10.77.0.1/2.5",
                "10.77.0.1/24x",
                "10.77.0.1/24/24",
                "/24",
                "::1::/64",
                "fd77::1/129",
                "fd77::1",
                "fd77::1%eth0/64",
                "pvbr0",
                "10.77.0.1/0x8",
                "fd77::1/999999999999999999999",
                "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb/64",
        };

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                char line[128];

                snprintf(line, sizeof(line), "Address=%s", bad[i]);
                expect_line(line, "is not an address with its subnet; valid is A.B.C.D/0 to /32");
        }
        expect_line("Address=10.77.0.1/24 \x1b[2J",
                    "etc/broker.conf:3: [Network] Address=: \"\\x1b[2J\" is not an address");
}

static void of_a_list_with_a_mistake_nothing_is_taken(void) {
        /* one error each: what was not taken needs no bridge */
        expect_set("[Network]\nAddress=10.77.0.1/24 x\n", "",
                   ":2: [Network] Address=: \"x\" is not");
        expect_set("[Network]\nAddress=10.77.0.1/24 10.77.1.1/24 10.77.2.1/24 10.77.3.1/24 "
                   "10.77.4.1/24\n",
                   "", "more than 4 addresses");
        expect_set("", "[Network]\nBridges=* br0 a/b\n", "Bridges=: \"a/b\" is not a valid name");
}

static void an_address_belongs_to_a_host(void) {
        static const char *const good[] = {
                "10.77.0.1/24",       "10.77.0.0/31",   "10.77.0.1/31",
                "10.77.0.0/32",       "10.77.0.255/16", "10.77.0.1/0",
                "fd77::1/64",         "fd77::/127",     "fd77::/128",
                "fd77::1/0",          "fe80::1/64",     "fd77::ffff:ffff:ffff:ffff/64",
                "223.255.255.254/30",
        };
        static const char *const subnets[] = {"10.77.0.0/24", "10.77.0.0/30", "128.0.0.0/1",
                                              "fd77::/64",    "fd77::/126",   "fd77::4/126"};
        static const char *const broadcast[] = {"10.77.0.255/24", "10.77.0.3/30"};
        static const char *const others[] = {
                "0.0.0.0/0", "0.0.0.1/8", "127.0.0.1/8", "224.0.0.1/4",
                "::/0",      "::1/128",   "ff02::1/64",  "255.255.255.255/32"};
        char line[128];

        for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
                snprintf(line, sizeof(line), "Address=%s", good[i]);
                expect_line(line, NULL);
        }
        for (size_t i = 0; i < ARRAY_SIZE(subnets); i++) {
                snprintf(line, sizeof(line), "Address=%s", subnets[i]);
                expect_line(line, "is the subnet itself; the bridge needs an address of its own");
        }
        for (size_t i = 0; i < ARRAY_SIZE(broadcast); i++) {
                snprintf(line, sizeof(line), "Address=%s", broadcast[i]);
                expect_line(line, "is the subnet's broadcast address");
        }
        for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
                snprintf(line, sizeof(line), "Address=%s", others[i]);
                expect_line(line, "is not an address that a host can have");
        }
}

static void a_bridge_has_at_most_four_addresses(void) {
        expect_line("Address=10.0.0.1/24 10.0.1.1/24 10.0.2.1/24\nAddress=10.0.3.1/24 10.0.3.1/24",
                    NULL);
        expect_line("Address=10.0.0.1/24 10.0.1.1/24 10.0.2.1/24\nAddress=10.0.3.1/24 10.0.4.1/24",
                    "etc/broker.conf:4: [Network] Address=: more than 4 addresses");
}

static void a_name_that_no_interface_can_have_is_refused(void) {
        static const char *const bad[] = {".",   "..", "a/b", "a:b",  "a,b",
                                          "a b", "ä",  "a%d", "\x7f", "abcdefghijklmnop"};

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                char text[128];

                snprintf(text, sizeof(text), "[Network]\nBridge=%s\n", bad[i]);
                expect_set(text, "", "is not a valid name of an interface: give 1 to 15");
                expect_set("", text, "etc/slices/a.slice:2: [Network] Bridge=: ");
                snprintf(text, sizeof(text), "Uplink=%s", bad[i]);
                expect_line(text, "etc/broker.conf:3: [Network] Uplink=: ");
                if (strpbrk(bad[i], ", "))
                        continue; /* two names, in a list */
                snprintf(text, sizeof(text), "[Network]\nBridges=%s\n", bad[i]);
                expect_set("", text, "is not a valid name of a bridge: give 1 to 15");
        }
        expect_set("[Network]\nBridge=abcdefghijklmno\n", "[Network]\nBridges=abcdefghijklmno\n",
                   NULL);
}

static void a_slice_names_at_most_sixteen_bridges(void) {
        char text[512] = "[Network]\nBridges=*\n";

        for (unsigned i = 0; i < POLICY_BRIDGES_MAX; i++)
                sprintf(text + strlen(text), "Bridges=br%u\n", i);
        expect_set("", text, NULL);
        strcat(text, "Bridges=br0\n"); /* in it already */
        expect_set("", text, NULL);
        strcat(text, "Bridges=br16\n");
        expect_set("", text, "Bridges=: more than 16 bridges; for any write *");
}

static void what_belongs_to_a_bridge_needs_one(void) {
        expect_set("[Network]\nAddress=10.0.0.1/24\n", "",
                   "etc/broker.conf:2: [Network] Address=: it needs a bridge; say which with "
                   "Bridge=");
        expect_set("[Network]\nUplink=eth0\n", "", ":2: [Network] Uplink=: it needs a bridge");
        expect_set("[Network]\nNAT=yes\n", "", ":2: [Network] NAT=: it needs a bridge");
        expect_set("[Network]\nNAT=no\nFullDuplex=yes\nUploadCeil=2\nDownloadBucket=1\n", "", NULL);
        expect_line("NAT=yes", "etc/broker.conf:3: [Network] NAT=: it needs a subnet; give the "
                               "bridge an address in it with Address=");
        expect_line("NAT=yes\nAddress=fd77::1/64", NULL);
        expect_line("Uplink=pvbr0", "etc/broker.conf:3: [Network] Uplink=: a bridge cannot be a "
                                    "port of itself");
        expect_line("Uplink=pvbr1", NULL);
        expect_set("", "[Network]\nBridge=br0\n", NULL); /* somebody else's, made by them */
}

static void a_multiple_is_from_1_to_64(void) {
        static const char *const names[] = {"UploadCeil", "DownloadBucket"};
        static const char *const bad[] = {"0", "0.999", "64.001", "65"};
        char line[64];

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                for (size_t j = 0; j < ARRAY_SIZE(bad); j++) {
                        snprintf(line, sizeof(line), "%s=%s", names[i], bad[j]);
                        expect_line(line, "is out of range; valid is 1 to 64");
                }
                snprintf(line, sizeof(line), "%s=infinity", names[i]);
                expect_line(line, "\"infinity\" is not a ratio");
                snprintf(line, sizeof(line), "%s=1.5", names[i]);
                expect_line(line, NULL);
        }
}

static void a_slice_joins_its_own_the_brokers_and_those_it_lists(void) {
        const struct slice_policy *slice;
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/broker.conf", "[Network]\nBridge=pvbr0\n");
        tree_put(&tree, "etc/slices/a.slice", "[Network]\nBridge=own0\nBridges=br0 br1\n");
        tree_put(&tree, "etc/slices/b.slice", "");
        tree_put(&tree, "etc/slices/c.slice", "[Network]\nBridges=*\n");
        need_int(tree_load(&tree), 0);
        slice = policy_find_slice(tree.policy, "a");
        expect(policy_may_join(tree.policy, slice, "own0"));
        expect(policy_may_join(tree.policy, slice, "pvbr0"));
        expect(policy_may_join(tree.policy, slice, "br0"));
        expect(policy_may_join(tree.policy, slice, "br1"));
        expect(!policy_may_join(tree.policy, slice, "br"));
        expect(!policy_may_join(tree.policy, slice, "br10"));
        expect(!policy_may_join(tree.policy, slice, "*"));
        slice = policy_find_slice(tree.policy, "b");
        expect(policy_may_join(tree.policy, slice, "pvbr0"));
        expect(!policy_may_join(tree.policy, slice, "own0"));
        expect(!policy_may_join(tree.policy, slice, ""));
        slice = policy_find_slice(tree.policy, "c");
        expect(policy_may_join(tree.policy, slice, "anything"));
        expect(!policy_may_join(tree.policy, slice, ""));

        tree_put(&tree, "etc/broker.conf", "");
        need_int(tree_load(&tree), 0);
        expect(!policy_may_join(tree.policy, policy_find_slice(tree.policy, "b"), "pvbr0"));
        expect(!policy_may_join(tree.policy, policy_find_slice(tree.policy, "b"), ""));
        tree_deinit(&tree);
}

static void a_network_is_shown_as_it_will_be_read(void) {
        _cleanup_(freep) char *broker = NULL, *slice = NULL, *again = NULL;
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/broker.conf",
                 "[Network]\nBridge=pvbr0\nAddress=10.77.0.1/024 FD77:0::0001/64\nUplink=eth0\n"
                 "NAT=yes\nFullDuplex=yes\nUploadCeil=1.25\nDownloadBucket=2\n");
        tree_put(&tree, "etc/slices/a.slice",
                 "[Network]\nBridge=br@x\nBridges=b1 * b2\nIsolated=yes\n");
        need_that(tree_load(&tree) == 0, "%s", tree.text);
        broker = policy_show(tree.policy, NULL);
        slice = policy_show(tree.policy, &tree.policy->slices[0]);
        expect_in(broker, "\n[Network]\nBridge=pvbr0\nAddress=10.77.0.1/24\nAddress=fd77::1/64\n"
                          "Uplink=eth0\nNAT=yes\nFullDuplex=yes\nUploadCeil=1.25\n"
                          "DownloadBucket=2\n");
        expect_in(slice, "\n[Network]\nBridge=br@x\nBridges=*\nBridges=b1\nBridges=b2\n"
                         "Isolated=yes\n");

        tree_put(&tree, "etc/broker.conf", broker);
        tree_put(&tree, "etc/slices/a.slice", slice);
        need_that(tree_load(&tree) == 0, "%s", tree.text);
        again = policy_show(tree.policy, NULL);
        expect_str(again, broker);
        free(take(again));
        again = policy_show(tree.policy, &tree.policy->slices[0]);
        expect_str(again, slice);
        tree_deinit(&tree);
}

UNIT_MAIN(
        TEST(a_host_without_a_word_has_no_network_of_ours),
        TEST(every_key_of_the_network_is_read),
        TEST(lists_add_up_and_start_over),
        TEST(what_is_no_address_is_refused),
        TEST(of_a_list_with_a_mistake_nothing_is_taken),
        TEST(an_address_belongs_to_a_host),
        TEST(a_bridge_has_at_most_four_addresses),
        TEST(a_name_that_no_interface_can_have_is_refused),
        TEST(a_slice_names_at_most_sixteen_bridges),
        TEST(what_belongs_to_a_bridge_needs_one),
        TEST(a_multiple_is_from_1_to_64),
        TEST(a_slice_joins_its_own_the_brokers_and_those_it_lists),
        TEST(a_network_is_shown_as_it_will_be_read),
)
