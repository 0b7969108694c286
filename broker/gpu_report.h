/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_GPU_REPORT_H
#define PROVIUM_BROKER_GPU_REPORT_H

/*
 * What one can see of the GPUs: names and counts, and whose slots they are not.
 */

#include <jansson.h>

struct gpus;

/*
 * {mode, total_slots, used_slots, profiles, devices}; mode is passthrough, vgpu, mixed or none. A
 * device without slots says why in its detail; one whose slot could not be given back, too. NULL:
 * the host has no display device, or there is no memory.
 */
json_t *gpu_report(const struct gpus *gpus);

#endif
