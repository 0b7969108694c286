/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_POLICIES_CHECK_H
#define PROVIUM_POLICIES_CHECK_H

/*
 * What no single value can get wrong alone: the sums and comparisons between them.
 */

struct policy;
struct policy_errors;
struct unit;

/* Judges the values of one object after all its files are read, and clamps its ratios. Errors point
 * at the line where the value in question was assigned. */
void check_broker(const struct unit *unit);
void check_slice(const struct unit *unit);

/* Judges the set as a whole: guarantees against the configured capacity. */
void check_policy(const struct policy *policy, struct policy_errors *errors);

#endif
