/* SPDX-License-Identifier: MIT */
#include <admission/sizing.h>

uint64_t sizing_share(uint64_t cpu_milli, uint64_t cpu_capacity_milli, uint64_t capacity,
                      uint64_t ratio_milli) {
        unsigned __int128 sellable, share;

        if (cpu_capacity_milli == 0)
                return 0;

        sellable = (unsigned __int128)capacity * ratio_milli / 1000;
        if (sellable > UINT64_MAX)
                sellable = UINT64_MAX;
        share = sellable * min_u64(cpu_milli, cpu_capacity_milli) / cpu_capacity_milli;
        return (uint64_t)share;
}
