/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_QUOTA_H
#define PROVIUM_BROKER_QUOTA_H

/*
 * Disk space that is held by the kernel: a project quota of the claim on the images that are the
 * VM's own (ext4 and XFS; ProjectQuota=yes in [Disk]).
 *
 * The number of the project is drawn at random and stands in the lease's record before it is used.
 * The child puts the files under it (launcher/child), and when the VM has ended, a thread of the
 * launcher's takes them out and the limit away: both may wait for the disk, as nothing here does.
 * After a restart the files are not known any more; then the limit goes, and they keep a number
 * that means nothing and is replaced at their next start.
 */

#include <jansson.h>

#include <base/macro.h>

struct lease;

/* Decides whether the VM gets a quota, and draws its number; lease->quota is NULL if not, and
 * lease->detail or a note of quota_report() says why. Before the record is written. Negative: out
 * of memory. */
int quota_prepare(struct lease *lease);

/* What the child has made of it, after it was executed or failed; the record is written again. */
void quota_note(struct lease *lease);

/* A VM found in the tree, by its record. Negative: out of memory. */
int quota_adopt(struct lease *lease);

/*
 * Has the launcher take everything away; its processes have ended. Answers 1 while that is on its
 * way, and calls @cleared on the loop when it is done; 0: there was nothing to do, or it is done.
 * Negative: out of memory. A launcher that is not there, or ends meanwhile, leaves a limit of
 * nobody's, which is logged, and held against nobody.
 */
typedef int (*quota_cleared_fn)(struct lease *lease);
int quota_release(struct lease *lease, quota_cleared_fn cleared);
/* Is that on its way? */
bool quota_is_released(const struct lease *lease);

/* How its disk space is held, for `show`. */
void quota_report(const struct lease *lease, json_t *limits, json_t *notes);

#endif
