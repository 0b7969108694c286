/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <base/text.h>
#include <broker/gpu_found.h>
#include <broker/gpu_group.h>

#define CLASS_BRIDGE 0x06
#define PCI "bus/pci/devices/"
#define PCI_SIZE (sizeof(PCI) + GPU_ADDRESS_SIZE)

static bool any(const char *name) {
        return name[0] != '.';
}

/* May it be taken from the driver it has now? */
static bool may_bind(int sys_fd, const char *dir, const char *address,
                     const struct gpu_device *device, bool is_display) {
        struct gpu_names types;
        uint64_t number;
        bool makes_mdev;

        if (!is_display && !gpu_same_device(address, device->address))
                return false;
        if ((gpu_read_number(sys_fd, dir, "boot_vga", 10, 1, &number) && number == 1) ||
            (gpu_read_number(sys_fd, dir, "sriov_numvfs", 10, UINT16_MAX, &number) && number > 0))
                return false;
        if (gpu_list(sys_fd, dir, any, &types) < 0)
                return false;
        makes_mdev = false;
        for (size_t i = 0; i < types.n; i++)
                makes_mdev |= strcmp(types.name[i], "mdev_supported_types") == 0;
        gpu_names_deinit(&types);
        return !makes_mdev;
}

/* Who it is that is in the way, and how. */
static void say(struct gpu_device *device, const char *address, const char *driver) {
        if (strcmp(address, device->address) == 0)
                snprintf(device->detail, sizeof(device->detail),
                         "it is bound to %.40s, not to vfio-pci", driver[0] ? driver : "no driver");
        else
                snprintf(device->detail, sizeof(device->detail),
                         "%s, which shares its IOMMU group %d, is bound to %.40s, not to vfio-pci",
                         address, device->group, driver[0] ? driver : "no driver");
}

/* Looks at one member of the group. False: because of it the group cannot be given away. */
static bool add_member(const struct gpu_found *found, int sys_fd, struct gpu_device *device,
                       struct gpu_slot *slot, const char *name, bool bind) {
        const struct gpu_device *other = gpu_found_device(found, name);
        char dir[PCI_SIZE], address[GPU_ADDRESS_SIZE], driver[GPU_WORD_SIZE];
        bool is_vfio, is_display;
        uint64_t class, vendor;

        if (!gpu_is_address(name) || !text_copy(address, sizeof(address), name)) {
                snprintf(device->detail, sizeof(device->detail),
                         "its IOMMU group %d holds more than PCI devices", device->group);
                return false;
        }
        if (other && other->kept) {
                snprintf(device->detail, sizeof(device->detail),
                         "%s, which shares its IOMMU group %d, is kept for the host", address,
                         device->group);
                return false;
        }
        snprintf(dir, sizeof(dir), PCI "%s", address);
        if (!gpu_read_number(sys_fd, dir, "class", 16, 0xffffff, &class) ||
            !gpu_read_number(sys_fd, dir, "vendor", 16, 0xffff, &vendor)) {
                snprintf(device->detail, sizeof(device->detail),
                         "%s, of its IOMMU group %d, does not tell what it is", address,
                         device->group);
                return false;
        }
        gpu_read_link(sys_fd, dir, "driver", driver, sizeof(driver));
        is_vfio = gpu_is_vfio(driver);
        is_display = gpu_is_display((uint32_t) class, (uint16_t)vendor);
        /* Ports of the bus stay with the host, and what nobody drives does no harm. */
        if (!is_vfio && !is_display &&
            (driver[0] == '\0' || strcmp(driver, "pci-stub") == 0 ||
             (class >> 16 == CLASS_BRIDGE && strcmp(driver, "pcieport") == 0)))
                return true;
        if (!is_vfio && !(bind && may_bind(sys_fd, dir, address, device, is_display))) {
                say(device, address, driver);
                return false;
        }
        if (slot->n_functions == GPU_FUNCTIONS_MAX) {
                snprintf(device->detail, sizeof(device->detail),
                         "its IOMMU group %d has more than %d functions", device->group,
                         GPU_FUNCTIONS_MAX);
                return false;
        }
        slot->functions[slot->n_functions].bind = !is_vfio;
        strcpy(slot->functions[slot->n_functions++].address, address);
        return true;
}

/* Fills @slot with all of @device's group; false with a reason if it is not for giving away. */
static bool take_group(const struct gpu_found *found, int sys_fd, struct gpu_device *device,
                       struct gpu_slot *slot, const struct gpu_names *members, bool bind) {
        bool is_there = false;

        for (size_t i = 0; i < members->n; i++) {
                is_there |= strcmp(members->name[i], device->address) == 0;
                if (!add_member(found, sys_fd, device, slot, members->name[i], bind))
                        return false;
        }
        if (members->cut || !is_there) {
                snprintf(device->detail, sizeof(device->detail),
                         "its IOMMU group %d does not tell who is in it", device->group);
                return false;
        }
        return true;
}

/* What can be said without looking at the group. */
static bool stands_alone(const struct gpu_found *found, int sys_fd, struct gpu_device *device) {
        char path[PCI_SIZE], text[GPU_WORD_SIZE];

        if (device->vfs > 0) {
                snprintf(device->detail, sizeof(device->detail),
                         "its %u virtual functions are given away instead", device->vfs);
                return false;
        }
        if (device->group < 0) {
                snprintf(device->detail, sizeof(device->detail),
                         "it has no IOMMU group: the IOMMU is off, or there is none");
                return false;
        }
        snprintf(path, sizeof(path), PCI "%s", device->address);
        gpu_read_text(sys_fd, path, "iommu_group/name", text, sizeof(text));
        if (strcmp(text, "vfio-noiommu") == 0) {
                snprintf(device->detail, sizeof(device->detail),
                         "no IOMMU stands between it and the host's memory (vfio-noiommu)");
                return false;
        }
        for (size_t i = 0; i < found->n_slots; i++) {
                if (found->slots[i].group != device->group)
                        continue;
                snprintf(device->detail, sizeof(device->detail),
                         "it goes with %s: both are in IOMMU group %d", found->slots[i].name,
                         device->group);
                return false;
        }
        return true;
}

static int find_slot(struct gpu_found *found, int sys_fd, struct gpu_device *device, bool bind) {
        char path[PCI_SIZE + sizeof("/iommu_group/devices")];
        struct gpu_names members;
        struct gpu_slot slot = {.kind = device->physfn[0] ? GPU_VF : GPU_PASSTHROUGH,
                                .numa_node = device->numa_node};
        struct gpu_slot *added;
        bool whole;
        int r;

        if (!stands_alone(found, sys_fd, device))
                return 0;
        snprintf(path, sizeof(path), PCI "%s/iommu_group/devices", device->address);
        r = gpu_list(sys_fd, path, any, &members);
        if (r < 0)
                return r;
        whole = take_group(found, sys_fd, device, &slot, &members, bind);
        gpu_names_deinit(&members);
        if (!whole)
                return 0;
        added = gpu_found_add_slot(found);
        if (!added)
                return found->cut ? 0 : fault(-ENOMEM);
        strcpy(slot.name, device->address);
        strcpy(slot.parent, device->address);
        *added = slot;
        /* Until it is bound there is no file, but the group is known. */
        gpu_slot_find_file(sys_fd, added);
        device->n_slots = 1;
        return 0;
}

int gpu_group_find(struct gpu_found *found, int sys_fd, bool bind) {
        for (size_t i = 0; i < found->n_devices; i++) {
                int r = 0;

                if (!found->devices[i].has_mdev && !found->devices[i].kept)
                        r = find_slot(found, sys_fd, &found->devices[i], bind);
                if (r < 0)
                        return r;
        }
        return 0;
}
