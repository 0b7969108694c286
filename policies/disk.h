/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_POLICIES_DISK_H
#define PROVIUM_POLICIES_DISK_H

/*
 * The directories of [Disk]. (Where they are, policy_disk_directory(), is in policies/policy.h.)
 */

#include <policies/policy.h>

/* What the operator wrote for @share, "" if nothing. */
const char *disk_share_written(const struct broker_policy *broker, enum disk_share share);

/* Where that is written in a struct broker_policy. */
size_t disk_share_offset(enum disk_share share);

/* Whether @path is @directory or lies in it, both absolute; by their texts alone. */
bool disk_path_within(const char *path, const char *directory);

#endif
