/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include <policies/policy.h>

struct policy *policy_free(struct policy *policy) {
        if (!policy)
                return NULL;
        for (size_t i = 0; i < policy->n_slices; i++) {
                free(policy->slices[i].users);
                free(policy->slices[i].groups);
        }
        free(policy->slices);
        free(policy);
        return NULL;
}

static int compare_slice(const void *name, const void *slice) {
        return strcmp(name, ((const struct slice_policy *)slice)->name);
}

const struct slice_policy *policy_find_slice(const struct policy *policy, const char *name) {
        if (policy->n_slices == 0)
                return NULL;
        return bsearch(name, policy->slices, policy->n_slices, sizeof(*policy->slices),
                       compare_slice);
}
