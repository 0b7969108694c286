/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_POLICIES_ERRORS_H
#define PROVIUM_POLICIES_ERRORS_H

/*
 * Collecting what is wrong: a load goes on after an error, so that an operator sees all of them at
 * once. The list is bounded, and what does not fit is counted. (The struct itself and the printing
 * of one error are in policies/policy.h.)
 */

#include <base/macro.h>

struct policy_errors;

/*
 * Notes an error at @path (as given to the load), @line (0: the file as a whole), @section and @key
 * ("" or NULL: none; both may be raw text from a file, and are escaped).
 */
void errors_add(struct policy_errors *errors, const char *path, unsigned line, const char *section,
                const char *key, const char *format, ...) _printf_(6, 7);

bool errors_any(const struct policy_errors *errors);

#endif
