/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_SIM_REJECTION_H
#define PROVIUM_CLI_SIM_REJECTION_H

/*
 * The claims of a simulation that are never admitted, by the reason.
 */

#include <base/demand.h>

/* Why a claim can not be admitted; each of the resources has two, by limit of host and slice. */
enum sim_rejection {
        SIM_NO_SLICE,   /* the policy has no such slice */
        SIM_VM_MAX,     /* more than one VM of its slice may have */
        SIM_QUEUE_FULL, /* MaxQueued= */
        SIM_VMS_HOST,   /* no VM at all may be there */
        SIM_VMS_SLICE,
        SIM_HOST, /* and the resource */
        SIM_SLICE = SIM_HOST + _RESOURCE_N,
        _SIM_REJECTION_N = SIM_SLICE + _RESOURCE_N,
};

struct sim_rejected {
        uint64_t n;
        uint32_t line;            /* of the first one */
        uint64_t asked, possible; /* the most that was asked, and that could be had */
};

/* "memory", "memory of the slice", "queue_full", ... into @buffer, which is returned. */
const char *sim_rejection_name(enum sim_rejection rejection, char *buffer, size_t size);
/* The resource that @rejection is about; false if it is about none. */
bool sim_rejection_resource(enum sim_rejection rejection, enum resource *resourcep);

#endif
