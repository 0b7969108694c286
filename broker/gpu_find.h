/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_GPU_FIND_H
#define PROVIUM_BROKER_GPU_FIND_H

/*
 * What GPUs a host has, from sysfs alone: display devices of the PCI bus, and what of each a VM can
 * be given (gpu_group, gpu_mdev). Files are read and nothing is written, so the answer depends on
 * the tree only. Reading does not reach the hardware; of the drivers only those that make mediated
 * devices are asked, for how many are left.
 */

#include <base/macro.h>

struct gpu_found;

struct gpu_options {
        /* GPUs may be taken from their driver and bound to vfio-pci; otherwise only those count
         * that somebody has bound to it before. */
        bool bind;
        /* Those that were go back to it after the lease. */
        bool give_back;
        const char *dev_dir; /* "/dev", to ask whether a file is open; NULL: do not ask */
        const char *type;    /* of mediated devices, see gpu_mdev_find(); NULL: any */
        const char *devices; /* words: addresses, or their beginnings and "*"; NULL or "": all */
};

/*
 * Looks below @sys_dir ("/sys"). What is not there is not found, whatever the reason. *foundp is
 * the caller's. Negative: out of memory.
 */
_must_check_ int gpu_find(struct gpu_found **foundp, const char *sys_dir,
                          const struct gpu_options *options);

/* "3 of 4 devices", or why there is nothing to give away, into @buffer. */
const char *gpu_find_summary(const struct gpu_found *found, char *buffer, size_t size);

#endif
