/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_GPU_GROUP_H
#define PROVIUM_BROKER_GPU_GROUP_H

/*
 * Slots that are IOMMU groups: whole devices, and virtual functions.
 *
 * What shares a group can reach each other's memory past the IOMMU, so a group is given to one VM
 * or to none. The kernel lets VFIO have it if each of its functions is with VFIO, without a driver,
 * or a port of the bus (iommu_device_claim_dma_owner); we ask the same, and say which one it is
 * that is in the way.
 */

#include <base/macro.h>

struct gpu_found;

/*
 * Adds the slots of @found's devices; each device without gets its reason. @bind: GPUs, and the
 * other functions of the same device, may be taken from their driver later (gpu_work), but never
 * the console of the host, one that makes virtual devices, or a stranger that shares the group.
 * @sys_fd is a descriptor of /sys. Negative: out of memory.
 */
int gpu_group_find(struct gpu_found *found, int sys_fd, bool bind);

#endif
