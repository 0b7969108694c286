/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_TESTS_POLICIES_TREE_H
#define PROVIUM_TESTS_POLICIES_TREE_H

/*
 * Two temporary directories, "etc" and "lib", in the place of /etc/provium and /usr/lib/provium,
 * and a load of them.
 */

#include <policies/policy.h>

struct tree {
        char path[64];
        char etc[80], lib[80];
        struct policy *policy; /* of the last load, NULL if it was refused */
        struct policy_errors errors;
        char text[4096]; /* the errors of the last load, one per line, without the path of the tree */
};

/* Makes the directories, and removes them with everything in them and the policy. */
void tree_init(struct tree *tree);
void tree_deinit(struct tree *tree);

/* Writes @text (@length bytes, or a string) to @name, "etc/slices/a.slice"; makes its directories. */
void tree_put(struct tree *tree, const char *name, const char *text);
void tree_put_bytes(struct tree *tree, const char *name, const char *bytes, size_t length);

/* The whole path of @name, in a buffer that the next call overwrites. */
const char *tree_path(struct tree *tree, const char *name, char buffer[256]);

/* Loads the tree; what it says is in the struct. Returns what policy_load() returned. */
int tree_load(struct tree *tree);

#endif
