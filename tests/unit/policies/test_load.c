/* SPDX-License-Identifier: MIT */

/*
 * A set of files becomes a set of values: defaults, precedence, drop-ins, and all or nothing.
 */

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tree.h"
#include "unit.h"

static void nothing_at_all_means_defaults_and_no_slices(void) {
        struct policy_errors errors;
        struct policy *policy = NULL;

        need_int(policy_load(&policy, "/nonexistent/etc", "/nonexistent/lib", &errors), 0);
        expect_uint(policy->n_slices, 0);
        expect(policy_find_slice(policy, "default") == NULL);
        expect_str(policy->broker.data_directory, "/var/lib/provium");
        expect_uint(policy->broker.grace_usec, 10000000);
        expect_uint(policy->broker.reconnect_usec, 30000000);
        expect_uint(policy->broker.vms_max, 4096);
        expect_uint(policy->broker.queue_max, 16384);
        expect_uint(policy->broker.queue_user_max, 4096);
        expect_uint(policy->broker.connections_user_max, 1024);
        expect(!policy->broker.best_effort);
        expect_uint(policy->broker.cpu_headroom_milli, 40);
        expect_uint(policy->broker.memory_overhead_bytes, 100 * 1024 * 1024);
        expect_uint(policy->broker.memory_high_milli, POLICY_NONE);
        expect_uint(policy->broker.swap_max_bytes, 0);
        expect_uint(policy->broker.pids_max, POLICY_AUTO);
        expect_uint(policy->broker.capacity.amount[RESOURCE_MEMORY], POLICY_AUTO);
        expect_uint(policy->broker.ratio_milli.amount[RESOURCE_CPU], 4000);
        expect_uint(policy->broker.ratio_milli.amount[RESOURCE_MEMORY], 1000);
        expect_uint(policy->broker.ratio_milli.amount[RESOURCE_NETWORK], 2000);
        expect_uint(policy->broker.claim.amount[RESOURCE_CPU], 1000);
        expect_uint(policy->broker.claim.amount[RESOURCE_MEMORY], 512 * 1024 * 1024);
        expect_uint(policy->broker.claim.amount[RESOURCE_NETWORK], POLICY_AUTO);
        policy_free(policy);
}

static void an_empty_slice_file_is_a_slice_of_defaults(void) {
        const struct slice_policy *slice;
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/slices/a.slice", "");
        need_int(tree_load(&tree), 0);
        slice = policy_find_slice(tree.policy, "a");
        need(slice != NULL);
        expect_str(slice->name, "a");
        expect_in(slice->path, "etc/slices/a.slice");
        expect_uint(slice->vms_max, POLICY_NONE);
        expect_uint(slice->limit.amount[RESOURCE_CPU], POLICY_NONE);
        expect_uint(slice->ratio_milli.amount[RESOURCE_CPU], 1000);
        expect_uint(slice->guarantee.amount[RESOURCE_MEMORY], 0);
        expect_uint(slice->vm_max.amount[RESOURCE_MEMORY], POLICY_NONE);
        expect_uint(slice->vm_claim.amount[RESOURCE_MEMORY], POLICY_AUTO);
        expect_uint(slice->grace_usec, POLICY_AUTO);
        expect(!slice->everybody);
        tree_deinit(&tree);
}

static void every_kind_of_value_is_read(void) {
        const struct slice_policy *slice;
        struct tree tree;

        tree_init(&tree);
        tree_put(
                &tree, "etc/broker.conf",
                "[Broker]\nDataDirectory=/srv/vm\nGracePeriod=1.5s\nBestEffort=yes\nMaxVMs=10\n"
                "[Capacity]\nCPU=15.5\nMemory=64G\nNetwork=10Gbps\nDiskIO=1GB/s\nGPU=2\n"
                "[Reserve]\nMemory=4G\n[Enforce]\nMemoryHigh=0.9\nSwapMax=infinity\nPidsMax=100\n");
        tree_put(&tree, "etc/slices/a.slice",
                 "[Slice]\nDescription=Bob's \"box\" é\nMaxVMs=3\nCPU=4\nNetwork=1Gbit\n"
                 "[VM]\nMaxCPU=2\nMemory=1G\nGracePeriod=0\nPidsMax=infinity\n"
                 "[Guarantee]\nCPU=0.5\n");
        need_int(tree_load(&tree), 0);
        expect_str(tree.policy->broker.data_directory, "/srv/vm");
        expect_uint(tree.policy->broker.grace_usec, 1500000);
        expect(tree.policy->broker.best_effort);
        expect_uint(tree.policy->broker.capacity.amount[RESOURCE_CPU], 15500);
        expect_uint(tree.policy->broker.capacity.amount[RESOURCE_NETWORK], 1250000000);
        expect_uint(tree.policy->broker.capacity.amount[RESOURCE_DISK], POLICY_AUTO);
        expect_uint(tree.policy->broker.capacity.amount[RESOURCE_GPU], 2);
        expect_uint(tree.policy->broker.memory_high_milli, 900);
        expect_uint(tree.policy->broker.swap_max_bytes, POLICY_NONE);
        slice = policy_find_slice(tree.policy, "a");
        need(slice != NULL);
        expect_str(slice->description, "Bob's \"box\" é");
        expect_uint(slice->limit.amount[RESOURCE_NETWORK], 125000000);
        expect_uint(slice->vm_max.amount[RESOURCE_CPU], 2000);
        expect_uint(slice->vm_claim.amount[RESOURCE_MEMORY], 1ULL << 30);
        expect_uint(slice->grace_usec, 0);
        expect_uint(slice->pids_max, POLICY_NONE);
        expect_uint(slice->guarantee.amount[RESOURCE_CPU], 500);
        tree_deinit(&tree);
}

static void a_file_in_etc_replaces_the_vendors_of_the_same_name(void) {
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "lib/broker.conf", "[Broker]\nMaxVMs=1\nMaxQueued=1\n");
        tree_put(&tree, "lib/slices/a.slice", "[Slice]\nMaxVMs=1\nCPU=1\n");
        tree_put(&tree, "lib/slices/b.slice", "[Slice]\nMaxVMs=5\n");
        need_int(tree_load(&tree), 0);
        expect_uint(tree.policy->broker.vms_max, 1);

        tree_put(&tree, "etc/broker.conf", "[Broker]\nMaxVMs=2\n");
        tree_put(&tree, "etc/slices/a.slice", "[Slice]\nMaxVMs=2\n");
        need_int(tree_load(&tree), 0);
        expect_uint(tree.policy->broker.vms_max, 2);
        expect_uint(tree.policy->broker.queue_max, 16384); /* replaced, not merged */
        need_uint(tree.policy->n_slices, 2);
        expect_uint(policy_find_slice(tree.policy, "a")->vms_max, 2);
        expect_uint(policy_find_slice(tree.policy, "a")->limit.amount[RESOURCE_CPU], POLICY_NONE);
        expect_uint(policy_find_slice(tree.policy, "b")->vms_max, 5);
        tree_deinit(&tree);
}

static void drop_ins_are_read_by_name_from_all_four_directories(void) {
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "lib/broker.conf", "[Broker]\nMaxVMs=1\nMaxQueued=1\n");
        tree_put(&tree, "etc/broker.conf.d/20-b.conf", "[Broker]\nMaxVMs=20\n");
        tree_put(&tree, "lib/broker.conf.d/30-c.conf", "[Broker]\nMaxVMs=30\n");
        tree_put(&tree, "etc/broker.d/10-a.conf", "[Broker]\nMaxVMs=10\nMaxQueuedPerUser=10\n");
        tree_put(&tree, "lib/broker.d/40-d.conf", "[Broker]\nMaxConnectionsPerUser=40\n");
        need_int(tree_load(&tree), 0);
        expect_uint(tree.policy->broker.vms_max, 30);
        expect_uint(tree.policy->broker.queue_max, 1);
        expect_uint(tree.policy->broker.queue_user_max, 10);
        expect_uint(tree.policy->broker.connections_user_max, 40);

        /* of the same name: etc's alone */
        tree_put(&tree, "etc/broker.conf.d/30-c.conf", "[Broker]\nMaxQueued=3\n");
        need_int(tree_load(&tree), 0);
        expect_uint(tree.policy->broker.vms_max, 20);
        expect_uint(tree.policy->broker.queue_max, 3);
        tree_deinit(&tree);
}

static void a_slice_has_drop_ins_too_whoever_shipped_it(void) {
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "lib/slices/a.slice", "[Slice]\nMaxVMs=1\n");
        tree_put(&tree, "etc/slices/a.slice.d/x.conf", "[Slice]\nMaxVMs=2\n");
        tree_put(&tree, "etc/slices/a.d/y.conf", "[Slice]\nCPU=2\n");
        need_int(tree_load(&tree), 0);
        need_uint(tree.policy->n_slices, 1);
        expect_uint(tree.policy->slices[0].vms_max, 2);
        expect_uint(tree.policy->slices[0].limit.amount[RESOURCE_CPU], 2000);
        tree_deinit(&tree);
}

static void drop_ins_without_their_slice_are_an_error(void) {
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/slices/build.slice", "");
        tree_put(&tree, "etc/slices/biuld.slice.d/x.conf", "[Slice]\nMaxVMs=2\n");
        expect_int(tree_load(&tree), POLICY_E_INVALID);
        expect_in(tree.text,
                  "etc/slices/biuld.slice.d: there are drop-ins here, but no biuld.slice");
        tree_deinit(&tree);
}

static void a_slice_lies_in_another_by_its_directory(void) {
        const struct slice_policy *slice;
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/slices/ci.slice", "[Slice]\nCPU=4\n[Guarantee]\nCPU=1\n");
        tree_put(&tree, "etc/slices/ci-x.slice", "");
        tree_put(&tree, "lib/slices/ci/nightly.slice", "[Slice]\nMaxVMs=7\n[Guarantee]\nCPU=2\n");
        tree_put(&tree, "etc/slices/ci/nightly.d/a.conf", "[Slice]\nMaxVMs=8\n");
        tree_put(&tree, "etc/slices/ci/nightly/a.slice", "[Guarantee]\nCPU=2\n");
        tree_put(&tree, "etc/slices/ci/nightly/a/b.slice", "");
        need_int(tree_load(&tree), 0);
        need_uint(tree.policy->n_slices, 5);
        slice = policy_find_slice(tree.policy, "ci/nightly");
        need(slice != NULL);
        expect_str(slice->name, "ci/nightly");
        expect_in(slice->path, "lib/slices/ci/nightly.slice");
        expect_uint(slice->vms_max, 8);
        expect(policy_find_slice(tree.policy, "ci/nightly/a/b") != NULL);
        expect(policy_find_slice(tree.policy, "nightly") == NULL);
        tree_deinit(&tree);
}

static void slices_lie_four_deep_at_most(void) {
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/slices/a.slice", "");
        tree_put(&tree, "etc/slices/a/b.slice", "");
        tree_put(&tree, "etc/slices/a/b/c.slice", "");
        tree_put(&tree, "etc/slices/a/b/c/d.slice", "");
        need_int(tree_load(&tree), 0);
        expect_uint(tree.policy->n_slices, 4);
        tree_put(&tree, "etc/slices/a/b/c/d/e.slice", "");
        expect_int(tree_load(&tree), POLICY_E_INVALID);
        expect_in(tree.text, "etc/slices/a/b/c/d: slices lie at most 4 within each other");
        tree_deinit(&tree);
}

static void slices_without_the_one_they_lie_in_are_an_error(void) {
        struct tree tree;
        char path[256], link[256];

        tree_init(&tree);
        tree_put(&tree, "etc/slices/cl/nightly.slice", "");
        tree_put(&tree, "etc/slices/ci.slice", "");
        tree_put(&tree, "etc/slices/ci/x.d/a.conf", "");
        need(symlink(tree_path(&tree, "etc", path), tree_path(&tree, "etc/slices/y", link)) == 0);
        expect_int(tree_load(&tree), POLICY_E_INVALID);
        expect_in(tree.text, "etc/slices/cl: there are slices here, but no cl.slice that they could "
                             "lie in");
        expect_in(tree.text, "etc/slices/ci/x.d: there are drop-ins here, but no ci/x.slice");
        expect_uint(tree.errors.n, 2);
        /* One that a slice could lie behind is not followed. */
        tree_put(&tree, "etc/slices/y.slice", "");
        expect_int(tree_load(&tree), POLICY_E_INVALID);
        expect_uint(tree.errors.n, 3);
        expect_in(tree.text, "etc/slices/y: it is a symbolic link");
        need(unlink(link) == 0);
        tree_deinit(&tree);
}

static void guarantees_inside_fit_the_slice_around_them(void) {
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/broker.conf", "[Capacity]\nCPU=4\n");
        tree_put(&tree, "etc/slices/ci.slice", "[Slice]\nCPU=2\n[Guarantee]\nCPU=1\n");
        tree_put(&tree, "etc/slices/ci/a.slice", "[Guarantee]\nCPU=1\n");
        tree_put(&tree, "etc/slices/ci/b.slice", "[Guarantee]\nCPU=1\n");
        tree_put(&tree, "etc/slices/z.slice", "[Guarantee]\nCPU=2\n");
        expect_int(tree_load(&tree), 0);
        tree_put(&tree, "etc/slices/z.slice", "[Guarantee]\nCPU=2.1\n");
        expect_int(tree_load(&tree), POLICY_E_INVALID);
        expect_in(tree.text, "z.slice: [Guarantee] CPU=: with this slice, the guarantees add up to "
                             "4.1");
        tree_put(&tree, "etc/slices/z.slice", "");
        tree_put(&tree, "etc/slices/ci/b.slice", "[Guarantee]\nCPU=1.5\n");
        expect_int(tree_load(&tree), POLICY_E_INVALID);
        expect_in(tree.text, "ci.slice: [Slice] CPU=: the guarantees of the slices in it add up to "
                             "2.5, more than its limit times its ratio, 2");
        tree_deinit(&tree);
}

static void an_empty_drop_in_directory_is_nobodys_error(void) {
        struct tree tree;
        char path[256];

        tree_init(&tree);
        tree_put(&tree, "etc/slices/a.slice", "");
        need(mkdir(tree_path(&tree, "etc/slices/b.slice.d", path), 0755) == 0);
        tree_put(&tree, "etc/slices/c.slice.d/README", "no drop-in");
        expect_int(tree_load(&tree), 0);
        tree_deinit(&tree);
}

static void other_names_are_passed_over(void) {
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/slices/a.slice", "");
        tree_put(&tree, "etc/slices/a.slice~", "[");
        tree_put(&tree, "etc/slices/.a.slice", "[");
        tree_put(&tree, "etc/slices/.slice", "[");
        tree_put(&tree, "etc/slices/a.slice.rpmsave", "[");
        tree_put(&tree, "etc/slices/README", "[");
        tree_put(&tree, "etc/broker.conf.d/.x.conf", "[");
        tree_put(&tree, "etc/broker.conf.d/x.conf.bak", "[");
        tree_put(&tree, "etc/pools/x.pool", "[");
        expect_int(tree_load(&tree), 0);
        expect_uint(tree.policy->n_slices, 1);
        tree_deinit(&tree);
}

static void an_empty_assignment_returns_to_the_default(void) {
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/broker.conf", "[Broker]\nMaxVMs=1\nDataDirectory=/x\n");
        tree_put(&tree, "etc/broker.conf.d/x.conf", "[Broker]\nMaxVMs=\nDataDirectory=\n");
        tree_put(&tree, "etc/slices/a.slice",
                 "[Slice]\nDescription=x\n[Access]\nUsers=1 2 *\nGroups=3\n");
        tree_put(&tree, "etc/slices/a.slice.d/x.conf",
                 "[Slice]\nDescription=\n[Access]\nUsers=\nGroups=\n");
        need_int(tree_load(&tree), 0);
        expect_uint(tree.policy->broker.vms_max, 4096);
        expect_str(tree.policy->broker.data_directory, "/var/lib/provium");
        expect_str(tree.policy->slices[0].description, "");
        expect_uint(tree.policy->slices[0].n_users, 0);
        expect_uint(tree.policy->slices[0].n_groups, 0);
        expect(!tree.policy->slices[0].everybody);
        tree_deinit(&tree);
}

static void slices_are_sorted_by_name_and_found_by_it(void) {
        static const char *const names[] = {"a", "a-b", "a.b", "a_b", "ab", "Z", "0"};
        struct tree tree;

        tree_init(&tree);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                char path[64];

                snprintf(path, sizeof(path), "etc/slices/%s.slice", names[i]);
                tree_put(&tree, path, "");
        }
        need_int(tree_load(&tree), 0);
        need_uint(tree.policy->n_slices, ARRAY_SIZE(names));
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                const struct slice_policy *slice = policy_find_slice(tree.policy, names[i]);

                expect_that(slice && strcmp(slice->name, names[i]) == 0, "%s", names[i]);
        }
        for (size_t i = 1; i < tree.policy->n_slices; i++)
                expect(strcmp(tree.policy->slices[i - 1].name, tree.policy->slices[i].name) < 0);
        expect(policy_find_slice(tree.policy, "a.slice") == NULL);
        expect(policy_find_slice(tree.policy, "") == NULL);
        tree_deinit(&tree);
}

static void a_name_that_is_none_makes_no_slice(void) {
        static const char *const names[] = {"a..b", "-a", "a b", "_a", "\xff", "a\nb", "a\x1b[2J"};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                struct tree tree;
                char path[64];

                tree_init(&tree);
                snprintf(path, sizeof(path), "lib/slices/%s.slice", names[i]);
                tree_put(&tree, path, "");
                expect_int(tree_load(&tree), POLICY_E_INVALID);
                expect_in(tree.text, "is not a valid name of a slice");
                expect_in(tree.text, "lib/slices/");
                expect_that(strchr(tree.text, '\x1b') == NULL, "%s", tree.text);
                tree_deinit(&tree);
        }
}

static void a_name_of_64_bytes_makes_no_slice(void) {
        struct tree tree;
        char path[128];

        tree_init(&tree);
        snprintf(path, sizeof(path), "etc/slices/%063d.slice", 7);
        tree_put(&tree, path, "");
        expect_int(tree_load(&tree), 0);
        snprintf(path, sizeof(path), "etc/slices/%064d.slice", 7);
        tree_put(&tree, path, "");
        expect_int(tree_load(&tree), POLICY_E_INVALID);
        tree_deinit(&tree);
}

static void a_refused_load_leaves_the_last_policy_alone(void) {
        struct policy_errors errors;
        struct policy *last;
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/broker.conf", "[Broker]\nMaxVMs=7\n");
        need_int(tree_load(&tree), 0);
        last = tree.policy;
        tree_put(&tree, "etc/broker.conf", "[Broker]\nMaxVMs=nan\n");
        expect_int(policy_load(&tree.policy, tree.etc, tree.lib, &errors), POLICY_E_INVALID);
        expect(tree.policy == last);
        expect_uint(tree.policy->broker.vms_max, 7);
        expect_uint(errors.n, 1);
        tree_deinit(&tree);
}

static void one_bad_file_among_many_refuses_the_set(void) {
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/slices/a.slice", "[Slice]\nMaxVMs=1\n");
        tree_put(&tree, "etc/slices/b.slice", "[Slice]\nMaxVMs=-1\n");
        tree_put(&tree, "etc/slices/c.slice", "[Slice]\nMaxVMs=1\n");
        expect_int(tree_load(&tree), POLICY_E_INVALID);
        expect(tree.policy == NULL);
        expect_uint(tree.errors.n, 1);
        expect_in(tree.text, "etc/slices/b.slice:2: [Slice] MaxVMs=: \"-1\" is not a count");
        tree_deinit(&tree);
}

static void all_errors_are_told_at_once_and_the_rest_counted(void) {
        char text[4096] = "[Broker]\n";
        struct tree tree;

        tree_init(&tree);
        for (unsigned i = 0; i < 40; i++)
                strcat(text, "MaxVMs=x\n");
        tree_put(&tree, "etc/broker.conf", text);
        expect_int(tree_load(&tree), POLICY_E_INVALID);
        expect_uint(tree.errors.n, POLICY_ERRORS_MAX);
        expect_uint(tree.errors.n_more, 40 - POLICY_ERRORS_MAX);
        expect_uint(tree.errors.list[0].line, 2);
        expect_uint(tree.errors.list[31].line, 33);
        tree_deinit(&tree);
}

static void too_many_slices_are_an_error_not_a_cut(void) {
        struct tree tree;

        tree_init(&tree);
        for (unsigned i = 0; i <= POLICY_SLICES_MAX; i++) {
                char path[64];

                snprintf(path, sizeof(path), "etc/slices/s%u.slice", i);
                tree_put(&tree, path, "");
        }
        expect_int(tree_load(&tree), POLICY_E_INVALID);
        expect_in(tree.text, "more than 1024");
        tree_deinit(&tree);
}

static void too_many_drop_ins_are_an_error_not_a_cut(void) {
        struct tree tree;

        tree_init(&tree);
        for (unsigned i = 0; i <= POLICY_DROPINS_MAX; i++) {
                char path[64];

                snprintf(path, sizeof(path), "etc/broker.conf.d/%u.conf", i);
                tree_put(&tree, path, "");
        }
        expect_int(tree_load(&tree), POLICY_E_INVALID);
        expect_in(tree.text, "more than 128");
        tree_deinit(&tree);
}

static void a_text_is_a_set_without_slices_judged_as_files_are(void) {
        static const char good[] = "[Capacity]\nCPU=8\nNetwork=1Gbps\n[Network]\nFullDuplex=yes\n",
                          bad[] = "[Capacity]\nMemory=1G\nCPUs=8\n[Reserve]\nMemory=2G\n";
        static struct policy_errors errors;
        struct policy *policy = NULL;

        need_int(policy_load_text(&policy, "host.conf", good, strlen(good), &errors), 0);
        expect_uint(policy->n_slices, 0);
        expect_uint(policy->broker.capacity.amount[RESOURCE_CPU], 8000);
        expect_uint(policy->broker.capacity.amount[RESOURCE_MEMORY], POLICY_AUTO);
        expect_uint(policy->broker.capacity.amount[RESOURCE_NETWORK_UPLOAD], 125000000);
        policy_free(policy);

        policy = NULL;
        expect_int(policy_load_text(&policy, "host.conf", bad, strlen(bad), &errors),
                   POLICY_E_INVALID);
        expect(!policy);
        need_uint(errors.n, 2);
        expect_str(errors.list[0].path, "host.conf");
        expect_uint(errors.list[0].line, 3);
        expect_uint(errors.list[1].line, 5);
}

UNIT_MAIN(
        TEST(a_text_is_a_set_without_slices_judged_as_files_are),
        TEST(nothing_at_all_means_defaults_and_no_slices),
        TEST(an_empty_slice_file_is_a_slice_of_defaults),
        TEST(every_kind_of_value_is_read),
        TEST(a_file_in_etc_replaces_the_vendors_of_the_same_name),
        TEST(drop_ins_are_read_by_name_from_all_four_directories),
        TEST(a_slice_has_drop_ins_too_whoever_shipped_it),
        TEST(drop_ins_without_their_slice_are_an_error),
        TEST(an_empty_drop_in_directory_is_nobodys_error),
        TEST(a_slice_lies_in_another_by_its_directory),
        TEST(slices_lie_four_deep_at_most),
        TEST(slices_without_the_one_they_lie_in_are_an_error),
        TEST(guarantees_inside_fit_the_slice_around_them),
        TEST(other_names_are_passed_over),
        TEST(an_empty_assignment_returns_to_the_default),
        TEST(slices_are_sorted_by_name_and_found_by_it),
        TEST(a_name_that_is_none_makes_no_slice),
        TEST(a_name_of_64_bytes_makes_no_slice),
        TEST(a_refused_load_leaves_the_last_policy_alone),
        TEST(one_bad_file_among_many_refuses_the_set),
        TEST(all_errors_are_told_at_once_and_the_rest_counted),
        TEST(too_many_slices_are_an_error_not_a_cut),
        TEST(too_many_drop_ins_are_an_error_not_a_cut),
)
