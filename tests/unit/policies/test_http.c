/* SPDX-License-Identifier: MIT */
/* Where HTTP is served, and by which names the host is called. */
#include <netinet/in.h>
#include <string.h>

#include <base/why.h>
#include <policies/http.h>

#include "unit.h"

static void addresses_of_both_families_are_taken_with_their_ports(void) {
        struct policy_listen listens[POLICY_LISTENS_MAX];
        size_t n = 7;

        expect_int(policy_parse_listens("", listens, &n, NULL), 0);
        expect_uint(n, 0);
        need_int(policy_parse_listens(" 127.0.0.1:9787\t[::1]:65535 ", listens, &n, NULL), 0);
        need_int(n, 2);
        expect_int(listens[0].family, AF_INET);
        expect_int(listens[0].port, 9787);
        expect_int(memcmp(listens[0].bytes, "\x7f\0\0\1", 4), 0);
        expect_str(listens[0].text, "127.0.0.1:9787");
        expect_int(listens[1].family, AF_INET6);
        expect_int(listens[1].port, 65535);
        expect_int(listens[1].bytes[15], 1);
}

static void what_is_no_address_with_a_port_is_refused_with_what_is_valid(void) {
        static const char too_many[] =
                "1.1.1.1:1 1.1.1.1:2 1.1.1.1:3 1.1.1.1:4 1.1.1.1:5 1.1.1.1:6 1.1.1.1:7 1.1.1.1:8 "
                "1.1.1.1:9";
        static const char *const bad[] = {
                "127.0.0.1",
                "127.0.0.1:",
                "127.0.0.1:0",
                "127.0.0.1:65536",
                "127.0.0.1:+80",
                "127.0.0.1:8K",
                ":9787",
                "9787",
                "localhost:9787",
                "::1:9787",
                "[::1]",
                "[::1:9787",
                "[]:9787",
                "[127.0.0.1]:9787",
                "127.0.0.1:1 127.0.0.1:1",
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%a-very-long-name-of-a-scope]:65535",
                too_many,
        };
        struct policy_listen listens[POLICY_LISTENS_MAX];

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                struct why why = {};
                size_t n = 7;

                expect_that(policy_parse_listens(bad[i], listens, &n, &why) == POLICY_E_INVALID,
                            "taken: %s", bad[i]);
                expect_uint(n, 7);
                expect(why.text[0]);
        }
}

static void names_of_hosts_are_letters_digits_and_dots(void) {
        struct why why = {};

        expect_int(policy_check_hosts("", &why), 0);
        expect_int(policy_check_hosts("broker a.b-c.example", &why), 0);
        expect_int(policy_check_hosts("broker:80", &why), POLICY_E_INVALID);
        expect_in(why.text, "without a port");
        expect_int(policy_check_hosts("http://broker", &why), POLICY_E_INVALID);
        expect_int(policy_check_hosts("*", &why), POLICY_E_INVALID);
}

UNIT_MAIN(TEST(addresses_of_both_families_are_taken_with_their_ports),
          TEST(what_is_no_address_with_a_port_is_refused_with_what_is_valid),
          TEST(names_of_hosts_are_letters_digits_and_dots))
