/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <base/fd.h>
#include <broker/gpu_find.h>
#include <broker/gpu_found.h>
#include <broker/gpu_group.h>
#include <broker/gpu_mdev.h>

#define NUMA_NODE_MAX 65535

static bool exists(int dir_fd, const char *dir, const char *file) {
        char path[128];

        snprintf(path, sizeof(path), "%s/%s", dir, file);
        return faccessat(dir_fd, path, F_OK, 0) == 0;
}

/* Is it in the list of those that may be given away? */
static bool is_listed(const char *list, const char *address) {
        if (!list || list[strspn(list, " ")] == '\0')
                return true;
        while (*(list += strspn(list, " "))) {
                size_t length = strcspn(list, " "), same = length - (list[length - 1] == '*');

                if (strncmp(list, address, same) == 0 && (same < length || address[same] == '\0'))
                        return true;
                list += length;
        }
        return false;
}

/* Adds @address if it is a display device. */
static int read_device(struct gpu_found *found, int pci_fd, const char *address,
                       const struct gpu_options *options) {
        struct gpu_device *device;
        uint64_t class, vendor, number;
        char physfn[GPU_ADDRESS_SIZE];

        if (!gpu_read_number(pci_fd, address, "class", 16, 0xffffff, &class) ||
            !gpu_read_number(pci_fd, address, "vendor", 16, UINT16_MAX, &vendor) ||
            !gpu_is_display((uint32_t) class, (uint16_t)vendor))
                return 0;
        device = gpu_found_add_device(found);
        if (!device)
                return found->cut ? 0 : fault(-ENOMEM);
        strcpy(device->address, address);
        device->class = (uint32_t) class;
        device->vendor = (uint16_t)vendor;
        if (gpu_read_number(pci_fd, address, "device", 16, UINT16_MAX, &number))
                device->device = (uint16_t)number;
        device->numa_node = -1; /* as the kernel writes it, too */
        if (gpu_read_number(pci_fd, address, "numa_node", 10, NUMA_NODE_MAX, &number))
                device->numa_node = (int)number;
        if (gpu_read_number(pci_fd, address, "sriov_numvfs", 10, UINT16_MAX, &number))
                device->vfs = (unsigned)number;
        device->group = gpu_read_group(pci_fd, address);
        device->has_mdev = exists(pci_fd, address, "mdev_supported_types");
        device->resets = exists(pci_fd, address, "reset");
        device->kept = !is_listed(options->devices, address);
        if (device->kept)
                snprintf(device->detail, sizeof(device->detail),
                         "it is kept for the host: Devices= in [GPU] does not name it");
        gpu_read_link(pci_fd, address, "driver", device->driver, sizeof(device->driver));
        gpu_read_link(pci_fd, address, "physfn", physfn, sizeof(physfn));
        if (gpu_is_address(physfn))
                strcpy(device->physfn, physfn);
        return 0;
}

static int read_devices(struct gpu_found *found, int sys_fd, const struct gpu_options *options) {
        _cleanup_(fd_closep) int pci_fd = -1;
        struct gpu_names names;
        int r;

        pci_fd = openat(sys_fd, "bus/pci/devices", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (pci_fd < 0)
                return 0;
        r = gpu_list(pci_fd, ".", gpu_is_address, &names);
        for (size_t i = 0; r == 0 && i < names.n; i++)
                r = read_device(found, pci_fd, names.name[i], options);
        if (r == 0 && names.cut)
                found->cut = true;
        gpu_names_deinit(&names);
        return r;
}

int gpu_find(struct gpu_found **foundp, const char *sys_dir, const struct gpu_options *options) {
        _cleanup_(gpu_found_freep) struct gpu_found *found = NULL;
        _cleanup_(fd_closep) int sys_fd = -1;
        int r = 0;

        found = calloc(1, sizeof(*found));
        if (!found)
                return fault(-ENOMEM);
        sys_fd = open(sys_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (sys_fd >= 0) {
                r = read_devices(found, sys_fd, options);
                if (r == 0)
                        r = gpu_group_find(found, sys_fd, options->bind);
                if (r == 0)
                        r = gpu_mdev_find(found, sys_fd, options->type);
        }
        if (r < 0)
                return r;
        *foundp = take(found);
        return 0;
}

const char *gpu_find_summary(const struct gpu_found *found, char *buffer, size_t size) {
        size_t n = 0;

        for (size_t i = 0; i < found->n_devices; i++)
                n += found->devices[i].n_slots > 0;
        if (found->n_devices == 0)
                snprintf(buffer, size, "no display device on the PCI bus");
        else if (n > 0)
                snprintf(buffer, size, "slots of %zu of %zu devices%s", n, found->n_devices,
                         found->cut ? ", and there are more" : "");
        else
                snprintf(buffer, size, "%s: %s", found->devices[0].address,
                         found->devices[0].detail);
        return buffer;
}
