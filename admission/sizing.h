/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_ADMISSION_SIZING_H
#define PROVIUM_ADMISSION_SIZING_H

/*
 * What a claim gets that does not say: its share of the CPUs decides its share of the network and
 * of the disks, so that VMs of one size are of one size on every axis.
 */

#include <base/demand.h>

/*
 * floor(cpu_milli / cpu_capacity_milli x capacity x ratio): 2 of 16 CPUs, 10 Gbit/s and a ratio of
 * 2.0 give 2.5 Gbit/s. 0 if the CPU capacity is 0; never more than capacity x ratio.
 */
uint64_t sizing_share(uint64_t cpu_milli, uint64_t cpu_capacity_milli, uint64_t capacity,
                      uint64_t ratio_milli);

#endif
