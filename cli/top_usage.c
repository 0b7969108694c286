/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include <cli/human.h>
#include <cli/top_usage.h>

static uint64_t number(const json_t *object, const char *key) {
        uint64_t value;

        return human_number(object, key, &value) ? value : TOP_UNKNOWN;
}

/* Of all disks; 0 where there are none, unknown where nothing is said of them. */
static uint64_t disks_sum(const json_t *disks, const char *key) {
        uint64_t sum = json_is_array(disks) ? 0 : TOP_UNKNOWN;

        for (size_t i = 0; i < json_array_size(disks); i++)
                sum = top_sum(sum, number(json_array_get(disks, i), key));
        return sum;
}

static int take_vm(struct top_model *model, const json_t *vm, uint64_t at_usec) {
        const json_t *disks = json_object_get(vm, "disks");
        struct top_sample sample = {
                .at_usec = at_usec,
                .cpu_usec = number(vm, "cpu_usec"),
                .periods = number(vm, "periods"),
                .held_periods = number(vm, "throttled_periods"),
                .read_bytes = disks_sum(disks, "read_bytes"),
                .written_bytes = disks_sum(disks, "written_bytes"),
                .down_bytes = number(json_object_get(vm, "download"), "bytes"),
                .up_bytes = number(json_object_get(vm, "upload"), "bytes"),
        };

        snprintf(sample.id, sizeof(sample.id), "%s", human_string(vm, "id"));
        return top_model_add_sample(model, &sample, number(vm, "memory"));
}

int top_usage_take(struct top_model *model, const json_t *parameters, bool begin, bool end) {
        const json_t *vms = json_object_get(parameters, "vms");
        uint64_t taken_ns = number(parameters, "taken_ns");
        int r = 0;

        if (begin)
                top_model_begin_usage(model);
        for (size_t i = 0; i < json_array_size(vms) && r == 0 && taken_ns != TOP_UNKNOWN; i++)
                r = take_vm(model, json_array_get(vms, i), taken_ns / 1000);
        if (end && r == 0)
                top_model_end_usage(model);
        return r;
}
