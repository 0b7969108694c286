/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_GPU_LEASE_H
#define PROVIUM_BROKER_GPU_LEASE_H

/*
 * A VM's GPUs, from the charge to its end.
 *
 *     reserve (slots, their names into the record) -> prepare (in a thread)
 *             -> nodes and descriptors of their files -> ... -> release (in a thread)
 *
 * The names stand in the record before anything is written to sysfs, and the group, which carries
 * the record, outlives the release: so a broker that is killed anywhere in between leaves a group
 * that names what is to be reset. What is written there may take seconds, or for ever; the loop
 * only hears of its end. A slot that cannot be given back keeps its lease, which is shown as
 * lingering and tried again.
 */

#include <jansson.h>

#include <cgroup/record.h>

struct broker;
struct lease;
struct why;

enum {
        _GPU_LEASE_E_SUCCESS,
        GPU_LEASE_E_HOST = 360, /* a slot's file cannot be opened */
        GPU_LEASE_E_MANY,       /* more than one VM can have */
};

/* The container of all DMA mappings beside the files of groups; its numbers are fixed
 * (Documentation/admin-guide/devices.txt). */
#define GPU_CONTAINER "vfio/vfio"
#define GPU_CONTAINER_MAJOR 10
#define GPU_CONTAINER_MINOR 196

/* Are GPUs handed over on this host? Where none was found, the number that [Capacity] gives is only
 * counted. */
bool gpu_lease_is_real(const struct broker *broker);

/* Can one VM have as many as are claimed? Answers MANY. */
_must_check_ int gpu_lease_check(const struct lease *lease, struct why *why);

/* Takes as many slots as are charged, and notes them in lease->record, which is to be written next.
 * Answers GPU_E_FULL, MANY. */
_must_check_ int gpu_lease_reserve(struct lease *lease, struct why *why);

/*
 * Begin the work in a thread. 1: it is under way, and @done is called on the loop at its end, with
 * GPU_E_HOST and a sentence if it was refused; what it answers, a fault or 0, ends the loop or not.
 * 0: there is nothing to be done, or it is done. Negative: out of memory. A lease has one piece of
 * work at a time, and lives until that has ended.
 */
typedef int (*gpu_lease_fn)(struct lease *lease, int answer, const struct why *why);
_must_check_ int gpu_lease_prepare(struct lease *lease, gpu_lease_fn done);
/* After its processes have ended. */
_must_check_ int gpu_lease_release(struct lease *lease, gpu_lease_fn done);

/* Opens the files of those slots that the command asks for by descriptor. Answers HOST. */
_must_check_ int gpu_lease_open(struct lease *lease, struct why *why);

/* A VM found in the tree gets the slots that its record names. */
void gpu_lease_adopt(struct lease *lease);
/* Then: what a former broker has made and no record names goes away. Negative: out of memory. */
_must_check_ int gpu_lease_sweep(struct broker *broker);
/* At the broker's end: what is under way ends by itself. */
void gpu_lease_close(struct broker *broker);

/* What one can see: [{name, type, path, group}], and why they are not held. */
json_t *gpu_lease_list(const struct lease *lease);
void gpu_lease_report(const struct lease *lease, json_t *limits, json_t *notes);

#endif
