/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_DOCTOR_GPU_H
#define PROVIUM_BROKER_DOCTOR_GPU_H

/*
 * The check of broker/doctor that is about GPUs. A host without a display device has no word of it.
 */

struct findings;

/* Which can be handed over, and why the others cannot. */
void doctor_check_gpus(struct findings *findings);

#endif
