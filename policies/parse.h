/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_POLICIES_PARSE_H
#define PROVIUM_POLICIES_PARSE_H

/*
 * The text of one file into one object, from memory: what the loader calls for each file and
 * drop-in, and what the fuzzer calls.
 */

#include <policies/keys.h>

struct policy_errors;

/* One object while its files are read: what it is, and where each value was last assigned. */
struct unit {
        enum policy_file file;
        void *object; /* struct broker_policy or slice_policy, borrowed */
        struct policy_errors *errors;
        struct place {
                const char *path; /* borrowed from the caller of parse_text(); NULL: the default */
                unsigned line;
        } places[KEYS_N];
};

/*
 * Reads @text (@length bytes, NULs inside allowed and refused) into the unit's object and notes
 * every error with @path, which must stay as long as the unit. Negative if out of memory, else 0;
 * whether there were errors is in the unit's list.
 */
_must_check_ int parse_text(struct unit *unit, const char *path, const char *text, size_t length);

/* Where the value at @offset of the object was assigned: the key, or NULL if there is none. */
const struct key *unit_find(const struct unit *unit, size_t offset, struct place *placep);

#endif
