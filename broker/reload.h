/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_RELOAD_H
#define PROVIUM_BROKER_RELOAD_H

/*
 * The policies: read as a whole or not at all, then taken into the books. Nothing that runs is
 * killed by a lower limit; nothing more is admitted until it fits again.
 */

#include <base/macro.h>

struct broker;
struct policy;
struct policy_errors;
struct why;

/* Reads them; every error is logged. Answers BROKER_E_POLICY; negative: out of memory. */
_must_check_ int policies_load(struct broker *broker, struct policy_errors *errors,
                               struct policy **policyp, struct why *why);

/* Counts anew what the ledger may sell: the GPUs have changed. */
void policies_count(struct broker *broker);

/* Takes broker->policy into the books, the slices and the guarantees of what runs. Negative on a
 * fault. */
_must_check_ int policies_apply(struct broker *broker);

/* Both, for a running broker. Answers BROKER_E_POLICY with the errors logged and in @errors; the
 * last good ones stay in force. */
_must_check_ int policies_reload(struct broker *broker, struct policy_errors *errors,
                                 struct why *why);

#endif
