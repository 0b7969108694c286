/* SPDX-License-Identifier: MIT */
#include <policies/policy.h>
#include <policies/pool.h>

static const enum resource pooled[] = {RESOURCE_CPU, RESOURCE_MEMORY};

void pool_apply_capacity(const struct broker_policy *policy, struct demand *capacity) {
        uint64_t *memory = &capacity->amount[RESOURCE_MEMORY];

        switch (policy->pool.mode) {
        case POOL_FIXED:
                capacity->amount[RESOURCE_CPU] = policy->pool.cpu_milli;
                *memory = policy->pool.memory_bytes;
                break;
        case POOL_AUTO:
                if (*memory != POLICY_AUTO)
                        *memory = *memory / 5 * 4;
                break;
        case POOL_OVERSUBSCRIBED:
        case _POOL_MODE_N:
                break;
        }
}

void pool_apply_terms(const struct broker_policy *policy, struct demand *reserve,
                      struct demand *ratio_milli) {
        if (policy->pool.mode == POOL_OVERSUBSCRIBED)
                return;
        for (size_t i = 0; i < ARRAY_SIZE(pooled); i++) {
                reserve->amount[pooled[i]] = 0;
                ratio_milli->amount[pooled[i]] = 1000;
        }
        if (policy->pool.mode == POOL_FIXED)
                ratio_milli->amount[RESOURCE_CPU] = policy->pool.overcommit_milli;
}

uint64_t pool_cpus_at_a_time(const struct broker_policy *policy, uint64_t capacity_milli) {
        uint64_t most = policy->gates.cpu_milli_max;

        if (most != POLICY_AUTO)
                return most == POLICY_NONE ? UINT64_MAX : most;
        if (policy->pool.mode != POOL_AUTO || capacity_milli == 0)
                return UINT64_MAX;
        return max_u64(2, capacity_milli / 2000) * 1000;
}
