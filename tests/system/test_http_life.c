/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --timeout 280 */
/*
 * Readers who stay, leave, say too much or too little; and a broker that is stopped, killed and
 * replaced under them.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "house.h"
#include "web.h"

#define CROWD 24

/* The number of the last event that has come. */
static unsigned long last_id(const struct web *web) {
        const char *at = web->got, *found = NULL;

        while (at && (at = strstr(at, "\nid: ")))
                found = at++;
        need_that(found != NULL, "no event has come: %s", web->got ? web->got : "");
        return strtoul(found + strlen("\nid: "), NULL, 10);
}

static void run_one(const char *name) {
        struct job job;

        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--name", name, "--", "vm", "exit",
                         "0"),
                   0);
}

static void a_stream_tells_what_happens_and_goes_on_where_it_was_cut(void) {
        struct house house;
        struct web web;
        char lines[64];

        house_open(&house, NULL, NULL);
        need(web_open(&web));
        web_get(&web, "/events", "");
        need(web_wait(&web, "retry:", HOUSE_WAIT_MS));
        run_one("first");
        need(web_wait(&web, "\"kind\":\"vm_shutdown\"", HOUSE_WAIT_MS));
        expect_in(web.got, "\"name\":\"first\"");
        need(web_wait(&web, "\"kind\":\"claim_released\"", HOUSE_WAIT_MS));
        snprintf(lines, sizeof(lines), "Last-Event-ID: %lu\r\n", last_id(&web));
        web_close(&web);
        run_one("second");
        need(web_open(&web));
        web_get(&web, "/events", lines);
        need(web_wait(&web, "\"kind\":\"claim_released\"", HOUSE_WAIT_MS));
        expect_in(web.got, "\"name\":\"second\"");
        expect(!strstr(web.got, "\"name\":\"first\""));
        expect(!strstr(web.got, "\"kind\":\"gap\""));
        web_close(&web);
        house_close(&house);
}

static void a_kind_is_picked_and_a_gap_is_told_to_who_comes_from_another_boot(void) {
        struct house house;
        struct web web;

        house_open(&house, NULL, NULL);
        need(web_open(&web));
        web_get(&web, "/events?kind=vm_shutdown", "");
        need(web_wait(&web, "retry:", HOUSE_WAIT_MS));
        run_one("first");
        need(web_wait(&web, "\"kind\":\"vm_shutdown\"", HOUSE_WAIT_MS));
        expect(!strstr(web.got, "vm_spawned"));
        web_close(&web);
        need(web_open(&web));
        web_get(&web, "/events", "Last-Event-ID: 9000000000000000000\r\n");
        need(web_wait(&web, "\"kind\":\"gap\"", HOUSE_WAIT_MS));
        expect_in(web.got, "\"restarted\":true");
        need(web_wait(&web, "\"name\":\"first\"", HOUSE_WAIT_MS));
        web_close(&web);
        house_close(&house);
}

static void upgrade(void) {
        struct news news;
        struct job job;

        news_open(&news);
        expect_int(SHELL(&job, "provium", "upgrade"), 0);
        news_close(&news);
}

static bool is_new_program(void *userdata) {
        return house_log_has("went on as a new program");
}

static void an_upgrade_refuses_nobody_and_streams_go_on_by_number(void) {
        struct house house;
        struct web web, knocker;
        char lines[64];

        house_open(&house, HOUSE_CONF "[HTTP]\nListen=127.0.0.1:9787\n", NULL);
        need(web_open(&web));
        web_get(&web, "/events", "");
        need(web_wait(&web, "retry:", HOUSE_WAIT_MS));
        run_one("first");
        need(web_wait(&web, "\"kind\":\"claim_released\"", HOUSE_WAIT_MS));
        snprintf(lines, sizeof(lines), "Last-Event-ID: %lu\r\n", last_id(&web));
        upgrade();
        /* Whenever somebody knocks, over either, he is heard by the one or the other. */
        for (int i = 0; i < 40; i++) {
                bool tcp = i % 2;

                need(tcp ? web_open_tcp(&knocker, AF_INET, "127.0.0.1", 9787) : web_open(&knocker));
                web_get(&knocker, "/healthz", "");
                web_finish(&knocker);
                expect_int(web_status(&knocker), 200);
                web_close(&knocker);
        }
        need(wait_until(is_new_program, NULL, HOUSE_WAIT_MS));
        web_finish(&web);
        web_close(&web);
        run_one("second");
        need(web_open(&web));
        web_get(&web, "/events", lines);
        need(web_wait(&web, "\"kind\":\"claim_released\"", HOUSE_WAIT_MS));
        expect_in(web.got, "\"name\":\"second\"");
        expect(!strstr(web.got, "\"kind\":\"gap\""));
        web_close(&web);
        house_close(&house);
}

static void a_killed_broker_leaves_a_path_that_the_next_one_takes(void) {
        struct house house;
        struct web web;
        char lines[64];

        house_open(&house, HOUSE_CONF "[HTTP]\nListen=127.0.0.1:9787\n", NULL);
        need(web_open(&web));
        web_get(&web, "/events?since=1", "");
        need(web_wait(&web, "\nid: ", HOUSE_WAIT_MS));
        snprintf(lines, sizeof(lines), "Last-Event-ID: %lu\r\n", last_id(&web));
        house_kill(&house);
        web_finish(&web);
        web_close(&web);
        expect(!web_open(&web));
        house_start(&house);
        free(web_fetch("/healthz", 200));
        need(web_open_tcp(&web, AF_INET, "127.0.0.1", 9787));
        web_get(&web, "/healthz", "");
        web_finish(&web);
        expect_int(web_status(&web), 200);
        web_close(&web);
        /* What it had seen was the former broker's, and it is told that something is missing. */
        need(web_open(&web));
        web_get(&web, "/events", lines);
        need(web_wait(&web, "\"kind\":\"gap\"", HOUSE_WAIT_MS));
        expect_in(web.got, "\"restarted\":true");
        web_close(&web);
        house_close(&house);
}

static void one_peer_has_no_more_connections_than_one_may_have(void) {
        struct web crowd[CROWD], one_more;
        struct house house;

        house_open(&house, HOUSE_CONF "[HTTP]\nMaxConnectionsPerPeer=24\nMaxConnections=30\n",
                   NULL);
        for (int i = 0; i < CROWD; i++) {
                need(web_open(&crowd[i]));
                web_get(&crowd[i], "/events", "");
                need(web_wait(&crowd[i], "retry:", HOUSE_WAIT_MS));
        }
        need(web_open(&one_more));
        web_finish(&one_more);
        expect_int(web_status(&one_more), 429);
        expect_in(one_more.got, "MaxConnectionsPerPeer=");
        web_close(&one_more);
        /* Everybody is told what happens, and there is room when one has left. */
        run_one("first");
        for (int i = 0; i < CROWD; i++)
                expect(web_wait(&crowd[i], "vm_shutdown", HOUSE_WAIT_MS));
        for (int i = 0; i < CROWD; i++)
                web_close(&crowd[i]);
        run_one("second");
        for (uint64_t until = now_ms() + HOUSE_WAIT_MS;;) {
                need(now_ms() < until);
                need(web_open(&one_more));
                web_get(&one_more, "/healthz", "");
                web_finish(&one_more);
                if (web_status(&one_more) == 200)
                        break;
                web_close(&one_more);
        }
        web_close(&one_more);
        house_close(&house);
}

static void who_says_too_much_or_nonsense_is_answered_and_put_out(void) {
        static char long_path[40000], many[60000];
        struct house house;
        struct web web;
        uint64_t before;
        size_t n = 0;

        house_open(&house, NULL, NULL);
        before = rss_kib(house.broker);
        memset(long_path, 'a', sizeof(long_path) - 1);
        memcpy(long_path, "GET /", 5);
        need(web_open(&web));
        (void)web_say(&web, long_path);
        (void)web_say(&web, " HTTP/1.1\r\nHost: localhost\r\n\r\n");
        web_finish(&web);
        expect_int(web_status(&web), 414);
        web_close(&web);

        n = (size_t)snprintf(many, sizeof(many), "GET /healthz HTTP/1.1\r\nHost: localhost\r\n");
        while (n < sizeof(many) - 64)
                n += (size_t)snprintf(many + n, sizeof(many) - n, "X-%zu: y\r\n", n);
        snprintf(many + n, sizeof(many) - n, "\r\n");
        need(web_open(&web));
        (void)web_say(&web, many);
        web_finish(&web);
        expect_int(web_status(&web), 431);
        web_close(&web);

        for (const char *const *text =
                     (const char *const[]){"\r\n\r\n\r\n", "HELO there\r\n\r\n", "GET\r\n\r\n",
                                           "\x16\x03\x01\x02", "GET / HTTP/9.9\r\n\r\n", NULL};
             *text; text++) {
                need(web_open(&web));
                need(web_say(&web, *text));
                shutdown(web.fd, SHUT_WR);
                web_finish(&web);
                expect(web_status(&web) != 200);
                web_close(&web);
        }
        /* One answer for a connection, however much is asked in a row. */
        need(web_open(&web));
        need(web_say(&web, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
                           "GET /resources HTTP/1.1\r\nHost: a\r\n\r\n"));
        web_finish(&web);
        expect_str(web_body(&web), "ok\n");
        web_close(&web);
        free(web_fetch("/healthz", 200));
        expect_within(rss_kib(house.broker), 0, before + 4096);
        house_close(&house);
}

static void half_a_request_is_cut_off_while_others_are_served(void) {
        struct web silent, half;
        struct house house;
        uint64_t since;

        house_open(&house, NULL, NULL);
        need(web_open(&silent));
        need(web_open(&half));
        since = now_ms();
        need(web_say(&half, "GET /healthz HTTP/1.1\r\nHost: "));
        /* A byte now and then does not keep it. */
        while (now_ms() - since < HOUSE_WAIT_MS && web_say(&half, "x")) {
                free(web_fetch("/healthz", 200));
                if (web_wait(&half, "never", 500) || half.closed)
                        break;
        }
        expect_that(half.closed, "half a request is not cut off");
        web_finish(&silent);
        web_close(&half);
        web_close(&silent);
        house_close(&house);
}

UNIT_MAIN(TEST(a_stream_tells_what_happens_and_goes_on_where_it_was_cut),
          TEST(a_kind_is_picked_and_a_gap_is_told_to_who_comes_from_another_boot),
          TEST(an_upgrade_refuses_nobody_and_streams_go_on_by_number),
          TEST(a_killed_broker_leaves_a_path_that_the_next_one_takes),
          TEST(one_peer_has_no_more_connections_than_one_may_have),
          TEST(who_says_too_much_or_nonsense_is_answered_and_put_out),
          TEST(half_a_request_is_cut_off_while_others_are_served))
