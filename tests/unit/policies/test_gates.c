/* SPDX-License-Identifier: MIT */
/* [Pool] and [Gates]: what is there by default, and what is refused. */
#include "tree.h"
#include "unit.h"

static void by_default_the_pool_is_oversubscribed_and_pressure_is_heeded(void) {
        const struct broker_policy *broker;
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/broker.conf", "");
        need_int(tree_load(&tree), 0);
        broker = &tree.policy->broker;
        expect_int(broker->pool.mode, POOL_OVERSUBSCRIBED);
        expect_uint(broker->pool.overcommit_milli, 1000);
        expect_int(broker->gates.psi, GATE_USE_AUTO);
        expect_uint(broker->gates.cpu_pressure_milli, 500);
        expect_uint(broker->gates.memory_pressure_milli, 100);
        expect_uint(broker->gates.io_pressure_milli, POLICY_NONE);
        expect_uint(broker->gates.resume_milli, 600);
        expect_int(broker->gates.memory, GATE_USE_AUTO);
        expect_uint(broker->gates.host_reserve_bytes, 1536ULL << 20);
        expect_uint(broker->gates.cpu_milli_max, POLICY_AUTO);
        expect(broker->ksm);
        tree_deinit(&tree);
}

static void a_fixed_pool_states_its_budget(void) {
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/broker.conf", "[Pool]\nMode=fixed\n");
        expect_int(tree_load(&tree), POLICY_E_INVALID);
        expect_in(tree.text, "broker.conf:2: [Pool] Mode=: fixed needs Memory= and Cpus=");
        tree_put(&tree, "etc/broker.conf", "[Pool]\nMode=fixed\nCpus=4\n");
        expect_int(tree_load(&tree), POLICY_E_INVALID);
        tree_put(&tree, "etc/broker.conf",
                 "[Pool]\nMode=fixed\nMemory=4G\nCpus=2.5\nCpuOvercommit=99\n");
        need_that(tree_load(&tree) == 0, "%s", tree.text);
        expect_uint(tree.policy->broker.pool.cpu_milli, 2500);
        expect_uint(tree.policy->broker.pool.overcommit_milli, 8000);
        expect(tree.policy->broker.pool.overcommit_clamped);
        tree_deinit(&tree);
}

static void expect_refused(const char *line, const char *valid) {
        char text[128];
        struct tree tree;

        tree_init(&tree);
        snprintf(text, sizeof(text), "[Gates]\n%s\n", line);
        tree_put(&tree, "etc/broker.conf", text);
        expect_int(tree_load(&tree), POLICY_E_INVALID);
        expect_in(tree.text, "broker.conf:2");
        expect_in(tree.text, valid);
        tree_deinit(&tree);
}

static void what_no_gate_can_mean_is_refused_with_what_is_valid(void) {
        expect_refused("PSI=maybe", "auto, yes, no");
        expect_refused("CpuPressure=1.5", "1");
        expect_refused("CpuPressure=-0.5", "CpuPressure");
        expect_refused("CpuPressure=0", "CpuPressure");
        expect_refused("Resume=0", "Resume");
        expect_refused("Pace=1ms", "100ms");
        expect_refused("HostReserve=much", "HostReserve");
        expect_refused("MaxCpus=0", "MaxCpus");
}

UNIT_MAIN(TEST(by_default_the_pool_is_oversubscribed_and_pressure_is_heeded),
          TEST(a_fixed_pool_states_its_budget),
          TEST(what_no_gate_can_mean_is_refused_with_what_is_valid), )
