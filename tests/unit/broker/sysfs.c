/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sysfs.h"
#include "unit.h"

#define ROOT "devices/pci0000:00/"

static void path_of(struct sysfs *sysfs, const char *name, char path[512]) {
        snprintf(path, 512, "%s/%s", sysfs->dir, name);
}

static void make_parents(struct sysfs *sysfs, char *path) {
        for (char *slash = path + strlen(sysfs->dir) + 1; (slash = strchr(slash, '/')); slash++) {
                *slash = '\0';
                mkdir(path, 0755);
                *slash = '/';
        }
}

void sysfs_init(struct sysfs *sysfs) {
        *sysfs = (struct sysfs){.dir = "/tmp/provium-sysfs-XXXXXX"};
        need(mkdtemp(sysfs->dir) != NULL);
}

void sysfs_deinit(struct sysfs *sysfs) {
        char command[128];

        snprintf(command, sizeof(command), "rm -r '%s'", sysfs->dir);
        expect_int(system(command), 0);
}

void sysfs_put(struct sysfs *sysfs, const char *name, const char *text) {
        char path[512];
        FILE *file;

        path_of(sysfs, name, path);
        if (!text) {
                unlink(path);
                return;
        }
        make_parents(sysfs, path);
        file = fopen(path, "we");
        need(file != NULL);
        fputs(text, file);
        fclose(file);
}

void sysfs_link(struct sysfs *sysfs, const char *name, const char *target) {
        char path[512];

        path_of(sysfs, name, path);
        make_parents(sysfs, path);
        unlink(path);
        need_int(symlink(target, path), 0);
}

void sysfs_unlink(struct sysfs *sysfs, const char *name) {
        char path[512];

        path_of(sysfs, name, path);
        need_int(unlink(path), 0);
}

const char *sysfs_get(struct sysfs *sysfs, const char *name) {
        static char text[256];
        char path[512];
        size_t n = 0;
        FILE *file;

        path_of(sysfs, name, path);
        file = fopen(path, "re");
        if (file) {
                n = fread(text, 1, sizeof(text) - 1, file);
                fclose(file);
        }
        text[n] = '\0';
        return text;
}

void sysfs_put_device(struct sysfs *sysfs, const char *address, const char *file,
                      const char *text) {
        char name[384];

        snprintf(name, sizeof(name), ROOT "%s/%s", address, file);
        sysfs_put(sysfs, name, text);
}

const char *sysfs_get_device(struct sysfs *sysfs, const char *address, const char *file) {
        char name[384];

        snprintf(name, sizeof(name), ROOT "%s/%s", address, file);
        return sysfs_get(sysfs, name);
}

void sysfs_bind(struct sysfs *sysfs, const char *address, const char *driver) {
        char name[256], target[256];

        snprintf(name, sizeof(name), "bus/pci/drivers/%s/unbind", driver);
        sysfs_put(sysfs, name, "");
        snprintf(name, sizeof(name), ROOT "%s/driver", address);
        snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", driver);
        sysfs_link(sysfs, name, target);
}

static void join_group(struct sysfs *sysfs, const char *dir, const char *entry, int group) {
        char name[256], target[256], up[64] = "";

        for (const char *at = dir; at; at = strchr(at + 1, '/'))
                strcat(up, "../");
        snprintf(name, sizeof(name), "%s/iommu_group", dir);
        snprintf(target, sizeof(target), "%skernel/iommu_groups/%d", up, group);
        sysfs_link(sysfs, name, target);
        snprintf(name, sizeof(name), "kernel/iommu_groups/%d/devices/%s", group, entry);
        snprintf(target, sizeof(target), "../../../../%s", dir);
        sysfs_link(sysfs, name, target);
        snprintf(name, sizeof(name), "kernel/iommu_groups/%d/type", group);
        sysfs_put(sysfs, name, "DMA-FQ\n");
}

void sysfs_add_device(struct sysfs *sysfs, const struct sysfs_device *device) {
        char name[256], target[256], text[16];

        sysfs_put_device(sysfs, device->address, "class", device->class);
        snprintf(text, sizeof(text), "%.6s\n", device->id);
        sysfs_put_device(sysfs, device->address, "vendor", text);
        snprintf(text, sizeof(text), "%.6s\n", device->id + 7);
        sysfs_put_device(sysfs, device->address, "device", text);
        sysfs_put_device(sysfs, device->address, "numa_node", "-1\n");
        sysfs_put_device(sysfs, device->address, "driver_override", "(null)\n");
        snprintf(name, sizeof(name), "bus/pci/devices/%s", device->address);
        snprintf(target, sizeof(target), "../../../" ROOT "%s", device->address);
        sysfs_link(sysfs, name, target);
        if (device->driver)
                sysfs_bind(sysfs, device->address, device->driver);
        snprintf(name, sizeof(name), ROOT "%s", device->address);
        if (device->group >= 0)
                join_group(sysfs, name, device->address, device->group);
        if (device->physfn) {
                snprintf(name, sizeof(name), ROOT "%s/physfn", device->address);
                snprintf(target, sizeof(target), "../%s", device->physfn);
                sysfs_link(sysfs, name, target);
        }
}

void sysfs_add_vfio(struct sysfs *sysfs, int group, const char *dev) {
        char name[64];

        snprintf(name, sizeof(name), "class/vfio/%d/dev", group);
        sysfs_put(sysfs, name, dev);
}

void sysfs_add_type(struct sysfs *sysfs, const char *address, const char *type, const char *name,
                    const char *description, const char *available) {
        const char *const files[][2] = {{"name", name},
                                        {"description", description},
                                        {"available_instances", available},
                                        {"device_api", "vfio-pci\n"},
                                        {"create", ""}};
        char path[256];

        for (size_t i = 0; i < 5; i++) {
                snprintf(path, sizeof(path), "mdev_supported_types/%s/%s", type, files[i][0]);
                sysfs_put_device(sysfs, address, path, files[i][1]);
        }
}

void sysfs_add_mdev(struct sysfs *sysfs, const char *address, const char *type, const char *uuid,
                    int group) {
        char name[256], target[256];

        snprintf(name, sizeof(name), ROOT "%s/%s/remove", address, uuid);
        sysfs_put(sysfs, name, "");
        snprintf(name, sizeof(name), ROOT "%s/%s/mdev_type", address, uuid);
        snprintf(target, sizeof(target), "../mdev_supported_types/%s", type);
        sysfs_link(sysfs, name, target);
        snprintf(name, sizeof(name), "bus/mdev/devices/%s", uuid);
        snprintf(target, sizeof(target), "../../../" ROOT "%s/%s", address, uuid);
        sysfs_link(sysfs, name, target);
        snprintf(name, sizeof(name), ROOT "%s/%s", address, uuid);
        join_group(sysfs, name, uuid, group);
}
