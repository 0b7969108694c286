/* SPDX-License-Identifier: MIT */

/*
 * What the policies mean for one VM: the slice's word goes before the broker's.
 */

#include <policies/policy.h>

#include <base/why.h>

#define PIDS_BASE 64
#define PIDS_PER_CPU 16

void policy_default_claim(const struct policy *policy, const struct slice_policy *slice,
                          struct demand *claim) {
        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                uint64_t amount = slice->vm_claim.amount[i];

                if (amount == POLICY_AUTO)
                        amount = policy->broker.claim.amount[i];
                if (amount != POLICY_AUTO)
                        amount = min_u64(amount, slice->vm_max.amount[i]);
                claim->amount[i] = amount;
        }
}

int policy_check_claim(const struct slice_policy *slice, const struct demand *claim,
                       struct why *why) {
        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                uint64_t amount = claim->amount[i], most = slice->vm_max.amount[i];
                char asked[32], valid[32];

                if (amount == POLICY_AUTO || amount <= most)
                        continue;
                return why_set(why, POLICY_E_TOO_BIG,
                               "one VM of slice \"%s\" may have at most %s of %s, not %s",
                               slice->name, resource_format(i, most, valid, sizeof(valid)),
                               resource_name(i), resource_format(i, amount, asked, sizeof(asked)));
        }
        return 0;
}

static uint64_t override(uint64_t slice, uint64_t broker) {
        return slice == POLICY_AUTO ? broker : slice;
}

void policy_vm(const struct policy *policy, const struct slice_policy *slice, uint64_t cpu_milli,
               struct vm_policy *vm) {
        const struct broker_policy *broker = &policy->broker;

        vm->memory_high_milli = override(slice->memory_high_milli, broker->memory_high_milli);
        vm->swap_max_bytes = override(slice->swap_max_bytes, broker->swap_max_bytes);
        vm->pids_max = override(slice->pids_max, broker->pids_max);
        vm->grace_usec = override(slice->grace_usec, broker->grace_usec);
        if (vm->pids_max == POLICY_AUTO)
                vm->pids_max =
                        PIDS_BASE + PIDS_PER_CPU * (cpu_milli / 1000 + (cpu_milli % 1000 > 0));
}
