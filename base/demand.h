/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BASE_DEMAND_H
#define PROVIUM_BASE_DEMAND_H

/*
 * The resource vector: what a VM claims, what a host has, what a slice may use. One number per
 * resource, each in the unit named here, added and subtracted with the overflow checked. All axes
 * stand here, so that no part of the ledger ever learns a new one by accident.
 *
 * The network is one axis, charged with the larger of a VM's two directions, unless the operator
 * declares the link full duplex: then RESOURCE_NETWORK is the download, and the upload, which has
 * as much of its own, is an axis beside it. Elsewhere that axis is 0 and not enforced, and nobody
 * is shown it.
 */

#include <base/macro.h>

enum resource {
        RESOURCE_CPU,            /* thousandths of a CPU */
        RESOURCE_MEMORY,         /* bytes */
        RESOURCE_DISK,           /* bytes */
        RESOURCE_DISK_IO,        /* bytes per second */
        RESOURCE_NETWORK,        /* bytes per second */
        RESOURCE_NETWORK_UPLOAD, /* bytes per second; 0 unless full duplex */
        RESOURCE_GPU,            /* slots */
        _RESOURCE_N,
};

/*
 * disk_io is sold of each disk by itself: beside the axes that people see there is one for each of
 * DEMAND_DISKS disks. What a claim wants of every disk it uses is amount[RESOURCE_DISK_IO]; which
 * disks these are is said by the same number on their own axes.
 */
#define DEMAND_DISKS 16
#define DEMAND_N (_RESOURCE_N + DEMAND_DISKS)

struct demand {
        uint64_t amount[DEMAND_N];
};

/* The axis that people know an axis by. */
static inline enum resource demand_resource(unsigned axis) {
        return axis < _RESOURCE_N ? (enum resource)axis : RESOURCE_DISK_IO;
}

/* The name users see: "cpu", "memory", "disk", "disk_io", "network", "network_upload", "gpu". Never
 * NULL. */
const char *resource_name(enum resource resource);

/* Finds a resource by its name. Returns false, and leaves @resourcep alone, if there is none. */
bool resource_from_name(const char *name, enum resource *resourcep);

/* Formats an amount of @resource for a person ("2.5", "512M", "1.25GB/s", "3") into @buffer. */
const char *resource_format(enum resource resource, uint64_t amount, char *buffer, size_t size);

/* sum = a + b. Returns false and leaves @sum untouched if one axis overflows. */
_must_check_ bool demand_add(struct demand *sum, const struct demand *a, const struct demand *b);

/* difference = a - b. Asserts that no axis of @b exceeds @a: the books would be wrong. */
void demand_sub(struct demand *difference, const struct demand *a, const struct demand *b);

bool demand_equal(const struct demand *a, const struct demand *b);
bool demand_is_zero(const struct demand *demand);

/* Does it say which disks it uses? Then it is held against each of them, not against their sum. */
bool demand_names_disks(const struct demand *demand);

/* How many of its axes can be more than 0: the first so many. */
static inline unsigned demand_axes(const struct demand *demand) {
        return demand_names_disks(demand) ? DEMAND_N : _RESOURCE_N;
}

#endif
