/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_POLICIES_QUOTAS_H
#define PROVIUM_POLICIES_QUOTAS_H

/*
 * The lists of [Quota]: what a user, or the members of a group, may hold in all slices together.
 *
 *     User=alice CPU=8 Memory=16G MaxVMs=20
 *     User=* MaxQueued=100
 *     Group=students CPU=32
 */

#include <stdio.h>

#include <base/macro.h>

struct broker_policy;
struct why;

/*
 * Adds the quota in @text to those of users, or groups; another of the same one replaces it, an
 * empty text removes all. Answers POLICY_E_INVALID, and adds nothing, if it is not valid; negative
 * if out of memory.
 */
_must_check_ int quotas_add_user(struct broker_policy *broker, const char *text, struct why *why);
_must_check_ int quotas_add_group(struct broker_policy *broker, const char *text, struct why *why);

/* Prints them as assignments of @key that read the same; "KEY=" if there are none. */
void quotas_show_users(FILE *out, const char *key, const struct broker_policy *broker);
void quotas_show_groups(FILE *out, const char *key, const struct broker_policy *broker);

#endif
