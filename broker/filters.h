/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_FILTERS_H
#define PROVIUM_BROKER_FILTERS_H

/*
 * What the slices' policies need compiled: the seccomp lists that they name, when the policy is
 * loaded, and the programs for their devices, when a VM first needs one. A set belongs to the
 * policy it was made for; a launch holds it until its child no longer reads it.
 */

#include <base/macro.h>

struct device_rule;
struct filters;
struct options;
struct policy;
struct sock_fprog;
struct why;

/*
 * Compiles every list that a slice of @policy names, from seccomp/ below the configuration
 * directory or the vendor's. Answers BROKER_E_POLICY; negative: out of memory. *filtersp is the
 * caller's.
 */
_must_check_ int filters_load(struct filters **filtersp, const struct options *options,
                              const struct policy *policy, struct why *why);

struct filters *filters_ref(struct filters *filters);
struct filters *filters_unref(struct filters *filters); /* takes NULL, returns NULL */

/* The program of list @name, borrowed; NULL for "" and "none". */
const struct sock_fprog *filters_seccomp(const struct filters *filters, const char *name);

/*
 * Puts it in force for the group @dir_fd that its processes open no devices but those named in
 * @devices (Devices=), terminals of their own, and what @extra allows (its disks that are block
 * devices, its GPUs), at most FILTERS_EXTRA_MAX rules. @dev_dir: the host's /dev. Answers
 * CGROUP_E_*.
 */
#define FILTERS_EXTRA_MAX 48
_must_check_ int filters_confine(struct filters *filters, const char *dev_dir, int dir_fd,
                                 const char *devices, const struct device_rule *extra,
                                 size_t n_extra, struct why *why);

#endif
