/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gpus.h"
#include "links.h"

void gpus_open(struct house *house, const char *conf, const char *slice) {
        if (access("/sys/bus/pci/devices/" GPU_B "/iommu_group", F_OK) < 0)
                unit_skip("the rig has no GPUs behind an IOMMU");
        need_int(chdir("/"), 0);
        sh("modprobe vfio-pci; modprobe vfio_iommu_type1; cp $(command -v gpuvm) " GPUS_PROBE
           "; mkdir -p " HOUSE_DIR "/vendor;"
           "cp -r $PROVIUM_SOURCE/policies/etc/seccomp " HOUSE_DIR "/vendor");
        house_open(house, conf, slice);
}

const char *gpus_driver(const char *address) {
        static char target[256];
        char path[128];
        ssize_t n;

        snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", address);
        n = readlink(path, target, sizeof(target) - 1);
        target[n > 0 ? n : 0] = '\0';
        return n > 0 ? strrchr(target, '/') + 1 : "";
}

int gpus_group(const char *address) {
        char path[128], target[256];
        ssize_t n;

        snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", address);
        n = readlink(path, target, sizeof(target) - 1);
        need(n > 0);
        target[n] = '\0';
        return atoi(strrchr(target, '/') + 1);
}

json_int_t gpus_number(const char *member) {
        json_t *reply = ask("Resources", NULL);
        const json_t *all = json_object_get(json_object_get(reply, "parameters"), "resources");
        json_int_t n = json_integer_value(json_object_get(json_object_get(all, "gpu"), member));

        json_decref(reply);
        return n;
}

static bool none_used(void *userdata) {
        return gpus_number("used_slots") == 0 && allocated("gpu") == 0 && count_vms() == 0;
}

void gpus_expect_free(void) {
        expect_that(wait_until(none_used, NULL, HOUSE_WAIT_MS), "%d slots are used, %d sold",
                    (int)gpus_number("used_slots"), (int)allocated("gpu"));
}
