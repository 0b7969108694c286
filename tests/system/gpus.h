/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The rig's GPUs (--gpus): two virtio-gpus, each in a group of its own behind an emulated IOMMU,
 * and driven by the host until a VM gets them.
 */

#include <stdint.h>

#include "house.h"

#define GPU_A "0000:01:00.0"
#define GPU_B "0000:02:00.0"
#define GPUS_CONF_OF(more) HOUSE_CONF "[GPU]\nDevices=0000:01:* 0000:02:*\n" more
#define GPUS_CONF GPUS_CONF_OF("Bind=yes\nGiveBack=yes\n")
#define GPUS_PROBE "/run/gpuvm" /* helpers/gpuvm; below /tmp it would be hidden */

/* house_open() with vfio-pci and the shipped seccomp lists; a skip where the rig has no GPUs. */
void gpus_open(struct house *house, const char *conf, const char *slice);

/* Who drives it, in a buffer that the next call overwrites; "" if nobody does. */
const char *gpus_driver(const char *address);
int gpus_group(const char *address);
/* A number of `gpu` in Resources: "total_slots". */
json_int_t gpus_number(const char *member);
/* Waits until there is no VM, and no GPU is used or sold. */
void gpus_expect_free(void);
