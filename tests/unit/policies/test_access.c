/* SPDX-License-Identifier: MIT */

/*
 * Who may use a slice.
 */

#include <stdio.h>
#include <string.h>

#include <base/why.h>

#include "tree.h"
#include "unit.h"

/* Makes a set of one slice "a" with these [Access] lines. */
static void tree_access(struct tree *tree, const char *lines) {
        char text[2048];

        tree_init(tree);
        snprintf(text, sizeof(text), "[Access]\n%s", lines);
        tree_put(tree, "etc/slices/a.slice", text);
        need_that(tree_load(tree) == 0, "%s", tree->text);
}

static bool may(const struct tree *tree, uid_t uid, gid_t gid, gid_t other) {
        struct why why = {};
        int r = policy_check_access(&tree->policy->slices[0], uid, gid, &other, 1, &why);

        if (r)
                expect_in(why.text, "may not use slice \"a\": [Access] in ");
        expect(r == 0 || r == POLICY_E_DENIED);
        return r == 0;
}

static void nobody_but_root_may_use_a_slice_without_names(void) {
        struct tree tree;

        tree_access(&tree, "");
        expect(may(&tree, 0, 0, 0));
        expect(may(&tree, 0, 1000, 1000));
        expect(!may(&tree, 1000, 0, 0)); /* the group root is not root */
        expect(!may(&tree, 1000, 1000, 1000));
        tree_deinit(&tree);
}

static void users_are_named_or_numbered(void) {
        struct tree tree;

        tree_access(&tree, "Users=root 1000,1001\t 1000\nUsers=nobody\n");
        expect_uint(tree.policy->slices[0].n_users, 4);
        expect(may(&tree, 1000, 1, 1));
        expect(may(&tree, 1001, 1, 1));
        expect(may(&tree, 65534, 1, 1));
        expect(!may(&tree, 1002, 1000, 1000));
        tree_deinit(&tree);
}

static void a_group_counts_as_first_or_supplementary(void) {
        struct tree tree;

        tree_access(&tree, "Groups=daemon 2000\n");
        expect(may(&tree, 1000, 2000, 5));
        expect(may(&tree, 1000, 5, 2000));
        expect(may(&tree, 1000, 1, 5)); /* daemon */
        expect(!may(&tree, 2000, 5, 6));
        tree_deinit(&tree);
}

static void a_star_is_everybody(void) {
        struct tree tree;

        tree_access(&tree, "Users=*\n");
        expect(may(&tree, 4294967294u, 7, 7));
        tree_deinit(&tree);
        tree_access(&tree, "Users=*\nUsers=\nUsers=5\n");
        expect(!may(&tree, 6, 7, 7));
        expect(may(&tree, 5, 7, 7));
        tree_deinit(&tree);
}

static void expect_refusal(const char *line, const char *error) {
        struct tree tree;
        char text[512];

        tree_init(&tree);
        snprintf(text, sizeof(text), "[Access]\n%s\n", line);
        tree_put(&tree, "etc/slices/a.slice", text);
        expect_int(tree_load(&tree), POLICY_E_INVALID);
        expect_uint(tree.errors.n, 1);
        expect_in(tree.text, error);
        tree_deinit(&tree);
}

static void a_name_that_nobody_has_is_refused(void) {
        expect_refusal("Users=root no-such-user-here",
                       "Users=: there is no user "
                       "\"no-such-user-here\"; give names or numbers");
        expect_refusal("Groups=no-such-group-here", "Groups=: there is no group");
        expect_refusal("Groups=*", "\"*\" is not a group; for everybody write Users=*");
        expect_refusal("Users=4294967295", "valid is 0 to 4294967294"); /* (uid_t)-1 */
        expect_refusal("Users=4294967296", "is not the number of a user");
        expect_refusal("Groups=99999999999999999999999", "is not the number of a group");
        expect_refusal("Users=-1", "there is no user \"-1\"");
        expect_refusal("Users=\"root\"", "there is no user \"\\x22root\\x22\"");
        expect_refusal("Users=**", "there is no user");
}

static void a_list_is_bounded(void) {
        char text[8192] = "[Access]\n";
        struct tree tree;

        tree_init(&tree);
        for (unsigned i = 1; i <= POLICY_NAMES_MAX; i++)
                sprintf(text + strlen(text), "Groups=%u\n", i);
        tree_put(&tree, "etc/slices/a.slice", text);
        expect_int(tree_load(&tree), 0);
        strcat(text, "Groups=7\n"); /* in it already */
        tree_put(&tree, "etc/slices/a.slice", text);
        expect_int(tree_load(&tree), 0);
        strcat(text, "Groups=9999\n");
        tree_put(&tree, "etc/slices/a.slice", text);
        expect_int(tree_load(&tree), POLICY_E_INVALID);
        expect_in(tree.text, "more than 256 groups");
        tree_deinit(&tree);
}

UNIT_MAIN(
        TEST(nobody_but_root_may_use_a_slice_without_names),
        TEST(users_are_named_or_numbered),
        TEST(a_group_counts_as_first_or_supplementary),
        TEST(a_star_is_everybody),
        TEST(a_name_that_nobody_has_is_refused),
        TEST(a_list_is_bounded),
)
