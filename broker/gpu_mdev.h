/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_GPU_MDEV_H
#define PROVIUM_BROKER_GPU_MDEV_H

/*
 * Slots that are mediated devices: what a driver (GVT-g, NVIDIA's vGPU) makes of one card by types.
 *
 * The types of a card exclude each other: an instance of one leaves fewer of the others, often
 * none. So that each slot counted can also be had, one type of each card is chosen, and only its
 * instances are counted beside those that exist. A card on which SR-IOV is on offers its types once
 * for each virtual function, far more than it will make; "max_instance=" in the description says
 * how many that is, and is kept to.
 *
 * Whether an instance that exists is used by somebody else is not to be seen in sysfs.
 */

#include <base/macro.h>

struct gpu_found;

/*
 * Adds the profiles and slots of @found's devices that have mdev types; each device without a slot
 * gets its reason. @type is the type wanted, by its directory ("nvidia-471") or its name ("GRID
 * A100-10C"); where that is not to be had, or @type is NULL, the one that most instances have
 * already, or else the one of which there can be most. @sys_fd is a descriptor of /sys. Negative:
 * out of memory.
 */
int gpu_mdev_find(struct gpu_found *found, int sys_fd, const char *type);

#endif
