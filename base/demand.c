/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <base/demand.h>
#include <base/units.h>

static const char *const names[_RESOURCE_N] = {
        [RESOURCE_CPU] = "cpu",         [RESOURCE_MEMORY] = "memory",
        [RESOURCE_DISK] = "disk",       [RESOURCE_DISK_IO] = "disk_io",
        [RESOURCE_NETWORK] = "network", [RESOURCE_NETWORK_UPLOAD] = "network_upload",
        [RESOURCE_GPU] = "gpu",
};

const char *resource_name(enum resource resource) {
        assert(resource < _RESOURCE_N);
        return names[resource];
}

bool resource_from_name(const char *name, enum resource *resourcep) {
        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                if (strcmp(name, names[i]) == 0) {
                        *resourcep = i;
                        return true;
                }
        }
        return false;
}

const char *resource_format(enum resource resource, uint64_t amount, char *buffer, size_t size) {
        switch (resource) {
        case RESOURCE_CPU:
                return units_format_milli(amount, buffer, size);
        case RESOURCE_MEMORY:
        case RESOURCE_DISK:
                return units_format_size(amount, buffer, size);
        case RESOURCE_DISK_IO:
        case RESOURCE_NETWORK:
        case RESOURCE_NETWORK_UPLOAD:
                return units_format_rate(amount, buffer, size);
        case RESOURCE_GPU:
        case _RESOURCE_N:
                break;
        }
        snprintf(buffer, size, "%llu", (unsigned long long)amount);
        return buffer;
}

bool demand_add(struct demand *sum, const struct demand *a, const struct demand *b) {
        struct demand result;

        for (unsigned i = 0; i < DEMAND_N; i++)
                if (__builtin_add_overflow(a->amount[i], b->amount[i], &result.amount[i]))
                        return false;
        *sum = result;
        return true;
}

void demand_sub(struct demand *difference, const struct demand *a, const struct demand *b) {
        for (unsigned i = 0; i < DEMAND_N; i++) {
                assert(a->amount[i] >= b->amount[i]);
                difference->amount[i] = a->amount[i] - b->amount[i];
        }
}

bool demand_equal(const struct demand *a, const struct demand *b) {
        return memcmp(a, b, sizeof(*a)) == 0;
}

bool demand_is_zero(const struct demand *demand) {
        const struct demand zero = {};

        return demand_equal(demand, &zero);
}

bool demand_names_disks(const struct demand *demand) {
        uint64_t any = 0;

        for (unsigned i = _RESOURCE_N; i < DEMAND_N; i++)
                any |= demand->amount[i];
        return any > 0;
}
