/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_POLICIES_VALUE_H
#define PROVIUM_POLICIES_VALUE_H

/*
 * One value: from the text an operator wrote into the struct its key points to, and back.
 */

#include <policies/keys.h>

struct why;

#define VALUE_TEXT_MAX 256 /* enough for every value that is not a list */

/*
 * Reads @text into @object (the struct of the key's file). An empty text is the default. Answers
 * POLICY_E_INVALID and leaves the value alone if it is not valid; negative if out of memory.
 */
_must_check_ int value_parse(const struct key *key, const char *text, void *object,
                             struct why *why);

/* Sets every value of @file in @object to its default. Negative if out of memory. */
_must_check_ int value_set_defaults(enum policy_file file, void *object);

/* Prints the value of @key, which is not a list, so that value_parse() reads the same. */
const char *value_format(const struct key *key, const void *object, char *buffer, size_t size);

/* How a value of this type is written, for a manual: "size", "yes or no". */
const char *value_type_name(enum key_type type);

#endif
