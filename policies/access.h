/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_POLICIES_ACCESS_H
#define PROVIUM_POLICIES_ACCESS_H

/*
 * Who may use a slice: the lists Users= and Groups=, resolved to numbers when a file is loaded, so
 * that a claim is judged without asking anybody. (The judgement itself, policy_check_access(), is
 * in policies/policy.h.)
 */

#include <stdio.h>

#include <base/macro.h>

struct policy_user;
struct slice_policy;
struct why;

/*
 * Adds the users, or groups, named in @text (names or numbers, separated by blanks or commas) to
 * the list of @slice; an empty text clears it. "*" among the users is everybody. Answers
 * POLICY_E_INVALID with the word that is not valid, the words before it being added; negative if
 * out of memory.
 */
_must_check_ int access_add_users(struct slice_policy *slice, const char *text, struct why *why);
_must_check_ int access_add_groups(struct slice_policy *slice, const char *text, struct why *why);

/* A user that VMs run as: "caller", "dynamic", a name, or a number, whose group is that of its
 * entry in the user database or, if there is none, of the same number. Answers POLICY_E_INVALID. */
_must_check_ int access_parse_user(struct policy_user *user, const char *text, struct why *why);

/* The number of the user (or group) that @word names, or is. Answers POLICY_E_INVALID; negative if
 * out of memory. */
_must_check_ int access_find(const char *word, bool user, uint32_t *idp, struct why *why);

/* Prints a user (or group) such that access_find() finds it again: by name, if that can be. */
void access_print(FILE *out, uint32_t id, bool user);

#endif
