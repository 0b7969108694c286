/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_POLICIES_NETWORK_H
#define PROVIUM_POLICIES_NETWORK_H

/*
 * The lists of [Network]: the addresses of the broker's bridge, and the bridges that the VMs of a
 * slice may join. (The judgement, policy_may_join(), is in policies/policy.h.)
 */

#include <base/macro.h>

struct broker_policy;
struct slice_policy;
struct why;

/*
 * Adds the addresses, or names of bridges, in @text (separated by blanks or commas) to the list of
 * @broker or @slice; an empty text clears it. What is in the list already is passed over. "*" among
 * the bridges is any. Answers POLICY_E_INVALID with the word that is not valid, and then adds none;
 * negative if out of memory.
 */
_must_check_ int network_add_addresses(struct broker_policy *broker, const char *text,
                                       struct why *why);
_must_check_ int network_add_bridges(struct slice_policy *slice, const char *text, struct why *why);

#endif
