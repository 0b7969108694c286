/* SPDX-License-Identifier: MIT */
/*
 * The table of events, and what is written from it by hand: the interface's text, the manual, and
 * the places of the broker that tell events.
 */
#include <base/macro.h>
#include <base/why.h>
#include <glob.h>
#include <proto/event.h>
#include <proto/request.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

static char *read_file(const char *path) {
        FILE *file = fopen(path, "r");
        char *text = calloc(1, 1 << 20);

        need(file != NULL && text != NULL);
        need(fread(text, 1, (1 << 20) - 1, file) > 0);
        fclose(file);
        return text;
}

static char *read_source(const char *name) {
        char path[1024];

        snprintf(path, sizeof(path), "%s/%s", getenv("PROVIUM_SOURCE") ?: ".", name);
        return read_file(path);
}

static void every_kind_is_complete_and_unlike_all_others(void) {
        for (const struct event_kind *kind = event_kinds; kind->name; kind++) {
                bool optional = true;

                expect(event_kind_find(kind->name) == kind);
                expect(strlen(kind->help) > 0);
                expect(kind->level >= 3 && kind->level <= 6);
                if (kind->message_id) {
                        expect_uint(strlen(kind->message_id), 32);
                        expect_uint(strspn(kind->message_id, "0123456789abcdef"), 32);
                }
                for (const struct event_kind *other = event_kinds; other < kind; other++)
                        expect(strcmp(other->name, kind->name) != 0 &&
                               (!kind->message_id || !other->message_id ||
                                strcmp(kind->message_id, other->message_id) != 0));
                for (size_t i = 0; kind->members[i].name; i++)
                        optional = optional && kind->members[i].optional;
                expect(!optional);
                expect(!kind->members[EVENT_MEMBERS_MAX].name);
        }
        expect(event_kind_find("vm") == NULL);
}

static void a_list_of_kinds_is_a_set(void) {
        uint64_t kinds = 0;
        struct why why;

        expect_int(event_kinds_parse("vm_oom,gap", &kinds, &why), 0);
        expect(kinds == (event_kind_bit(event_kind_find("vm_oom")) |
                         event_kind_bit(event_kind_find("gap"))));
        expect_int(event_kinds_parse("drain", &kinds, &why), 0);
        expect(kinds & event_kind_bit(event_kind_find("drain")));
        expect_int(event_kinds_parse("drain,all", &kinds, &why), 0);
        expect(kinds == EVENT_KINDS_ALL);
}

static void an_unknown_kind_is_answered_with_those_that_there_are(void) {
        static const char *const bad[] = {"",      ",",       "vm_oom,", ",vm_oom",
                                          "vm_oo", "vm_ooms", "VM_OOM",  "vm_oom drain"};
        uint64_t kinds = 5;
        struct why why;

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                expect_int(event_kinds_parse(bad[i], &kinds, &why), 1);
                expect_uint(kinds, 5);
        }
        for (const struct event_kind *kind = event_kinds; kind->name; kind++)
                expect_in(why.text, kind->name);
}

static const char *type_name(enum event_type type) {
        switch (type) {
        case EVENT_NUMBER:
                return "int";
        case EVENT_BOOL:
                return "bool";
        case EVENT_TEXT:
                return "string";
        case EVENT_DEMAND:
                return "Demand";
        case EVENT_END:
                break;
        }
        return "?";
}

/* "#   KIND[, KIND]: member: type, member: ?type" */
static void the_interface_says_what_the_table_says(void) {
        for (const struct event_kind *kind = event_kinds; kind->name; kind++) {
                const char *line = proto_interface_description, *end = "";
                char members[512] = "";
                size_t used = 0;

                for (const struct event_member *member = kind->members; member->name; member++)
                        used += (size_t)snprintf(members + used, sizeof(members) - used,
                                                 "%s%s: %s%s", used ? ", " : "", member->name,
                                                 member->optional ? "?" : "",
                                                 type_name(member->type));
                while ((line = strstr(line, "\n#   "))) {
                        char text[512];

                        line += strlen("\n#   ");
                        end = strchr(line, '\n');
                        snprintf(text, sizeof(text), "%.*s", (int)(end - line), line);
                        if (strncmp(text, kind->name, strlen(kind->name)) == 0 ||
                            (strstr(text, kind->name) &&
                             strstr(text, kind->name) < strchr(text, ':')))
                                break;
                }
                need_that(line != NULL, "the interface tells of %s", kind->name);
                need_that(strncmp(end - strlen(members), members, strlen(members)) == 0,
                          "the interface says of %s: %s", kind->name, members);
        }
}

/* ".BR KIND " (member, [optional])", and below it what it means. */
static void the_manual_says_what_the_table_says(void) {
        char *manual = read_source("docs/man/provium.1");

        for (const struct event_kind *kind = event_kinds; kind->name; kind++) {
                char entry[1024];
                size_t used;

                used = (size_t)snprintf(entry, sizeof(entry), ".BR %s \" (", kind->name);
                for (const struct event_member *member = kind->members; member->name; member++)
                        used += (size_t)snprintf(entry + used, sizeof(entry) - used,
                                                 member->optional ? "%s[%s]" : "%s%s",
                                                 member == kind->members ? "" : ", ", member->name);
                snprintf(entry + used, sizeof(entry) - used, ")\"\n%s.\n", kind->help);
                need_that(strstr(manual, entry) != NULL, "provium(1) has this: %s", entry);
        }
        free(manual);
}

/* Each kind that a source names where it adds an event stands in the table. */
static void the_broker_tells_no_kind_that_is_not_in_the_table(void) {
        char pattern[1024];
        unsigned n = 0;
        glob_t files;

        snprintf(pattern, sizeof(pattern), "%s/broker/*.c", getenv("PROVIUM_SOURCE") ?: ".");
        need_int(glob(pattern, 0, NULL, &files), 0);
        for (size_t i = 0; i < files.gl_pathc; i++) {
                char *text = read_file(files.gl_pathv[i]);

                for (const char *at = text; (at = strpbrk(at, "_")); at++) {
                        const char *quote = strchr(at, '"'), *end = strchr(at, ';');
                        char name[64];

                        if (strncmp(at, "_event(", 7) != 0 &&
                            strncmp(at, "_event_fields(", 14) != 0 && strncmp(at, "_add(&", 6) != 0)
                                continue;
                        if (!quote || !end || quote > end || quote - at > 120)
                                continue;
                        snprintf(name, sizeof(name), "%.*s", (int)strcspn(quote + 1, "\""),
                                 quote + 1);
                        expect_that(event_kind_find(name) != NULL, "%s: '%s' is in the table",
                                    files.gl_pathv[i], name);
                        n++;
                }
                free(text);
        }
        globfree(&files);
        expect(n >= 14);
}

UNIT_MAIN(TEST(every_kind_is_complete_and_unlike_all_others), TEST(a_list_of_kinds_is_a_set),
          TEST(an_unknown_kind_is_answered_with_those_that_there_are),
          TEST(the_interface_says_what_the_table_says), TEST(the_manual_says_what_the_table_says),
          TEST(the_broker_tells_no_kind_that_is_not_in_the_table), )
