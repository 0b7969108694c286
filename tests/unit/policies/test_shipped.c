/* SPDX-License-Identifier: MIT */

/*
 * The table of keys against what is made from it or written beside it: the files we ship, what
 * `policy show` prints, and the manual.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <base/fd.h>
#include <base/file.h>
#include <policies/keys.h>
#include <policies/value.h>

#include "tree.h"
#include "unit.h"

static char *read_shipped(const char *name) {
        const char *source = getenv("PROVIUM_SOURCE");
        _cleanup_(fd_closep) int dir = -1;
        char *text = malloc(65536);

        need_that(source != NULL, "PROVIUM_SOURCE is not set");
        dir = open(source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        need(dir >= 0);
        need_int(file_read_at(dir, name, text, 65536), 0);
        return text;
}

/* Removes the '#' before every "Key=" that is one. */
static void uncomment(char *text, enum policy_file file) {
        for (char *line = text; line; line = strchr(line, '\n')) {
                char name[64];

                line += *line == '\n';
                if (sscanf(line, "#%63[A-Za-z]=", name) != 1)
                        continue;
                for (size_t i = 0; i < KEYS_N; i++)
                        if (policy_keys[i].file == file && strcmp(policy_keys[i].name, name) == 0)
                                *line = ' ';
        }
}

/* Whether @text has "\n[Section]" and, before the next section, a line "#Key=" or "Key=". */
static bool has_key(const char *text, const struct key *key) {
        char section[80], line[80];
        const char *from, *end, *at;

        snprintf(section, sizeof(section), "\n[%s]\n", key->section);
        from = strstr(text, section);
        if (!from)
                return false;
        from += strlen(section) - 1;
        end = strstr(from, "\n[") ?: from + strlen(from);
        snprintf(line, sizeof(line), "\n#%s=", key->name);
        at = strstr(from, line);
        if (at && at < end)
                return true;
        snprintf(line, sizeof(line), "\n%s=", key->name);
        at = strstr(from, line);
        return at && at < end;
}

static void expect_complete(const char *name, enum policy_file file) {
        _cleanup_(freep) char *text = read_shipped(name);

        for (size_t i = 0; i < KEYS_N; i++)
                if (policy_keys[i].file == file)
                        expect_that(has_key(text, &policy_keys[i]), "%s has no [%s] %s=", name,
                                    policy_keys[i].section, policy_keys[i].name);
}

static void the_shipped_files_hold_every_key(void) {
        expect_complete("policies/etc/broker.conf", POLICY_FILE_BROKER);
        expect_complete("policies/etc/slices/default.slice", POLICY_FILE_SLICE);
}

static void the_shipped_files_say_the_defaults(void) {
        _cleanup_(freep) char *broker = read_shipped("policies/etc/broker.conf");
        _cleanup_(freep) char *slice = read_shipped("policies/etc/slices/default.slice");
        _cleanup_(freep) char *shown = NULL, *wanted = NULL;
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/slices/default.slice",
                 "[Sandbox]\nAllowRoot=yes\n[Access]\nUsers=root\n");
        need_int(tree_load(&tree), 0);
        wanted = policy_show(tree.policy, &tree.policy->slices[0]);

        uncomment(broker, POLICY_FILE_BROKER);
        uncomment(slice, POLICY_FILE_SLICE);
        tree_put(&tree, "etc/broker.conf", broker);
        tree_put(&tree, "etc/slices/default.slice", slice);
        need_that(tree_load(&tree) == 0, "%s", tree.text);
        shown = policy_show(tree.policy, &tree.policy->slices[0]);
        expect_str(shown, wanted);
        free(take(shown));
        free(take(wanted));

        shown = policy_show(tree.policy, NULL);
        tree_put(&tree, "etc/broker.conf", "");
        need_int(tree_load(&tree), 0);
        wanted = policy_show(tree.policy, NULL);
        expect_str(shown, wanted);
        tree_deinit(&tree);
}

static void the_shipped_set_is_valid_and_lets_nobody_in_by_default(void) {
        _cleanup_(freep) char *broker = read_shipped("policies/etc/broker.conf");
        _cleanup_(freep) char *standard = read_shipped("policies/etc/slices/default.slice");
        _cleanup_(freep) char *demo = read_shipped("policies/etc/slices/demo.slice");
        const struct slice_policy *slice;
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "lib/broker.conf", broker);
        tree_put(&tree, "lib/slices/default.slice", standard);
        tree_put(&tree, "lib/slices/demo.slice", demo);
        need_that(tree_load(&tree) == 0, "%s", tree.text);
        slice = policy_find_slice(tree.policy, "default");
        need(slice != NULL);
        expect_int(policy_check_access(slice, 1000, 1000, NULL, 0, NULL), POLICY_E_DENIED);
        expect_int(policy_check_access(slice, 0, 0, NULL, 0, NULL), 0);
        slice = policy_find_slice(tree.policy, "demo");
        need(slice != NULL);
        expect_int(policy_check_access(slice, 1000, 1000, NULL, 0, NULL), 0);
        expect_uint(slice->limit.amount[RESOURCE_CPU], 2000);
        expect_uint(slice->limit.amount[RESOURCE_MEMORY], 2ULL << 30);
        expect_uint(slice->vm_max.amount[RESOURCE_CPU], 1000);
        tree_deinit(&tree);
}

static void what_is_shown_can_be_loaded_and_shows_the_same(void) {
        static const char slice[] =
                "[Slice]\nDescription=x y\nMaxVMs=3\nCPU=1.234\nMemory=1234567\nNetwork=8.009kbps\n"
                "[Ratio]\nCPU=99\n[VM]\nGracePeriod=1.5s\nMemoryHigh=0.123\nMaxDiskIO=3MiB/s\n"
                "[Access]\nUsers=1 4294967294 root *\nGroups=0 54321\n";
        _cleanup_(freep) char *broker = NULL, *first = NULL, *second = NULL;
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/broker.conf",
                 "[Broker]\nGracePeriod=1234567us\nBestEffort=on\n[Capacity]\nMemory=1.5T\n"
                 "[Ratio]\nCPU=0.1\n[Reserve]\nNetwork=9bps\n");
        tree_put(&tree, "etc/slices/a.slice", slice);
        need_that(tree_load(&tree) == 0, "%s", tree.text);
        broker = policy_show(tree.policy, NULL);
        first = policy_show(tree.policy, &tree.policy->slices[0]);
        expect_in(broker, "\n[Capacity]\nCPU=auto\nMemory=1536G\n");
        expect_in(broker, "GracePeriod=1234567us\n");
        expect_in(first, "Network=1001B/s\n");
        expect_in(first, "Users=*\n");
        expect_in(first, "Users=root\n");
        expect_in(first, "Users=4294967294\n");

        tree_put(&tree, "etc/broker.conf", broker);
        tree_put(&tree, "etc/slices/a.slice", first);
        need_that(tree_load(&tree) == 0, "%s", tree.text);
        second = policy_show(tree.policy, &tree.policy->slices[0]);
        expect_str(second, first);
        free(take(second));
        second = policy_show(tree.policy, NULL);
        expect_str(second, broker);
        tree_deinit(&tree);
}

static void the_manual_tells_every_key_with_its_default(void) {
        _cleanup_(freep) char *reference = policy_reference();

        need(reference != NULL);
        for (size_t i = 0; i < KEYS_N; i++) {
                char entry[128];

                snprintf(entry, sizeof(entry), "\n.BR %s= \" (%s", policy_keys[i].name,
                         value_type_name(policy_keys[i].type));
                expect_in(reference, entry);
        }
        expect_in(reference, "\n.SS [Guarantee]\n");
        expect_in(reference, "(size; default 100M)");
        expect_in(reference, "(size, or auto, or infinity; default auto)");
}

static void the_page_has_a_place_for_the_reference(void) {
        _cleanup_(freep) char *page = read_shipped("docs/man/provium.conf.5.in");

        expect_in(page, "\n@REFERENCE@\n");
}

static void the_manual_holds_no_accidental_request(void) {
        _cleanup_(freep) char *reference = policy_reference();

        need(reference != NULL);
        for (const char *line = reference; *line; line = strchr(line, '\n') + 1)
                expect_that(line[0] != '\'' && (line[0] != '.' || strncmp(line, ".SH ", 4) == 0 ||
                                                strncmp(line, ".SS ", 4) == 0 ||
                                                strncmp(line, ".TP\n", 4) == 0 ||
                                                strncmp(line, ".BR ", 4) == 0),
                            "%.60s", line);
}

static void the_table_has_no_key_twice_and_helps_with_each(void) {
        for (size_t i = 0; i < KEYS_N; i++) {
                const struct key *key = &policy_keys[i];
                size_t length = strlen(key->help);

                expect_that(keys_find(key->file, key->section, key->name) == key, "%s", key->name);
                expect_that(length > 1 && key->help[length - 1] == '.', "%s", key->name);
                for (size_t j = 0; j < i; j++)
                        expect_that(policy_keys[j].file != key->file ||
                                            policy_keys[j].offset != key->offset,
                                    "%s and %s go to the same place", policy_keys[j].name,
                                    key->name);
        }
}

UNIT_MAIN(TEST(the_shipped_files_hold_every_key), TEST(the_shipped_files_say_the_defaults),
          TEST(the_shipped_set_is_valid_and_lets_nobody_in_by_default),
          TEST(what_is_shown_can_be_loaded_and_shows_the_same),
          TEST(the_manual_tells_every_key_with_its_default),
          TEST(the_page_has_a_place_for_the_reference),
          TEST(the_manual_holds_no_accidental_request),
          TEST(the_table_has_no_key_twice_and_helps_with_each), )
