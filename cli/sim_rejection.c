/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include <cli/sim_rejection.h>

bool sim_rejection_resource(enum sim_rejection rejection, enum resource *resourcep) {
        if (rejection < SIM_HOST)
                return false;
        *resourcep = (rejection - SIM_HOST) % _RESOURCE_N;
        return true;
}

const char *sim_rejection_name(enum sim_rejection rejection, char *buffer, size_t size) {
        static const char *const names[] = {
                [SIM_NO_SLICE] = "no such slice",
                [SIM_VM_MAX] = "more than one VM of its slice may have",
                [SIM_QUEUE_FULL] = "the queue is full",
                [SIM_VMS_HOST] = "VMs of the host",
                [SIM_VMS_SLICE] = "VMs of the slice",
        };

        if (rejection < SIM_HOST)
                snprintf(buffer, size, "%s", names[rejection]);
        else
                snprintf(buffer, size, "%s of the %s",
                         resource_name((rejection - SIM_HOST) % _RESOURCE_N),
                         rejection < SIM_SLICE ? "host" : "slice");
        return buffer;
}
