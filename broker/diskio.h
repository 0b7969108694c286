/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_DISKIO_H
#define PROVIUM_BROKER_DISKIO_H

/*
 * A VM's disk I/O: which disks it uses, what it may do to each, and how that changes.
 *
 * The claim is one number for all its virtual disks that lie on one disk together, so it is set on
 * each disk beneath (cgroup/resolve), for reads and for writes, in io.max of the VM's group. Where
 * nothing could be limited the launch is refused, unless the policy says best effort, and then the
 * VM's status says so.
 *
 * A new VM may run at the ceiling (Burst= x the claim) until its bucket is empty: broker/burst.
 */

#include <jansson.h>

#include <broker/lease.h>

struct broker;
struct why;

enum {
        _DISKIO_E_SUCCESS,
        DISKIO_E_REFUSED = 300, /* no disk that could be limited, and the policy wants one */
};

/*
 * Finds the disks of the files that came with the claim, or of the data directory if none did.
 * lease->diskio stays NULL if nothing is to be limited. Answers REFUSED; negative: out of memory.
 */
_must_check_ int diskio_prepare(struct lease *lease, struct why *why);

/* disk_io on the axis of each disk it uses, into @charge. */
void diskio_charge(const struct lease *lease, struct demand *charge);

/* io.max of the new group, read back; the disks must be those that were found before. Answers
 * REFUSED, CGROUP_E_LIMIT, GONE. */
_must_check_ int diskio_make(struct lease *lease, struct why *why);

/* A VM found in the tree: its disks are those that have limits. What is not the sustained limit
 * becomes it. Negative: out of memory. */
_must_check_ int diskio_adopt(struct lease *lease);

/* What is in force now, or should be: the claim, or the ceiling of a burst. */
void diskio_limit(const struct lease *lease, bool burst, struct io_limit *limit);

/* Writes it on every disk; the group is frozen, or has no process yet. Answers CGROUP_E_LIMIT. */
_must_check_ int diskio_apply(struct lease *lease, struct why *why);
/* Compares without writing. Answers CGROUP_E_LIMIT. */
_must_check_ int diskio_verify(const struct lease *lease, struct why *why);

/* Adds to @limits what would be written, as a dry run tells it. */
void diskio_plan(const struct lease *lease, json_t *limits);
/* Adds to @limits, @notes what is not in the kernel's own files; a VM's disks for its head. */
void diskio_report(struct lease *lease, json_t *limits, json_t *notes);
json_t *diskio_list(const struct lease *lease);

/* [Disk] may have changed: a waiting claim, or a VM, whose io.max is changed in a moment. */
void diskio_follow(struct lease *lease);

/* The disks of the data directory are looked for again (a start, a reload). */
void diskio_configure(struct broker *broker);

#endif
