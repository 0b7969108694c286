/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"
#include "unit.h"

static json_int_t since_of(const struct peer *peer) {
        json_t *since = json_object_get(peer->call.parameters, "since");

        return since ? json_integer_value(since) : -1;
}

static void reply_event(struct peer *peer, int seq, const char *kind, bool continues) {
        peer_reply(peer,
                   json_pack("{s[{si si ss ss}] si}", "events", "seq", seq, "ts_ns", 1500000000,
                             "kind", kind, "name", "web", "next", seq + 1),
                   continues);
}

static void events_are_lines(void) {
        struct peer peer = PEER_NULL;
        struct fake fake;

        fake_init(&fake);
        fake_start(&fake, "events", "--follow", "--since", "7", NULL);
        peer_expect(&fake, &peer, "Events");
        expect(peer.call.more);
        expect_int(since_of(&peer), 7);
        peer_reply(&peer,
                   json_pack("{s[{si si ss ss ss s{si si si}}]}", "events", "seq", 8, "ts_ns",
                             1500000000, "kind", "vm_oom", "name", "web", "text", "two words",
                             "charge", "cpu", 1500, "memory", 1 << 29, "gpu", 0),
                   true);
        peer_reply(&peer,
                   json_pack("{s[{ss si si}]}", "events", "kind", "gap", "from", 9, "to", 20),
                   false);
        expect_int(fake_wait(&fake), 0);
        expect_str(fake.output, "1.500s        vm_oom           web          text=\"two words\" "
                                "charge=cpu:1.5,memory:512M\n"
                                "-             gap              -            from=9 to=20\n");
        peer_deinit(&peer);
        fake_deinit(&fake);
}

static void what_a_vm_is_called_does_no_harm(void) {
        struct fake fake;

        fake_init(&fake);
        expect_int(fake_answer(&fake, "Events", NULL,
                               json_pack("{s[{ss ss ss ss}]}", "events", "kind", "vm\033[2J",
                                         "name", "a\nb\033]0;x\a", "\033k", "v", "text", "\r\033c"),
                               "events", NULL),
                   0);
        for (const char *at = fake.output; *at; at++)
                expect((*at >= ' ' && *at <= '~') || (*at == '\n' && !at[1]));
        fake_deinit(&fake);
}

static void a_line_with_the_date_stands_before_each_day(void) {
        struct fake fake;
        json_t *list = json_array();

        setenv("TZ", "UTC", 1);
        for (json_int_t i = 0; i < 4; i++)
                json_array_append_new(list, json_pack("{sI ss}", "ts_ns",
                                                      (1700000000 + i / 2 * 86400) * 1000000000LL,
                                                      "kind", "drain"));
        fake_init(&fake);
        expect_int(fake_answer(&fake, "Events", NULL, json_pack("{so}", "events", list), "events",
                               NULL),
                   0);
        expect_str(fake.output, "-- Tuesday, 2023-11-14\n"
                                "22:13:20.000  drain            -           \n"
                                "22:13:20.000  drain            -           \n"
                                "-- Wednesday, 2023-11-15\n"
                                "22:13:20.000  drain            -           \n"
                                "22:13:20.000  drain            -           \n");
        fake_deinit(&fake);
}

static void expect_kinds(const struct peer *peer, const char *wanted) {
        json_t *kinds = json_object_get(peer->call.parameters, "kinds");
        char *text = kinds ? json_dumps(kinds, JSON_COMPACT) : strdup("(all)");

        expect_str(text, wanted);
        free(text);
}

static void kinds_are_the_brokers_to_choose_from(void) {
        struct peer peer = PEER_NULL;
        struct fake fake;

        fake_init(&fake);
        fake_start(&fake, "events", "--kind", "vm_oom,drain", "--kind", "vm_spawned", NULL);
        peer_expect(&fake, &peer, "Events");
        expect_kinds(&peer, "[\"vm_spawned\",\"vm_oom\",\"drain\",\"gap\"]");
        peer_reply(&peer, json_pack("{s[]}", "events"), false);
        expect_int(fake_wait(&fake), 0);
        peer_deinit(&peer);

        /* What comes every second is for programs. */
        fake_start(&fake, "events", "--json", NULL);
        peer_expect(&fake, &peer, "Events");
        expect_kinds(&peer, "(all)");
        peer_reply(&peer, json_pack("{s[]}", "events"), false);
        expect_int(fake_wait(&fake), 0);
        peer_deinit(&peer);
        fake_start(&fake, "events", NULL);
        peer_expect(&fake, &peer, "Events");
        need(json_is_array(json_object_get(peer.call.parameters, "kinds")));
        for (size_t i = 0; i < json_array_size(json_object_get(peer.call.parameters, "kinds")); i++)
                expect(strcmp(json_string_value(json_array_get(
                                      json_object_get(peer.call.parameters, "kinds"), i)),
                              "pool_state") != 0);
        peer_reply(&peer, json_pack("{s[]}", "events"), false);
        expect_int(fake_wait(&fake), 0);
        peer_deinit(&peer);

        fake_start(&fake, "events", "--kind", "vm_oom,vm_boom", NULL);
        expect_int(fake_wait(&fake), 64);
        expect_in(fake.errors, "no kind of event is called 'vm_boom'; there are claim_queued, ");
        fake_deinit(&fake);
}

static void whoever_follows_goes_on_with_the_next_broker(void) {
        struct peer peer = PEER_NULL;
        struct fake fake;

        fake_init(&fake);
        fake_start(&fake, "events", "--follow", NULL);
        peer_expect(&fake, &peer, "Events");
        expect_int(since_of(&peer), -1);
        peer_reply(&peer, json_pack("{s[] si}", "events", "next", 40), true);
        /* Nothing has come yet, and still it knows where it was. */
        fake_leave(&fake);
        peer_deinit(&peer);
        fake_return(&fake);
        peer_expect(&fake, &peer, "Events");
        expect_int(since_of(&peer), 40);
        reply_event(&peer, 40, "vm_spawned", true);
        peer_reply(&peer, json_pack("{s[] si}", "events", "next", 50), true);
        peer_deinit(&peer);
        peer_expect(&fake, &peer, "Events");
        expect_int(since_of(&peer), 50);
        reply_event(&peer, 99, "vm_shutdown", false);
        expect_int(fake_wait(&fake), 0);
        expect_in(fake.output, "vm_spawned ");
        expect_in(fake.output, "vm_shutdown ");
        expect_in(fake.errors, "provium: events: the broker has left (");
        expect_in(fake.errors, "the broker is there again; going on with event ");
        peer_deinit(&peer);
        fake_deinit(&fake);
}

static void whoever_does_not_follow_is_told_that_the_broker_left(void) {
        struct peer peer = PEER_NULL;
        struct fake fake;

        fake_init(&fake);
        fake_start(&fake, "events", NULL);
        peer_expect(&fake, &peer, "Events");
        peer_deinit(&peer);
        expect_int(fake_wait(&fake), 125);
        /* And who was never heard does not wait for ever. */
        fake_start(&fake, "events", "--follow", NULL);
        peer_expect(&fake, &peer, "Events");
        peer_deinit(&peer);
        expect_int(fake_wait(&fake), 125);
        fake_deinit(&fake);
}

static void what_is_saved_is_not_printed_but_with_json(void) {
        char path[128], text[512] = "";
        struct peer peer = PEER_NULL;
        struct fake fake;
        FILE *file;

        fake_init(&fake);
        snprintf(path, sizeof(path), "%s/events.json", fake.dir);
        for (int i = 0; i < 2; i++) {
                fake_start(&fake, "events", "--save-events", path, i ? "--json" : NULL, NULL);
                peer_expect(&fake, &peer, "Events");
                reply_event(&peer, i, "vm_oom", false);
                expect_int(fake_wait(&fake), 0);
                expect_str(fake.output, i ? "{\"seq\":1,\"ts_ns\":1500000000,\"kind\":\"vm_oom\","
                                            "\"name\":\"web\"}\n"
                                          : "");
                peer_deinit(&peer);
        }
        file = fopen(path, "re");
        need(file != NULL);
        (void)!fread(text, 1, sizeof(text) - 1, file);
        fclose(file);
        expect_str(text, "{\"seq\":0,\"ts_ns\":1500000000,\"kind\":\"vm_oom\",\"name\":\"web\"}\n"
                         "{\"seq\":1,\"ts_ns\":1500000000,\"kind\":\"vm_oom\",\"name\":\"web\"}\n");
        remove(path);
        fake_deinit(&fake);
}

static void a_file_that_cannot_be_written_is_told_before_anything_is_asked(void) {
        struct fake fake;

        fake_init(&fake);
        fake_start(&fake, "events", "--save-events", "/dev/full", NULL);
        expect_int(fake_wait(&fake), 74);
        expect_in(fake.errors, "'/dev/full' is no ordinary file");
        fake_start(&fake, "events", "--save-events", "/nowhere/events.json", NULL);
        expect_int(fake_wait(&fake), 74);
        expect_in(fake.errors, "cannot open '/nowhere/events.json': No such file");
        fake_deinit(&fake);
}

UNIT_MAIN(TEST(events_are_lines), TEST(what_a_vm_is_called_does_no_harm),
          TEST(a_line_with_the_date_stands_before_each_day),
          TEST(kinds_are_the_brokers_to_choose_from),
          TEST(whoever_follows_goes_on_with_the_next_broker),
          TEST(whoever_does_not_follow_is_told_that_the_broker_left),
          TEST(what_is_saved_is_not_printed_but_with_json),
          TEST(a_file_that_cannot_be_written_is_told_before_anything_is_asked), )
