/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <broker/broker.h>
#include <broker/doctor_gpu.h>
#include <broker/finding.h>
#include <broker/gpu.h>

/* A VGA that nobody wants to give away is on every second board. */
static bool is_wanted(const struct gpu_policy *policy) {
        return policy->bind || policy->devices[0] || policy->mdev_type[0];
}

static const char *mend(const struct gpu_policy *policy, const struct gpu_device *device) {
        if (device->group < 0)
                return "boot with intel_iommu=on or amd_iommu=on, and the IOMMU switched on in the "
                       "firmware";
        if (!policy->bind && device->driver[0])
                return "set Bind=yes in [GPU] of broker.conf, or bind it to vfio-pci";
        return "";
}

static void check_device(struct findings *findings, const struct gpu_device *device) {
        const struct gpu_policy *policy = &findings->broker->policy->broker.gpu;

        if (device->n_slots > 0 || device->vfs > 0)
                return;
        if (device->kept || !is_wanted(policy))
                finding_ok(findings, "%s is not for VMs: %s", device->address, device->detail);
        else
                finding_warning(findings, mend(policy, device), "%s cannot be handed over: %s",
                                device->address, device->detail);
}

static void check_slots(struct findings *findings) {
        const struct gpus *gpus = findings->broker->gpus;
        const struct gpu_found *found = gpus_found(gpus);

        for (size_t i = 0; i < found->n_slots; i++)
                if (gpus_slot_refused(gpus, i)[0])
                        finding_problem(findings, "", "%s was refused to its last VM: %s",
                                        found->slots[i].name, gpus_slot_refused(gpus, i));
        for (size_t i = 0; i < found->n_slots; i++)
                if (gpus_slot_detail(gpus, i)[0])
                        finding_problem(findings, "", "%s is out of use: %s", found->slots[i].name,
                                        gpus_slot_detail(gpus, i));
}

void doctor_check_gpus(struct findings *findings) {
        const struct broker *broker = findings->broker;
        const struct gpu_found *found;
        char path[512];

        if (!broker->gpus)
                return;
        found = gpus_found(broker->gpus);
        for (size_t i = 0; i < found->n_devices; i++)
                check_device(findings, &found->devices[i]);
        if (gpus_total(broker->gpus) == 0)
                return;
        check_slots(findings);
        snprintf(path, sizeof(path), "%s/bus/pci/drivers/vfio-pci", broker->options->sys_dir);
        if (broker->policy->broker.gpu.bind && access(path, F_OK) < 0)
                finding_problem(findings, "modprobe vfio-pci",
                                "the driver vfio-pci is not loaded: nothing can be bound to it");
        else
                finding_ok(findings, "%zu slots can be handed over, %zu are",
                           gpus_total(broker->gpus), gpus_used(broker->gpus));
}
