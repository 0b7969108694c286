/* SPDX-License-Identifier: MIT */

/*
 * [GPU]: which may be given away, and what is done to them for it.
 */

#include <stdio.h>

#include <policies/policy.h>

#include "tree.h"
#include "unit.h"

static void a_host_without_a_word_lends_what_is_bound_already(void) {
        const struct gpu_policy *gpu;
        struct tree tree;

        tree_init(&tree);
        need_int(tree_load(&tree), 0);
        gpu = &tree.policy->broker.gpu;
        expect_str(gpu->devices, "");
        expect(!gpu->bind);
        expect(!gpu->give_back);
        expect_str(gpu->mdev_type, "");
        tree_deinit(&tree);
}

static void every_key_of_the_gpus_is_read(void) {
        const struct gpu_policy *gpu;
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/broker.conf",
                 "[GPU]\nDevices=0000:01:00.0  0000:41:*\nBind=yes\nGiveBack=yes\n"
                 "MdevType=GRID A100-10C\n");
        need_int(tree_load(&tree), 0);
        gpu = &tree.policy->broker.gpu;
        expect_str(gpu->devices, "0000:01:00.0  0000:41:*");
        expect(gpu->bind);
        expect(gpu->give_back);
        expect_str(gpu->mdev_type, "GRID A100-10C");
        tree_deinit(&tree);
}

static void what_is_no_address_is_refused(void) {
        static const char *const bad[] = {
                "01:00.0", "0000:01:00.0,0000:02:00.0", "nvidia0", "0000:0A:00.0", "0000:41:**",
                "-",       "0000:01:00.0 /x",           "0000:41"};

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct tree tree;
                char text[128];

                tree_init(&tree);
                snprintf(text, sizeof(text), "[GPU]\nDevices=%s\n", bad[i]);
                tree_put(&tree, "etc/broker.conf", text);
                expect_that(tree_load(&tree) == POLICY_E_INVALID, "\"%s\"", bad[i]);
                expect_in(tree.text, "[GPU] Devices=: give addresses of the PCI bus");
                tree_deinit(&tree);
        }
}

UNIT_MAIN(TEST(a_host_without_a_word_lends_what_is_bound_already),
          TEST(every_key_of_the_gpus_is_read), TEST(what_is_no_address_is_refused))
