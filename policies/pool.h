/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_POLICIES_POOL_H
#define PROVIUM_POLICIES_POOL_H

/*
 * What [Pool] Mode= makes of the other sections: for the broker, and for whoever asks what a broker
 * with this policy would do.
 */

#include <base/demand.h>

struct broker_policy;

/*
 * What there is of CPUs and memory to be sold in a fixed or an auto pool: of what @capacity holds
 * of them, or POLICY_AUTO where that is not known, and then it stays so.
 */
void pool_apply_capacity(const struct broker_policy *policy, struct demand *capacity);

/*
 * What is kept for the host and how often the rest is sold: of CPUs and memory @reserve and
 * @ratio_milli, which hold what the policy says, are changed where the pool is fixed or auto.
 */
void pool_apply_terms(const struct broker_policy *policy, struct demand *reserve,
                      struct demand *ratio_milli);

/* How many CPUs may run at a time, in thousandths, of @capacity_milli (0: not known); UINT64_MAX:
 * any number. */
uint64_t pool_cpus_at_a_time(const struct broker_policy *policy, uint64_t capacity_milli);

#endif
