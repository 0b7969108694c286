/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_SLICE_IO_H
#define PROVIUM_BROKER_SLICE_IO_H

/*
 * What a slice as a whole may do on each disk that its VMs use: DiskIO= in [Limit], in io.max of
 * the slice's group.
 *
 * It is set before the first VM uses the disk. When the policy changes, or somebody else changed
 * it, the whole slice is frozen for the moment of the change (cgroup/freeze.h), which is a matter
 * of milliseconds; a slice whose VMs wait too long for their disk runs on, and it is tried again.
 */

#include <base/macro.h>

struct broker;
struct lease;
struct slice;
struct why;

/* For the disks of a VM that is about to start. Answers CGROUP_E_*. */
_must_check_ int slice_io_make(struct lease *lease, struct why *why);

/* Compares; what differs is put right in a moment. Returns whether it does, with what in @why. */
bool slice_io_follow(struct broker *broker, struct slice *slice, struct why *why);

/* Goes on with what is on its way in all slices. */
void slices_io_tick(struct broker *broker, uint64_t now_usec, uint64_t *nextp);

#endif
