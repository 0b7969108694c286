/* SPDX-License-Identifier: MIT */
#include <broker/journal.h>
#include <endian.h>
#include <proto/event.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

/* The value of @name in an entry of @length bytes into @value; false: there is none. *np: fields.
 */
static bool find(const char *entry, size_t length, const char *name, char value[4096],
                 unsigned *np) {
        const char *at = entry, *end = entry + length;
        bool found = false;

        *np = 0;
        while (at < end) {
                const char *newline = memchr(at, '\n', (size_t)(end - at));
                uint64_t size;

                need(newline && (size_t)(end - newline) > sizeof(size) + 1);
                memcpy(&size, newline + 1, sizeof(size));
                size = le64toh(size);
                need((size_t)(end - newline) - sizeof(size) - 1 > size && size < 4096);
                for (const char *c = at; c < newline; c++)
                        expect((*c >= 'A' && *c <= 'Z') || *c == '_' || (*c >= '0' && *c <= '9'));
                if (strlen(name) == (size_t)(newline - at) && memcmp(name, at, strlen(name)) == 0) {
                        expect(!found);
                        found = true;
                        memcpy(value, newline + 1 + sizeof(size), size);
                        value[size] = '\0';
                }
                at = newline + 1 + sizeof(size) + size;
                need(*at == '\n');
                at++;
                ++*np;
        }
        return found;
}

static void expect_field(const char *entry, size_t length, const char *name, const char *wanted) {
        char value[4096] = "";
        unsigned n;

        expect_that(find(entry, length, name, value, &n), "there is %s", name);
        expect_str(value, wanted);
}

static size_t format(const char *json, char *entry) {
        json_t *event = json_loads(json, 0, NULL);
        size_t length;

        need(event != NULL);
        length = journal_format(event, entry);
        json_decref(event);
        return length;
}

static void an_event_is_an_entry_with_all_its_fields(void) {
        static const char json[] =
                "{\"seq\":7,\"ts_ns\":1,\"kind\":\"claim_released\",\"id\":\"abc\",\"name\":"
                "\"web\","
                "\"slice\":\"ci/"
                "nightly\",\"uid\":1000,\"reason\":\"exit\",\"charge\":{\"cpu\":1500,"
                "\"memory\":1024}}";
        char entry[JOURNAL_ENTRY_MAX], value[4096];
        size_t length = format(json, entry);
        unsigned n;

        expect_field(entry, length, "MESSAGE", "claim_released web: reason=exit");
        expect_field(entry, length, "PRIORITY", "6");
        expect_field(entry, length, "SYSLOG_IDENTIFIER", "provium-broker");
        expect_field(entry, length, "MESSAGE_ID", event_kind_find("claim_released")->message_id);
        expect_field(entry, length, "PROVIUM_KIND", "claim_released");
        expect_field(entry, length, "PROVIUM_SEQ", "7");
        expect_field(entry, length, "PROVIUM_VM", "web");
        expect_field(entry, length, "PROVIUM_ID", "abc");
        expect_field(entry, length, "PROVIUM_SLICE", "ci/nightly");
        expect_field(entry, length, "PROVIUM_UID", "1000");
        expect_field(entry, length, "PROVIUM_REASON", "exit");
        expect_field(entry, length, "PROVIUM_CHARGE_CPU", "1500");
        expect_field(entry, length, "PROVIUM_CHARGE_MEMORY", "1024");
        expect(!find(entry, length, "PROVIUM_TS_NS", value, &n));
        expect_uint(n, 13);
}

static void what_is_no_vms_has_the_fields_of_whom_it_concerns(void) {
        static const char json[] =
                "{\"seq\":7,\"ts_ns\":1,\"kind\":\"drift\",\"vm\":\"web\",\"detail\":\"cpu.max was "
                "changed\",\"repaired\":true}";
        char entry[JOURNAL_ENTRY_MAX];
        size_t length = format(json, entry);

        expect_field(entry, length, "MESSAGE",
                     "drift: vm=web detail=cpu.max was changed repaired=yes");
        expect_field(entry, length, "PRIORITY", "4");
        expect_field(entry, length, "PROVIUM_VM", "web");
        expect_field(entry, length, "PROVIUM_REPAIRED", "yes");
}

static void nothing_in_a_value_is_taken_for_a_field(void) {
        static const char json[] =
                "{\"seq\":7,\"kind\":\"vm_seccomp\",\"id\":\"a\",\"name\":\"x\\nPRIORITY=0\\n\","
                "\"slice\":\"s\",\"uid\":0,\"syscall\":\"a\\n_UID=0\\nMESSAGE\\n\\u0001\","
                "\"a=b\\n_PID\":\"1\",\"UPPER\":\"1\",\"\":\"1\"}";
        char entry[JOURNAL_ENTRY_MAX], value[4096];
        size_t length = format(json, entry);
        unsigned n;

        expect_field(entry, length, "PRIORITY", "4");
        expect_field(entry, length, "PROVIUM_VM", "x\nPRIORITY=0\n");
        expect_field(entry, length, "PROVIUM_SYSCALL", "a\n_UID=0\nMESSAGE\n\x01");
        expect(!find(entry, length, "_UID", value, &n));
        expect(!find(entry, length, "_PID", value, &n));
        expect_uint(n, 12);
}

static void an_entry_has_its_bound(void) {
        json_t *event = json_pack("{si ss}", "seq", 1, "kind", "drift");
        char entry[JOURNAL_ENTRY_MAX], value[4096], text[3000], key[32];
        size_t length;
        unsigned n;

        memset(text, 'x', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        for (int i = 0; i < 100; i++) {
                snprintf(key, sizeof(key), "key%d", i);
                json_object_set_new(event, key, json_string(text));
        }
        length = journal_format(event, entry);
        expect(length > 0 && length <= sizeof(entry));
        expect(find(entry, length, "MESSAGE", value, &n));
        expect(find(entry, length, "PROVIUM_KEY0", value, &n));
        json_decref(event);
}

static void what_comes_every_second_and_what_is_unknown_do_not_go_there(void) {
        char entry[JOURNAL_ENTRY_MAX];

        expect_uint(format("{\"seq\":1,\"kind\":\"pool_state\",\"vms\":1}", entry), 0);
        expect_uint(format("{\"seq\":1,\"kind\":\"of_tomorrow\"}", entry), 0);
        expect_uint(format("{\"seq\":1}", entry), 0);
        expect_uint(format("{\"seq\":1,\"kind\":5}", entry), 0);
}

UNIT_MAIN(TEST(an_event_is_an_entry_with_all_its_fields),
          TEST(what_is_no_vms_has_the_fields_of_whom_it_concerns),
          TEST(nothing_in_a_value_is_taken_for_a_field), TEST(an_entry_has_its_bound),
          TEST(what_comes_every_second_and_what_is_unknown_do_not_go_there), )
