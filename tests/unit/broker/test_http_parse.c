/* SPDX-License-Identifier: MIT */
/* What a request's head can say. */
#include <broker/http_parse.h>

#include "unit.h"

static void an_address_or_localhost_is_ours_with_or_without_a_port(void) {
        expect(http_host_is_ours("127.0.0.1", "", false));
        expect(http_host_is_ours("127.0.0.1:9787", "", false));
        expect(http_host_is_ours("[::1]:9787", "", false));
        expect(http_host_is_ours("[fd77::1]", "", false));
        expect(http_host_is_ours("localhost:80", "", false));
        expect(http_host_is_ours("LocalHost.", "", false));
        expect(http_host_is_ours("a.localhost", "", false));
}

static void a_name_that_somebodys_name_server_made_is_not(void) {
        expect(!http_host_is_ours("evil.example", "", false));
        expect(!http_host_is_ours("evil.example:9787", "", true));
        expect(!http_host_is_ours("127.0.0.1.evil.example", "", true));
        expect(!http_host_is_ours("localhost.evil.example", "", true));
        expect(!http_host_is_ours("xlocalhost", "", false));
        expect(!http_host_is_ours(".localhost", "", false));
        expect(!http_host_is_ours("[evil.example]", "", true));
        expect(!http_host_is_ours("[::1", "", true));
        expect(!http_host_is_ours("[::1]x", "", true));
        expect(!http_host_is_ours("127.0.0.1:", "", true));
        expect(!http_host_is_ours("127.0.0.1:8x", "", true));
        expect(!http_host_is_ours("127.0.0.1@evil.example", "", true));
        expect(!http_host_is_ours("", "", false));
}

static void names_of_the_policy_are_ours_in_any_case(void) {
        expect(http_host_is_ours("Broker.example:9787", "a broker.example\tb", false));
        expect(http_host_is_ours("b", "a broker.example\tb", false));
        expect(!http_host_is_ours("broker", "broker.example", false));
        expect(!http_host_is_ours("broker.example b", "broker.example b", false));
}

static void a_plain_name_will_do_where_no_name_server_is_asked(void) {
        expect(http_host_is_ours("x", "", true));
        expect(http_host_is_ours("", "", true));
        expect(!http_host_is_ours("x", "", false));
}

static void a_tag_matches_in_a_list_weak_or_any(void) {
        expect(http_etag_matches("\"abc\"", "\"abc\""));
        expect(http_etag_matches("W/\"abc\"", "\"abc\""));
        expect(http_etag_matches("\"x\", \"abc\" , \"y\"", "\"abc\""));
        expect(http_etag_matches(" * ", "\"abc\"") == false);
        expect(http_etag_matches("*", "\"abc\""));
        expect(!http_etag_matches("\"abcd\"", "\"abc\""));
        expect(!http_etag_matches("\"a,\"abc\"", "\"abc\""));
        expect(!http_etag_matches("\"unfinished", "\"abc\""));
        expect(!http_etag_matches("", "\"abc\""));
}

static void the_number_of_an_event_is_digits_that_json_can_carry(void) {
        uint64_t seq = 7;

        expect(http_parse_seq("0", &seq));
        expect_uint(seq, 0);
        expect(http_parse_seq("9223372036854775807", &seq));
        expect_uint(seq, INT64_MAX);
        expect(!http_parse_seq("9223372036854775808", &seq));
        expect(!http_parse_seq("99999999999999999999999999", &seq));
        expect(!http_parse_seq("", &seq));
        expect(!http_parse_seq("-1", &seq));
        expect(!http_parse_seq("1 ", &seq));
        expect_uint(seq, INT64_MAX);
}

static void a_list_has_whole_words_only(void) {
        expect(http_list_has("since kind", "kind"));
        expect(!http_list_has("since kind", "kin"));
        expect(!http_list_has("since kind", ""));
        expect(!http_list_has("", "kind"));
}

UNIT_MAIN(TEST(an_address_or_localhost_is_ours_with_or_without_a_port),
          TEST(a_name_that_somebodys_name_server_made_is_not),
          TEST(names_of_the_policy_are_ours_in_any_case),
          TEST(a_plain_name_will_do_where_no_name_server_is_asked),
          TEST(a_tag_matches_in_a_list_weak_or_any),
          TEST(the_number_of_an_event_is_digits_that_json_can_carry),
          TEST(a_list_has_whole_words_only))
