/* SPDX-License-Identifier: MIT */

/*
 * [Sandbox]: as whom a VM runs, and what it is shut off from unless somebody says otherwise.
 */

#include <stdio.h>
#include <string.h>

#include "tree.h"
#include "unit.h"

#define DEVICES "null zero full random urandom tty kvm vhost-net vhost-vsock"

static void load(struct tree *tree, const char *sandbox) {
        char text[512];

        tree_init(tree);
        snprintf(text, sizeof(text), "[Access]\nUsers=*\n[Sandbox]\n%s\n", sandbox);
        tree_put(tree, "etc/slices/a.slice", text);
}

static void a_slice_without_a_word_has_its_walls(void) {
        const struct sandbox_policy *sandbox;
        struct tree tree;

        load(&tree, "");
        need_that(tree_load(&tree) == 0, "%s", tree.text);
        sandbox = &policy_find_slice(tree.policy, "a")->sandbox;
        expect_int(sandbox->user.kind, POLICY_USER_CALLER);
        expect(!sandbox->allow_root);
        expect(sandbox->drop_capabilities);
        expect_str(sandbox->seccomp, "generic");
        expect(!sandbox->private_tmp);
        expect(sandbox->private_devices);
        expect_str(sandbox->devices, DEVICES);
        expect(!sandbox->read_only_root);
        expect(sandbox->private_pids && sandbox->private_ipc);
        expect(sandbox->private_hostname && sandbox->private_cgroups);
        expect_int(sandbox->private_network, PRIVATE_NETWORK_AUTO);
        expect(!sandbox->core_dumps && !sandbox->batch);
        expect_uint(tree.policy->broker.dynamic_first, 524288);
        expect_uint(tree.policy->broker.dynamic_last, 589823);
        tree_deinit(&tree);
}

static void a_user_is_the_caller_one_of_its_own_a_name_or_a_number(void) {
        static const struct {
                const char *line;
                int kind;
                uid_t uid;
                const char *shown;
        } rows[] = {
                {"User=caller", POLICY_USER_CALLER, 0, "User=caller\n"},
                {"User=dynamic", POLICY_USER_DYNAMIC, 0, "User=dynamic\n"},
                {"User=nobody", POLICY_USER_NAMED, 65534, "User=nobody\n"},
                {"User=0", POLICY_USER_NAMED, 0, "User=root\n"},
                {"User=4000000000", POLICY_USER_NAMED, 4000000000, "User=4000000000\n"},
                {"User=nobody\nUser=", POLICY_USER_CALLER, 0, "User=caller\n"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const struct policy_user *user;
                struct tree tree;
                char *text;

                load(&tree, rows[i].line);
                need_that(tree_load(&tree) == 0, "%s", tree.text);
                user = &tree.policy->slices[0].sandbox.user;
                expect_int(user->kind, rows[i].kind);
                if (rows[i].kind == POLICY_USER_NAMED) {
                        expect_uint(user->uid, rows[i].uid);
                        expect_uint(user->gid, rows[i].uid);
                }
                text = policy_show(tree.policy, &tree.policy->slices[0]);
                expect_in(text, rows[i].shown);
                free(text);
                tree_deinit(&tree);
        }
}

static void what_cannot_be_is_told_with_what_can(void) {
        static const char *const rows[][2] = {
                {"User=nosuchuser", "give caller, dynamic, a name or a number"},
                {"User=*", "give caller, dynamic, a name or a number"},
                {"User=4294967295", "give caller, dynamic, a name or a number"},
                {"User=a b", "give caller, dynamic, a name or a number"},
                {"AllowRoot=perhaps", "yes"},
                {"Devices=/dev/kvm", "give names below /dev"},
                {"Devices=kvm ../mem", "give names below /dev"},
                {"Devices=kvm;mem", "give names below /dev"},
                {"Devices=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "give names below /dev"},
                {"PrivateNetwork=maybe", "give one of auto, yes, no"},
                {"NoSuchKey=1", "NoSuchKey"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct tree tree;

                load(&tree, rows[i][0]);
                expect_int(tree_load(&tree), POLICY_E_INVALID);
                expect_that(tree.errors.n == 1 && strstr(tree.text, rows[i][1]) &&
                                    strstr(tree.text, "etc/slices/a.slice:4"),
                            "'%s': %s", rows[i][0], tree.text);
                tree_deinit(&tree);
        }
}

static void the_range_of_users_is_one_of_nobodys(void) {
        static const char *const bad[] = {
                "1000-2000", "65535-70000", "70000-69999",  "70000",         "-70000",
                "70000-",    "a-b",         "70000-80000 ", "70000-80000-1", "524288-4294967294"};
        char text[80];

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct tree tree;
                bool trimmed = strcmp(bad[i], "70000-80000 ") == 0;

                tree_init(&tree);
                snprintf(text, sizeof(text), "[Broker]\nDynamicUsers=%s\n", bad[i]);
                tree_put(&tree, "etc/broker.conf", text);
                expect_that((tree_load(&tree) == POLICY_E_INVALID) == !trimmed, "'%s': %s", bad[i],
                            tree.text);
                if (!trimmed)
                        expect_in(tree.text, "give the first and the last number");
                tree_deinit(&tree);
        }
}

UNIT_MAIN(TEST(a_slice_without_a_word_has_its_walls),
          TEST(a_user_is_the_caller_one_of_its_own_a_name_or_a_number),
          TEST(what_cannot_be_is_told_with_what_can), TEST(the_range_of_users_is_one_of_nobodys), )
