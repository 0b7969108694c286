/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <broker/gpu.h>
#include <broker/gpu_report.h>

static const char *mode(const struct gpu_found *found) {
        bool whole = false, shared = false;

        for (size_t i = 0; i < found->n_slots; i++)
                switch (found->slots[i].kind) {
                case GPU_PASSTHROUGH:
                        whole = true;
                        break;
                case GPU_VF:
                case GPU_MDEV:
                        shared = true;
                        break;
                }
        return whole && shared ? "mixed" : whole ? "passthrough" : shared ? "vgpu" : "none";
}

static json_t *report_profile(const struct gpu_profile *profile) {
        return json_pack("{s:s s:s s:s s:s s:s s:I s:I s:b}", "device", profile->card, "type",
                         profile->type, "name", profile->name, "description", profile->description,
                         "device_api", profile->device_api, "available",
                         (json_int_t)profile->available, "instances", (json_int_t)profile->existing,
                         "chosen", profile->chosen);
}

/* The other functions that go with the slots of @device, what is used, and what is wrong. */
static void add_slots(const struct gpus *gpus, const struct gpu_device *device, json_t *object) {
        const struct gpu_found *found = gpus_found(gpus);
        json_t *functions = json_array();
        const char *detail = device->detail;
        json_int_t total = 0, used = 0;

        for (size_t i = 0; i < found->n_slots; i++) {
                const struct gpu_slot *slot = &found->slots[i];

                if (strcmp(slot->parent, device->address) != 0)
                        continue;
                total++;
                used += gpus_slot_used(gpus, i);
                if (gpus_slot_refused(gpus, i)[0])
                        detail = gpus_slot_refused(gpus, i);
                if (gpus_slot_detail(gpus, i)[0])
                        detail = gpus_slot_detail(gpus, i);
                for (size_t j = 0; j < slot->n_functions; j++)
                        json_array_append_new(functions, json_string(slot->functions[j].address));
        }
        json_object_set_new(object, "slots", json_integer(total));
        json_object_set_new(object, "used", json_integer(used));
        json_object_set_new(object, "functions", functions);
        json_object_set_new(object, "detail", json_string(detail));
}

static json_t *report_device(const struct gpus *gpus, const struct gpu_device *device) {
        char class[8], id[12];
        json_t *object;

        snprintf(class, sizeof(class), "%06x", device->class);
        snprintf(id, sizeof(id), "%04x:%04x", device->vendor, device->device);
        object = json_pack("{s:s s:s s:s s:s s:s s:i s:i s:b}", "address", device->address, "id",
                           id, "class", class, "driver", device->driver, "physfn", device->physfn,
                           "numa_node", device->numa_node, "iommu_group", device->group, "resets",
                           device->resets);
        if (object)
                add_slots(gpus, device, object);
        return object;
}

json_t *gpu_report(const struct gpus *gpus) {
        const struct gpu_found *found = gpus_found(gpus);
        json_t *devices, *profiles;

        if (found->n_devices == 0 && found->n_slots == 0)
                return NULL;
        devices = json_array();
        profiles = json_array();
        for (size_t i = 0; i < found->n_devices; i++)
                json_array_append_new(devices, report_device(gpus, &found->devices[i]));
        for (size_t i = 0; i < found->n_profiles; i++)
                json_array_append_new(profiles, report_profile(&found->profiles[i]));
        return json_pack("{s:s s:I s:I s:o s:o}", "mode", mode(found), "total_slots",
                         (json_int_t)gpus_total(gpus), "used_slots", (json_int_t)gpus_used(gpus),
                         "profiles", profiles, "devices", devices);
}
