/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_TESTS_BROKER_SYSFS_H
#define PROVIUM_TESTS_BROKER_SYSFS_H

/*
 * A temporary directory in the place of /sys, laid out as the kernel lays out PCI devices, IOMMU
 * groups, mediated devices and VFIO's files: directories below devices/, the rest links to them.
 */

#include <stdbool.h>
#include <stddef.h>

struct sysfs {
        char dir[64];
};

struct sysfs_device {
        const char *address; /* "0000:01:00.0" */
        const char *class;   /* "0x030000" */
        const char *id;      /* "0x10de 0x20f1" */
        const char *driver;  /* NULL: none */
        int group;           /* -1: none */
        const char *physfn;  /* NULL: none */
};

void sysfs_init(struct sysfs *sysfs);
void sysfs_deinit(struct sysfs *sysfs);

/* Writes @text (NULL: removes the file); makes the directories above. */
void sysfs_put(struct sysfs *sysfs, const char *name, const char *text);
void sysfs_link(struct sysfs *sysfs, const char *name, const char *target);
void sysfs_unlink(struct sysfs *sysfs, const char *name);
/* What is in the file, in a buffer that the next call overwrites; "" if there is none. */
const char *sysfs_get(struct sysfs *sysfs, const char *name);

void sysfs_add_device(struct sysfs *sysfs, const struct sysfs_device *device);
/* @file of device @address. */
void sysfs_put_device(struct sysfs *sysfs, const char *address, const char *file, const char *text);
const char *sysfs_get_device(struct sysfs *sysfs, const char *address, const char *file);
void sysfs_bind(struct sysfs *sysfs, const char *address, const char *driver);
/* As VFIO does when a device of the group is bound to it. */
void sysfs_add_vfio(struct sysfs *sysfs, int group, const char *dev);

void sysfs_add_type(struct sysfs *sysfs, const char *address, const char *type, const char *name,
                    const char *description, const char *available);
void sysfs_add_mdev(struct sysfs *sysfs, const char *address, const char *type, const char *uuid,
                    int group);

#endif
