/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_POLICIES_TREES_H
#define PROVIUM_POLICIES_TREES_H

/*
 * The directories that are open during a load, and the files of slices found in them. A slice that
 * lies in another has its file in a directory of that one's name: slices/ci.slice, and inside it
 * slices/ci/nightly.slice, which is the slice "ci/nightly".
 */

#include <policies/sources.h>

struct policy;

struct trees {
        struct dir roots[_TREES_N], slices[_TREES_N];
        char **names; /* "ci.slice", "ci/nightly.slice", sorted */
        size_t n_names;
        char **insides; /* whose directories were looked into: "", "ci" */
        size_t n_insides;
};

#define TREES_NULL                                                                                 \
        {                                                                                          \
                .roots = {DIR_NULL, DIR_NULL}, .slices = { DIR_NULL, DIR_NULL }                    \
        }

/* Opens both trees, of which either may be missing, and lists the slices. Negative if out of
 * memory; trees_deinit() either way. */
_must_check_ int trees_open(struct trees *trees, const char *config_dir, const char *vendor_dir,
                            struct policy_errors *errors);
void trees_deinit(struct trees *trees);

/* Opens what both trees have for the slices in slice @inside ("": in none), to be closed again. */
void trees_open_inside(const struct trees *trees, const char *inside, struct dir dirs[_TREES_N],
                       struct policy_errors *errors);
void trees_close_inside(struct dir dirs[_TREES_N]);

/* Drop-ins and slices that nobody reads are limits somebody believes in: notes them as errors.
 * Negative if out of memory. */
_must_check_ int trees_check_orphans(const struct trees *trees, const struct policy *policy,
                                     struct policy_errors *errors);

#endif
