/* SPDX-License-Identifier: MIT */

/*
 * Which files are believed: regular ones of a bounded size, in their place, that nobody but root
 * could have written.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tree.h"
#include "unit.h"

static void expect_refusal(struct tree *tree, const char *error) {
        expect_int(tree_load(tree), POLICY_E_INVALID);
        expect(tree->policy == NULL);
        expect_uint(tree->errors.n, 1);
        expect_in(tree->text, error);
}

static void a_symbolic_link_is_refused_wherever_it_leads(void) {
        static const char *const targets[] = {"/etc/passwd", "/dev/zero", "/dev/null",
                                              "/nonexistent", "real.slice"};

        for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
                struct tree tree;
                char path[256];

                tree_init(&tree);
                tree_put(&tree, "etc/slices/real.slice", "");
                need(symlink(targets[i], tree_path(&tree, "etc/slices/x.slice", path)) == 0);
                expect_refusal(&tree, "etc/slices/x.slice: it is a symbolic link");
                tree_deinit(&tree);
        }
}

static void a_linked_directory_is_refused(void) {
        struct tree tree;
        char path[256], target[256];

        tree_init(&tree);
        tree_put(&tree, "elsewhere/x.slice", "");
        tree_path(&tree, "elsewhere", target);
        need(symlink(target, tree_path(&tree, "etc/slices", path)) == 0);
        expect_refusal(&tree, "etc/slices: it is a symbolic link");
        tree_deinit(&tree);

        tree_init(&tree);
        tree_put(&tree, "elsewhere/x.conf", "");
        tree_path(&tree, "elsewhere", target);
        need(symlink(target, tree_path(&tree, "etc/broker.conf.d", path)) == 0);
        expect_refusal(&tree, "etc/broker.conf.d: it is a symbolic link");
        tree_deinit(&tree);
}

static void a_linked_file_in_etc_does_not_fall_back_to_the_vendors(void) {
        struct tree tree;
        char path[256];

        tree_init(&tree);
        tree_put(&tree, "lib/broker.conf", "");
        need(symlink("/nonexistent", tree_path(&tree, "etc/broker.conf", path)) == 0);
        expect_refusal(&tree, "etc/broker.conf: it is a symbolic link");
        tree_deinit(&tree);
}

static void the_configuration_directory_itself_may_be_a_link(void) {
        struct policy_errors errors;
        struct tree tree;
        char path[256];

        tree_init(&tree);
        tree_put(&tree, "etc/broker.conf", "[Broker]\nMaxVMs=7\n");
        need(symlink(tree.etc, tree_path(&tree, "link", path)) == 0);
        expect_int(policy_load(&tree.policy, path, tree.lib, &errors), 0);
        expect_uint(tree.policy->broker.vms_max, 7);
        tree_deinit(&tree);
}

static void what_is_no_regular_file_is_refused_without_waiting(void) {
        struct tree tree;
        char path[256];

        tree_init(&tree);
        tree_put(&tree, "etc/slices/a.slice", "");
        need(mkfifo(tree_path(&tree, "etc/slices/b.slice", path), 0644) == 0);
        expect_refusal(&tree, "etc/slices/b.slice: it is not a regular file");
        tree_deinit(&tree);

        tree_init(&tree);
        tree_put(&tree, "etc/broker.conf/x", "");
        expect_refusal(&tree, "etc/broker.conf: it is not a regular file");
        tree_deinit(&tree);
}

static void a_file_in_a_directorys_place_is_refused(void) {
        struct policy_errors errors;
        struct tree tree;
        char path[256];

        tree_init(&tree);
        tree_put(&tree, "etc/slices", "");
        expect_refusal(&tree, "etc/slices: it is not a directory");
        tree_put(&tree, "etc/broker.conf.d", "");
        expect_int(tree_load(&tree), POLICY_E_INVALID);
        expect_uint(tree.errors.n, 2);
        expect_int(
                policy_load(&tree.policy, tree_path(&tree, "etc/slices", path), tree.lib, &errors),
                POLICY_E_INVALID);
        tree_deinit(&tree);
}

static void a_file_is_read_up_to_its_bound_and_refused_beyond(void) {
        static char text[POLICY_FILE_MAX + 1];
        struct tree tree;

        tree_init(&tree);
        memset(text, '\n', sizeof(text));
        tree_put_bytes(&tree, "etc/broker.conf", text, POLICY_FILE_MAX);
        expect_int(tree_load(&tree), 0);
        tree_put_bytes(&tree, "etc/broker.conf", text, POLICY_FILE_MAX + 1);
        expect_refusal(&tree, "etc/broker.conf: it is larger than 256 KiB");
        tree_deinit(&tree);
}

static void a_path_too_long_to_print_is_still_judged(void) {
        struct policy_errors errors;
        struct policy *policy = NULL;
        char path[2048];

        memset(path, 'x', sizeof(path));
        path[0] = '/';
        path[sizeof(path) - 1] = '\0';
        expect_int(policy_load(&policy, path, "/nonexistent", &errors), POLICY_E_INVALID);
        expect_uint(errors.n, 1);
        expect(strlen(errors.list[0].path) < sizeof(errors.list[0].path));
}

static void what_others_can_write_is_refused_for_root(void) {
        static const char *const names[] = {"etc/broker.conf",
                                            "etc/broker.conf.d/x.conf",
                                            "etc/slices/a.slice",
                                            "lib/slices/b.slice",
                                            "etc/broker.conf.d",
                                            "etc/slices",
                                            "lib/slices",
                                            "etc",
                                            "lib"};

        if (geteuid() != 0)
                unit_skip("only root can make root's files");
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                for (unsigned j = 0; j < 3; j++) {
                        struct tree tree;
                        char path[256];

                        tree_init(&tree);
                        tree_put(&tree, "etc/broker.conf", "");
                        tree_put(&tree, "etc/broker.conf.d/x.conf", "");
                        tree_put(&tree, "etc/slices/a.slice", "");
                        tree_put(&tree, "lib/slices/b.slice", "");
                        tree_path(&tree, names[i], path);
                        if (j < 2)
                                need(chmod(path, j == 0 ? 0775 : 0757) == 0);
                        else
                                need(chown(path, 65534, 0) == 0);
                        expect_int(tree_load(&tree), POLICY_E_INVALID);
                        expect_in(tree.text, names[i]);
                        expect_in(tree.text, j < 2 ? "others than root can write it (chmod go-w)"
                                                   : "it does not belong to root");
                        tree_deinit(&tree);
                }
        }
}

static void somebody_elses_draft_can_be_checked_by_them(void) {
        struct tree tree;
        char path[256];

        if (geteuid() != 0)
                unit_skip("only root can become somebody else");
        tree_init(&tree);
        need(chmod(tree.path, 0755) == 0);
        tree_put(&tree, "etc/broker.conf", "[Broker]\nMaxVMs=7\n");
        need(chown(tree_path(&tree, "etc/broker.conf", path), 65534, 65534) == 0);
        need(chmod(path, 0664) == 0);
        expect_int(tree_load(&tree), POLICY_E_INVALID);
        need(seteuid(65534) == 0);
        expect_int(tree_load(&tree), 0);
        need(seteuid(0) == 0);
        tree_deinit(&tree);
}

static void what_cannot_be_read_is_an_error_not_a_default(void) {
        struct tree tree;
        char path[256];

        if (geteuid() != 0)
                unit_skip("only root can become somebody else");
        tree_init(&tree);
        need(chmod(tree.path, 0755) == 0);
        tree_put(&tree, "etc/broker.conf", "[Broker]\nMaxVMs=7\n");
        need(chmod(tree_path(&tree, "etc/broker.conf", path), 0600) == 0);
        need(seteuid(65534) == 0);
        expect_int(tree_load(&tree), POLICY_E_INVALID);
        expect_in(tree.text, "etc/broker.conf: cannot be opened: Permission denied");
        need(seteuid(0) == 0);
        tree_deinit(&tree);
}

static void no_descriptor_is_left_behind(void) {
        struct tree tree;
        int before, after;

        tree_init(&tree);
        tree_put(&tree, "etc/broker.conf.d/x.conf", "[");
        tree_put(&tree, "etc/slices/a.slice.d/x.conf", "[");
        tree_put(&tree, "etc/slices/b.d/x.conf", "[");
        before = open("/dev/null", O_RDONLY | O_CLOEXEC);
        close(before);
        expect_int(tree_load(&tree), POLICY_E_INVALID);
        after = open("/dev/null", O_RDONLY | O_CLOEXEC);
        close(after);
        expect_int(after, before);
        tree_deinit(&tree);
}

UNIT_MAIN(
        TEST(a_symbolic_link_is_refused_wherever_it_leads),
        TEST(a_linked_directory_is_refused),
        TEST(a_linked_file_in_etc_does_not_fall_back_to_the_vendors),
        TEST(the_configuration_directory_itself_may_be_a_link),
        TEST(what_is_no_regular_file_is_refused_without_waiting),
        TEST(a_file_in_a_directorys_place_is_refused),
        TEST(a_file_is_read_up_to_its_bound_and_refused_beyond),
        TEST(a_path_too_long_to_print_is_still_judged),
        TEST(what_others_can_write_is_refused_for_root),
        TEST(somebody_elses_draft_can_be_checked_by_them),
        TEST(what_cannot_be_read_is_an_error_not_a_default),
        TEST(no_descriptor_is_left_behind),
)
