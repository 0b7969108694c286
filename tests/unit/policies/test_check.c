/* SPDX-License-Identifier: MIT */

/*
 * What no single value can get wrong alone.
 */

#include <string.h>

#include "tree.h"
#include "unit.h"

/* Loads a broker.conf and one slice, and expects one error, or none if @error is NULL. */
static void expect_set(const char *broker, const char *slice, const char *error) {
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/broker.conf", broker);
        tree_put(&tree, "etc/slices/a.slice", slice);
        expect_int(tree_load(&tree), error ? POLICY_E_INVALID : 0);
        expect_that(tree.errors.n == (error ? 1 : 0), "%s", tree.text);
        if (error)
                expect_in(tree.text, error);
        tree_deinit(&tree);
}

static void ratios_are_moved_into_their_range_and_told(void) {
        const struct broker_policy *broker;
        const struct slice_policy *slice;
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/broker.conf",
                 "[Ratio]\nCPU=8.001\nMemory=0.001\nDisk=16\nDiskIO=9223372036854775\nNetwork=0."
                 "5\n");
        tree_put(&tree, "etc/slices/a.slice", "[Ratio]\nCPU=9\nGPU=0.1\n");
        need_int(tree_load(&tree), 0);
        broker = &tree.policy->broker;
        expect_uint(broker->ratio_milli.amount[RESOURCE_CPU], 8000);
        expect(broker->ratio_clamped[RESOURCE_CPU]);
        expect_uint(broker->ratio_milli.amount[RESOURCE_MEMORY], 500);
        expect(broker->ratio_clamped[RESOURCE_MEMORY]);
        expect_uint(broker->ratio_milli.amount[RESOURCE_DISK], 16000);
        expect(!broker->ratio_clamped[RESOURCE_DISK]);
        expect_uint(broker->ratio_milli.amount[RESOURCE_DISK_IO], 16000);
        expect(broker->ratio_clamped[RESOURCE_DISK_IO]);
        expect_uint(broker->ratio_milli.amount[RESOURCE_NETWORK], 500);
        expect(!broker->ratio_clamped[RESOURCE_NETWORK]);
        slice = &tree.policy->slices[0];
        expect_uint(slice->ratio_milli.amount[RESOURCE_CPU], 8000);
        expect(slice->ratio_clamped[RESOURCE_CPU]);
        expect_uint(slice->ratio_milli.amount[RESOURCE_GPU], 500);
        expect(slice->ratio_clamped[RESOURCE_GPU]);
        tree_deinit(&tree);
}

static void a_ratio_mended_by_a_drop_in_is_not_told(void) {
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/broker.conf", "[Ratio]\nCPU=100\n");
        tree_put(&tree, "etc/broker.conf.d/x.conf", "[Ratio]\nCPU=3\n");
        need_int(tree_load(&tree), 0);
        expect_uint(tree.policy->broker.ratio_milli.amount[RESOURCE_CPU], 3000);
        expect(!tree.policy->broker.ratio_clamped[RESOURCE_CPU]);
        tree_deinit(&tree);
}

static void a_reserve_above_the_capacity_is_refused(void) {
        expect_set("[Capacity]\nMemory=1G\n[Reserve]\nMemory=2G\n", "",
                   "etc/broker.conf:4: [Reserve] Memory=: 2G is more than the [Capacity], 1G");
        expect_set("[Capacity]\nMemory=1G\n[Reserve]\nMemory=1G\n", "", NULL);
        expect_set("[Reserve]\nMemory=2000T\n", "", NULL); /* the capacity is discovered */
}

static void an_error_points_into_the_drop_in_that_caused_it(void) {
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/broker.conf", "[Capacity]\nCPU=4\n");
        tree_put(&tree, "etc/broker.conf.d/x.conf", "\n[Reserve]\nCPU=5\n");
        expect_int(tree_load(&tree), POLICY_E_INVALID);
        expect_str(tree.text, "etc/broker.conf.d/x.conf:3: [Reserve] CPU=: 5 is more than the "
                              "[Capacity], 4\n");
        tree_deinit(&tree);
}

static void a_default_claim_above_the_maximum_is_refused(void) {
        expect_set("", "[VM]\nMaxCPU=1\nCPU=1.001\n",
                   "etc/slices/a.slice:3: [VM] CPU=: 1.001 is more than one VM's maximum, 1");
        expect_set("", "[VM]\nMaxCPU=1\nCPU=1\n", NULL);
        expect_set("", "[VM]\nMaxMemory=256M\n", NULL); /* the broker's default is cut */
        expect_set("", "[VM]\nMaxNetwork=1Gbps\nNetwork=2Gbps\n",
                   "[VM] Network=: 250MB/s is more than one VM's maximum, 125MB/s");
}

static void a_default_claim_above_the_slice_is_refused(void) {
        expect_set("", "[Slice]\nCPU=1\n[VM]\nCPU=2\n",
                   "etc/slices/a.slice:4: [VM] CPU=: 2 is more than the slice's limit times its "
                   "ratio, 1");
        expect_set("", "[Slice]\nCPU=1\n[Ratio]\nCPU=2\n[VM]\nCPU=2\n", NULL);
}

static void a_maximum_above_the_slice_is_allowed(void) {
        expect_set("", "[Slice]\nCPU=1\n[VM]\nMaxCPU=2\n", NULL);
}

static void a_guarantee_above_the_slices_own_limit_is_refused(void) {
        expect_set("", "[Slice]\nMemory=1G\n[Guarantee]\nMemory=2G\n",
                   "etc/slices/a.slice:4: [Guarantee] Memory=: 2G is more than the slice's limit");
        expect_set("", "[Slice]\nMemory=1G\n[Guarantee]\nMemory=1G\n", NULL);
}

static void guarantees_are_not_oversubscribed(void) {
        static const char broker[] = "[Capacity]\nCPU=8\nMemory=64G\n[Reserve]\nCPU=2\n";
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/broker.conf", broker);
        tree_put(&tree, "etc/slices/a.slice", "[Guarantee]\nCPU=3\nMemory=32G\n");
        tree_put(&tree, "etc/slices/b.slice", "[Guarantee]\nCPU=3\nMemory=32G\nDisk=9T\n");
        expect_int(tree_load(&tree), 0);

        tree_put(&tree, "etc/slices/c.slice", "[Guarantee]\nCPU=0.001\n");
        expect_int(tree_load(&tree), POLICY_E_INVALID);
        expect_str(tree.text,
                   "etc/slices/c.slice: [Guarantee] CPU=: with this slice, the guarantees "
                   "add up to 6.001, more than the configured capacity can hold, 6\n");
        tree_deinit(&tree);

        expect_set("[Capacity]\nGPU=4\n[Ratio]\nGPU=0.5\n", "[Guarantee]\nGPU=3\n",
                   "[Guarantee] GPU=: with this slice, the guarantees add up to 3");
        expect_set("[Capacity]\nCPU=4\n[Ratio]\nCPU=8\n", "[Guarantee]\nCPU=5\n",
                   "more than the configured capacity can hold, 4");
}

static void sums_and_products_at_the_edge_do_not_wrap(void) {
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/broker.conf",
                 "[Capacity]\nMemory=9223372036854775807\n[Ratio]\nMemory=16\n");
        tree_put(&tree, "etc/slices/a.slice",
                 "[Slice]\nMemory=9223372036854775807\n[Ratio]\nMemory=16\n"
                 "[Guarantee]\nMemory=9223372036854775807\n[VM]\nMemory=9223372036854775807\n");
        expect_int(tree_load(&tree), 0);
        tree_put(&tree, "etc/slices/b.slice", "[Guarantee]\nMemory=9223372036854775807\n");
        tree_put(&tree, "etc/slices/c.slice", "[Guarantee]\nMemory=9223372036854775807\n");
        expect_int(tree_load(&tree), POLICY_E_INVALID);
        expect_uint(tree.errors.n, 1);
        expect_in(tree.text, "etc/slices/b.slice: [Guarantee] Memory=");
        tree_deinit(&tree);
}

UNIT_MAIN(
        TEST(ratios_are_moved_into_their_range_and_told),
        TEST(a_ratio_mended_by_a_drop_in_is_not_told),
        TEST(a_reserve_above_the_capacity_is_refused),
        TEST(an_error_points_into_the_drop_in_that_caused_it),
        TEST(a_default_claim_above_the_maximum_is_refused),
        TEST(a_default_claim_above_the_slice_is_refused),
        TEST(a_maximum_above_the_slice_is_allowed),
        TEST(a_guarantee_above_the_slices_own_limit_is_refused),
        TEST(guarantees_are_not_oversubscribed),
        TEST(sums_and_products_at_the_edge_do_not_wrap),
)
