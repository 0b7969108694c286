/* SPDX-License-Identifier: MIT */
#include <admission/claim.h>

static const char *const reason_names[_WAIT_REASON_N] = {
        [WAIT_NONE] = "none",
        [WAIT_POOL_FULL] = "pool_full",
        [WAIT_SLICE_FULL] = "slice_full",
        [WAIT_USER_QUOTA] = "user_quota",
        [WAIT_MEMORY_AVAILABLE] = "memory_available",
        [WAIT_PSI_PRESSURE] = "psi_pressure",
        [WAIT_DRAINING] = "draining",
        [WAIT_QUEUED] = "queued",
        [WAIT_RECONNECT] = "reconnect",
};

const char *wait_reason_name(enum wait_reason reason) {
        assert(reason < _WAIT_REASON_N);
        return reason_names[reason];
}

uint64_t claim_key(const struct claim *claim, uint64_t age_step_ns) {
        uint64_t behind, key;
        int64_t priority = claim->priority;

        if (priority > CLAIM_PRIORITY_MAX)
                priority = CLAIM_PRIORITY_MAX;
        if (priority < -CLAIM_PRIORITY_MAX)
                priority = -CLAIM_PRIORITY_MAX;
        if (__builtin_mul_overflow((uint64_t)(CLAIM_PRIORITY_MAX - priority), age_step_ns,
                                   &behind) ||
            __builtin_add_overflow(claim->order, behind, &key))
                return UINT64_MAX;
        return key;
}

void claim_update_least(struct tree_node *place) {
        struct claim *claim = claim_at(place);
        const struct claim *below[] = {claim_at(place->left), claim_at(place->right)};

        for (unsigned i = 0; i < _RESOURCE_N; i++)
                claim->least.amount[i] = claim->demand.amount[i];
        claim->least.time_usec = claim->time_usec ?: UINT64_MAX;
        for (unsigned side = 0; side < ARRAY_SIZE(below); side++) {
                if (!below[side])
                        continue;
                for (unsigned i = 0; i < _RESOURCE_N; i++)
                        claim->least.amount[i] =
                                min_u64(claim->least.amount[i], below[side]->least.amount[i]);
                claim->least.time_usec =
                        min_u64(claim->least.time_usec, below[side]->least.time_usec);
        }
}

/* All of it was charged to one ledger, whose sum does not overflow. */
void claim_update_ending(struct tree_node *end) {
        struct claim *claim = claim_ending(end);
        const struct claim *below[] = {claim_ending(end->left), claim_ending(end->right)};

        claim->ending_axes = claim->axes;
        for (unsigned side = 0; side < ARRAY_SIZE(below); side++)
                if (below[side] && below[side]->ending_axes > claim->ending_axes)
                        claim->ending_axes = below[side]->ending_axes;
        for (unsigned i = 0; i < claim->ending_axes; i++)
                claim->ending.amount[i] = claim->demand.amount[i];
        for (unsigned side = 0; side < ARRAY_SIZE(below); side++)
                for (unsigned i = 0; below[side] && i < below[side]->ending_axes; i++)
                        claim->ending.amount[i] += below[side]->ending.amount[i];
}
