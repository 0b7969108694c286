/* SPDX-License-Identifier: MIT */

/*
 * What users and groups may hold: one line each.
 */

#include <stdio.h>
#include <string.h>

#include "tree.h"
#include "unit.h"

static void a_line_says_what_one_user_may_hold(void) {
        const struct quota_policy *quota;
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/broker.conf",
                 "[Quota]\nUser=1000 CPU=8 Memory=1.5G MaxVMs=20\nUser=* MaxQueued=5 GPU=0\n"
                 "Group=root Network=1Gbps  DiskIO=10MB/s\tDisk=1T CPU=infinity\n");
        need_that(tree_load(&tree) == 0, "%s", tree.text);
        quota = policy_user_quota(&tree.policy->broker, 1000);
        need(quota != NULL);
        expect_uint(quota->limit.amount[RESOURCE_CPU], 8000);
        expect_uint(quota->limit.amount[RESOURCE_MEMORY], 3ULL << 29);
        expect_uint(quota->limit.amount[RESOURCE_DISK], POLICY_NONE);
        expect_uint(quota->vms_max, 20);
        expect_uint(quota->queued_max, POLICY_NONE);
        quota = policy_user_quota(&tree.policy->broker, 1001);
        need(quota != NULL);
        expect_uint(quota->queued_max, 5);
        expect_uint(quota->limit.amount[RESOURCE_GPU], 0);
        /* Root is nobody's "each". */
        expect(policy_user_quota(&tree.policy->broker, 0) == NULL);
        quota = policy_group_quota(&tree.policy->broker, 0);
        need(quota != NULL);
        expect_uint(quota->limit.amount[RESOURCE_NETWORK], 125000000);
        expect_uint(quota->limit.amount[RESOURCE_NETWORK_UPLOAD], POLICY_NONE);
        expect_uint(quota->limit.amount[RESOURCE_CPU], POLICY_NONE);
        expect(policy_group_quota(&tree.policy->broker, 1000) == NULL);
        tree_deinit(&tree);
}

static void the_last_line_of_a_user_counts_and_an_empty_one_starts_over(void) {
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/broker.conf",
                 "[Quota]\nUser=7 CPU=1\nUser=\nUser=8 CPU=1\nUser=8 Memory=1G\nUser=0 CPU=2\n");
        need_that(tree_load(&tree) == 0, "%s", tree.text);
        expect(policy_user_quota(&tree.policy->broker, 7) == NULL);
        expect_uint(policy_user_quota(&tree.policy->broker, 8)->limit.amount[RESOURCE_CPU],
                    POLICY_NONE);
        expect_uint(policy_user_quota(&tree.policy->broker, 0)->limit.amount[RESOURCE_CPU], 2000);
        tree_deinit(&tree);
}

static void a_wrong_line_is_told_with_what_is_valid(void) {
        static const char *const rows[][2] = {
                {"User=no-such-user CPU=1", "there is no user"},
                {"Group=no-such-group CPU=1", "there is no group"},
                {"Group=* CPU=1", "there is no group"},
                {"User=1000", "it says nothing of how much; give CPU="},
                {"User=1000 CPU", "\"CPU\" is not valid; give CPU="},
                {"User=1000 cpu=1", "\"cpu=1\" is not valid; give CPU="},
                {"User=1000 CPU=-1", "CPU: "},
                {"User=1000 CPU=", "CPU: "},
                {"User=1000 Memory=1Gx", "Memory: "},
                {"User=1000 Network=5", "Network: "},
                {"User=1000 CPU=1 CPU=2", "CPU= is given twice"},
                {"User=1000 MaxVMs=1000001", "is more than 1000000"},
                {"User=4294967295 CPU=1", "is not the number of a user"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct tree tree;
                char text[256];

                tree_init(&tree);
                snprintf(text, sizeof(text), "\n[Quota]\n%s\n", rows[i][0]);
                tree_put(&tree, "etc/broker.conf", text);
                expect_that(tree_load(&tree) == POLICY_E_INVALID, "%s", rows[i][0]);
                expect_in(tree.text, "broker.conf:3: [Quota]");
                expect_in(tree.text, rows[i][1]);
                tree_deinit(&tree);
        }
}

static void what_is_shown_reads_the_same(void) {
        _cleanup_(freep) char *first = NULL, *second = NULL;
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/broker.conf",
                 "[Quota]\nUser=* MaxQueued=5 CPU=0.5\nUser=root Memory=1000001 Disk=1G\n"
                 "Group=4321 Network=1Gbps DiskIO=12345678B/s MaxVMs=0\n");
        need_that(tree_load(&tree) == 0, "%s", tree.text);
        first = policy_show(tree.policy, NULL);
        expect_in(first, "User=* CPU=0.5 MaxQueued=5\n");
        expect_in(first, "User=root Memory=1000001B Disk=1G\n");
        expect_in(first, "Group=4321 DiskIO=");
        tree_put(&tree, "etc/broker.conf", first);
        need_that(tree_load(&tree) == 0, "%s", tree.text);
        second = policy_show(tree.policy, NULL);
        expect_str(second, first);
        tree_deinit(&tree);
}

static void more_lines_than_there_is_room_for_are_an_error(void) {
        static char text[64 * 1024];
        struct tree tree;
        size_t used;

        tree_init(&tree);
        used = (size_t)snprintf(text, sizeof(text), "[Quota]\n");
        for (unsigned i = 0; i <= POLICY_QUOTAS_MAX; i++)
                used += (size_t)snprintf(text + used, sizeof(text) - used, "User=%u CPU=1\n",
                                         1000 + i);
        tree_put(&tree, "etc/broker.conf", text);
        expect_int(tree_load(&tree), POLICY_E_INVALID);
        expect_in(tree.text, "more than 64 of them");
        tree_deinit(&tree);
}

UNIT_MAIN(TEST(a_line_says_what_one_user_may_hold),
          TEST(the_last_line_of_a_user_counts_and_an_empty_one_starts_over),
          TEST(a_wrong_line_is_told_with_what_is_valid), TEST(what_is_shown_reads_the_same),
          TEST(more_lines_than_there_is_room_for_are_an_error), )
