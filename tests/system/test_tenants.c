/* SPDX-License-Identifier: MIT */
/* rig: --mem 512M --timeout 120 --beside */
/*
 * Two users of one host, each with a slice of its own: neither sees, touches or imitates the
 * other, and whoever tries is in the log. Root, who may do all of it, only looks on.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tenants.h"

/* The reply to one call of @uid's. */
static json_t *ask_by(uid_t uid, const char *method, json_t *parameters) {
        struct line line;
        json_t *reply;

        line_open_as(&line, uid);
        line_call(&line, method, parameters, false, NULL, 0);
        reply = line_reply(&line, HOUSE_WAIT_MS, NULL);
        line_close(&line);
        need_that(reply != NULL, "%s of user %u is answered", method, uid);
        return reply;
}

static unsigned count_in_log(const char *text) {
        char *log = house_log();
        unsigned n = 0;

        for (const char *at = log; (at = strstr(at, text)); at++)
                n++;
        free(log);
        return n;
}

/* Lines of the log that say that @uid, by this process, was denied something. */
static unsigned count_denials(uid_t uid) {
        char text[64];

        snprintf(text, sizeof(text), "uid %u, pid %d: denied: ", uid, getpid());
        return count_in_log(text);
}

/* @uid asks with @parameters and gets @word; one line of the log says so. */
static void expect_denied(uid_t uid, const char *method, json_t *parameters, const char *word) {
        unsigned before = count_denials(uid);
        json_t *reply = ask_by(uid, method, parameters);

        expect_that(strcmp(reply_word(reply) ?: "an answer", word) == 0, "%s by %u: %s, not %s",
                    method, uid, reply_word(reply), word);
        expect_that(count_denials(uid) == before + 1, "%s by %u is logged: %u lines", method, uid,
                    count_denials(uid) - before);
        json_decref(reply);
}

static void expect_run_denied(uid_t uid, json_t *parameters, const char *word) {
        unsigned before = count_denials(uid);
        struct line line;
        json_t *reply;

        line_open_as(&line, uid);
        line_run(&line, parameters);
        reply = line_reply(&line, HOUSE_WAIT_MS, NULL);
        expect_str(reply_word(reply), word);
        expect_int(count_denials(uid), before + 1);
        json_decref(reply);
        line_close(&line);
}

static size_t listed(uid_t uid, const char *method, const char *group, const char *list) {
        json_t *reply = ask_by(uid, method, NULL);
        const json_t *from = json_object_get(reply, "parameters");
        size_t n;

        if (group)
                from = json_object_get(from, group);
        n = json_array_size(json_object_get(from, list));
        json_decref(reply);
        return n;
}

static void nobody_touches_what_another_user_has_and_whoever_tries_is_logged(void) {
        json_t *vm, *waiting, *reply;
        struct line mine, queued;
        struct house house;
        char *before, *after;
        const char *id;

        tenants_open(&house);
        vm = run_by(&mine, OWNER, claim("a", "mine", 3000, "rest", NULL), "started");
        waiting = run_by(&queued, OWNER, claim("a", "later", 3000, "rest", NULL), "queued");
        before = ledger_text();
        id = reply_text(vm, "id");
        expect_denied(NEIGHBOUR, "Show", json_pack("{s:s}", "vm", id), "NotFound");
        expect_denied(NEIGHBOUR, "Explain", json_pack("{s:s}", "vm", id), "NotFound");
        expect_denied(NEIGHBOUR, "Kill", json_pack("{s:s s:i}", "vm", id, "grace_usec", 0),
                      "NotFound");
        expect_denied(NEIGHBOUR, "Signal", json_pack("{s:s s:i}", "vm", id, "signal", SIGKILL),
                      "NotFound");
        expect_denied(NEIGHBOUR, "Resize",
                      json_pack("{s:s s:{s:i}}", "vm", "mine", "claim", "cpu", 100), "NotFound");
        expect_denied(NEIGHBOUR, "Attach",
                      json_pack("{s:s s:s}", "vm", "mine", "ticket", reply_text(vm, "ticket")),
                      "NotFound");
        /* Nor a claim that waits. */
        expect_denied(NEIGHBOUR, "Explain", json_pack("{s:s}", "vm", "later"), "NotFound");
        expect_denied(NEIGHBOUR, "Kill", json_pack("{s:s}", "vm", reply_text(waiting, "ticket_id")),
                      "NotFound");
        after = ledger_text();
        expect_str(after, before);
        reply = ask_by(OWNER, "Show", json_pack("{s:s}", "vm", "mine"));
        expect(!json_object_get(reply, "error"));
        json_decref(reply);
        expect_int(count_vms(), 1);
        expect_int(count_waiting(), 1);
        /* It looks the same as what is not there, but that is nobody's, and not logged. */
        expect_int(count_denials(NEIGHBOUR), 8);
        json_decref(ask_by(NEIGHBOUR, "Show", json_pack("{s:s}", "vm", "nothing")));
        json_decref(ask_by(OWNER, "Show", json_pack("{s:s}", "vm", "mine")));
        expect_int(count_denials(NEIGHBOUR), 8);
        expect_int(count_denials(OWNER), 0);
        free(before);
        free(after);
        json_decref(vm);
        json_decref(waiting);
        line_close(&queued);
        line_close(&mine);
        house_close(&house);
}

/* All events that @uid is given: those kept now. */
static bool is_told_of(uid_t uid, const char *text) {
        json_t *reply = ask_by(uid, "Events", json_pack("{s:i}", "since", 0));
        char *events = json_dumps(reply, 0);
        bool told = strstr(events, text);

        free(events);
        json_decref(reply);
        return told;
}

static void nobody_sees_what_another_user_has(void) {
        struct line mine, queued, reader, own;
        struct house house;
        json_t *reply;
        char *text;

        tenants_open(&house);
        line_open_as(&reader, NEIGHBOUR);
        line_call(&reader, "Events", NULL, true, NULL, 0);
        json_decref(line_reply(&reader, HOUSE_WAIT_MS, NULL));
        json_decref(run_by(&mine, OWNER, claim("a", "mine", 3000, "rest", NULL), "started"));
        json_decref(run_by(&queued, OWNER, claim("a", "later", 3000, "rest", NULL), "queued"));
        expect_uint(listed(OWNER, "List", NULL, "vms"), 1);
        expect_uint(listed(OWNER, "List", NULL, "waiting"), 1);
        expect_uint(listed(OWNER, "Resources", "resources", "allocations"), 1);
        expect_uint(listed(NEIGHBOUR, "List", NULL, "vms"), 0);
        expect_uint(listed(NEIGHBOUR, "List", NULL, "waiting"), 0);
        expect_uint(listed(NEIGHBOUR, "Resources", "resources", "allocations"), 0);
        expect(is_told_of(OWNER, "mine") && is_told_of(OWNER, "later"));
        expect(!is_told_of(NEIGHBOUR, "mine") && !is_told_of(NEIGHBOUR, "later"));
        /* Who listens hears of its own VM first, whatever happened before. */
        json_decref(run_by(&own, NEIGHBOUR, claim("b", "own", 100, "rest", NULL), "started"));
        do {
                reply = line_reply(&reader, HOUSE_WAIT_MS, NULL);
                need(reply != NULL);
                text = json_dumps(reply, 0);
                expect_that(!strstr(text, "mine") && !strstr(text, "later"), "%s", text);
                json_decref(reply);
                if (strstr(text, "vm_spawned"))
                        break;
                free(text);
        } while (true);
        expect_in(text, "own");
        free(text);
        expect_uint(listed(NEIGHBOUR, "List", NULL, "vms"), 1);
        line_close(&own);
        line_close(&reader);
        line_close(&queued);
        line_close(&mine);
        house_close(&house);
}

static void nobody_uses_anothers_slice_and_whoever_tries_is_logged(void) {
        struct house house;
        struct line line;
        char *before, *after;
        json_t *dry;

        tenants_open(&house);
        before = ledger_text();
        expect_run_denied(NEIGHBOUR, claim("a", NULL, 100, "rest", NULL), "Denied");
        expect_run_denied(OWNER, claim("b", NULL, 100, "rest", NULL), "Denied");
        dry = claim("a", NULL, 100, "rest", NULL);
        json_object_set_new(dry, "dry_run", json_true());
        expect_run_denied(NEIGHBOUR, dry, "Denied");
        after = ledger_text();
        expect_str(after, before);
        json_decref(run_by(&line, NEIGHBOUR, claim("b", NULL, 100, "exit", NULL), "exited"));
        line_close(&line);
        free(before);
        free(after);
        house_close(&house);
}

static void a_name_leads_to_nobody_elses_vm(void) {
        struct line mine, taken, other;
        struct house house;
        json_t *vm, *reply;

        tenants_open(&house);
        vm = run_by(&mine, OWNER, claim("a", "mine", 100, "rest", NULL), "started");
        /* One that is used, and one that is the id of another's: what it would lead to is told to
         * nobody. */
        expect_run_denied(NEIGHBOUR, claim("b", "mine", 100, "rest", NULL), "Exists");
        expect_run_denied(NEIGHBOUR, claim("b", reply_text(vm, "id"), 100, "rest", NULL), "Exists");
        line_open_as(&taken, NEIGHBOUR);
        line_run(&taken, claim("b", "mine", 100, "rest", NULL));
        reply = line_reply(&taken, HOUSE_WAIT_MS, NULL);
        expect(!strstr(reply_text(reply, "message") ?: "running", "running"));
        json_decref(reply);
        line_close(&taken);
        /* Who comes first to a name that the other always has keeps it from them, and no more. */
        json_decref(run_by(&taken, NEIGHBOUR, claim("b", "web", 100, "rest", NULL), "started"));
        expect_run_denied(OWNER, claim("a", "web", 100, "rest", NULL), "Exists");
        expect_denied(OWNER, "Kill", json_pack("{s:s s:i}", "vm", "web", "grace_usec", 0),
                      "NotFound");
        json_decref(run_by(&other, OWNER, claim("a", NULL, 100, "exit", NULL), "exited"));
        line_close(&other);
        expect_int(count_vms(), 2);
        reply = ask_by(OWNER, "Kill",
                       json_pack("{s:s s:i}", "vm", reply_text(vm, "id"), "grace_usec", 0));
        expect(!json_object_get(reply, "error"));
        json_decref(reply);
        expect_int(count_vms(), 1);
        json_decref(vm);
        line_close(&taken);
        line_close(&mine);
        house_close(&house);
}

/* Whose claim is the first of all that wait: its id. */
static const char *first_waiting(void) {
        static char id[64];
        json_t *reply = ask("List", NULL);
        const json_t *waiting = json_object_get(json_object_get(reply, "parameters"), "waiting");

        snprintf(id, sizeof(id), "%s",
                 json_string_value(json_object_get(json_array_get(waiting, 0), "ticket_id")) ?: "");
        json_decref(reply);
        return id;
}

static void a_ticket_leads_nobody_else_to_a_vm_or_a_place(void) {
        struct line mine, queued, thief, again;
        json_t *vm, *waiting, *reply;
        struct house house;

        tenants_open(&house);
        vm = run_by(&mine, OWNER, claim("a", NULL, 3000, "rest", NULL), "started");
        waiting = run_by(&queued, OWNER, claim("a", NULL, 3000, "rest", NULL), "queued");
        house_kill(&house);
        house_start(&house);
        line_close(&mine);
        line_close(&queued);
        /* To a VM that nobody follows just now: the thief gets one of its own. */
        reply = run_by(&thief, NEIGHBOUR, claim("b", NULL, 100, "rest", reply_text(vm, "ticket")),
                       "started");
        expect(strcmp(reply_text(reply, "id"), reply_text(vm, "id")) != 0);
        expect(reply_number(reply, "pid") != reply_number(vm, "pid"));
        json_decref(reply);
        line_close(&thief);
        /* To a place: it comes after whoever has that. */
        reply = run_by(&thief, NEIGHBOUR,
                       claim("b", NULL, 3000, "rest", reply_text(waiting, "ticket")), "queued");
        expect(strcmp(reply_text(reply, "ticket_id"), reply_text(waiting, "ticket_id")) != 0);
        json_decref(reply);
        reply = run_by(&queued, OWNER,
                       claim("a", NULL, 3000, "rest", reply_text(waiting, "ticket")), "queued");
        expect_str(reply_text(reply, "ticket_id"), reply_text(waiting, "ticket_id"));
        json_decref(reply);
        expect_str(first_waiting(), reply_text(waiting, "ticket_id"));
        reply = run_by(&again, OWNER, claim("a", NULL, 3000, "rest", reply_text(vm, "ticket")),
                       "started");
        expect_str(reply_text(reply, "id"), reply_text(vm, "id"));
        json_decref(reply);
        json_decref(vm);
        json_decref(waiting);
        line_close(&thief);
        line_close(&queued);
        line_close(&again);
        house_close(&house);
}

UNIT_MAIN(TEST(nobody_touches_what_another_user_has_and_whoever_tries_is_logged),
          TEST(nobody_sees_what_another_user_has),
          TEST(nobody_uses_anothers_slice_and_whoever_tries_is_logged),
          TEST(a_name_leads_to_nobody_elses_vm),
          TEST(a_ticket_leads_nobody_else_to_a_vm_or_a_place), )
