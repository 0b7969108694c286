/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CGROUP_RESOLVE_H
#define PROVIUM_CGROUP_RESOLVE_H

/*
 * From an open file to the block devices on which its I/O can be limited.
 *
 * io.max knows whole disks only, and counts a request for the group that made it. So the way down
 * starts at statx of a descriptor (never at a name, which may be another file by now), goes through
 * the file system to its devices, and through partitions, device mapper, md, bcache and loop to
 * whole disks. A stacked device that makes new requests of its own (a loop device, dm-crypt, raid5)
 * does so in kernel threads, which belong to no VM: a limit on the disk below sees nothing of what
 * was written. Therefore every stacked device on the way is in the answer too, marked `through`:
 * each device of the answer is to be limited, each that is not `through` to be charged.
 *
 * What the kernel cannot hold is refused here, with a sentence that names the file system and what
 * to do, instead of being limited on paper: tests/kernel/cgroup/test_iomax.c measures each stack
 * that is accepted.
 *
 * It relies on sysfs (dev/block/M:m, which is looked up before any device is opened: naming an
 * absent loop device would create it), on mountinfo for the layers of an overlay, on BTRFS_IOC_*
 * and LOOP_GET_STATUS64. A device may change beneath us at any time; what was found is true of one
 * moment, and whoever keeps it looks again (RESOLVE_E_GONE).
 */

#include <sys/types.h>

#include <cgroup/cgroup.h>

#define RESOLVE_DISKS_MAX 32
#define RESOLVE_NAME_SIZE 32 /* the kernel's DISK_NAME_LEN */

enum {
        /* After those of cgroup.h: the same caller meets both. */
        RESOLVE_E_NONE = CGROUP_E_HOST + 1, /* no block device that could be limited */
        RESOLVE_E_GONE,                     /* a device was there and is not, or not any more */
        RESOLVE_E_MANY,                     /* more than RESOLVE_DISKS_MAX, or too deep a stack */
        RESOLVE_E_HOST,                     /* the kernel refused otherwise; the errno is in why */
};

struct disk {
        dev_t dev;
        char name[RESOLVE_NAME_SIZE]; /* as in sysfs ("vda", "dm-0"): to show, not to open */
        bool through; /* stacked, above others in the list: limit, but do not charge */
};

struct disks {
        struct disk disk[RESOLVE_DISKS_MAX];
        size_t n;
};

/*
 * Where the host is to be found, for one whose own mounts are others. Names of files (an overlay's
 * layers, what is behind a loop device) are the host's too, and begin at the parent of @dev_dir.
 */
struct resolve_host {
        const char *sys_dir, *proc_dir; /* "/sys", "/proc" */
        const char *dev_dir;            /* "/dev" */
        int mountinfo_fd; /* read from its beginning before our own; -1: ours are the host's */
};

#define RESOLVE_HOST_HERE                                                                          \
        { .sys_dir = "/sys", .proc_dir = "/proc", .dev_dir = "/dev", .mountinfo_fd = -1 }

/*
 * Adds the devices beneath @fd to @disks, without repeats. @fd is a regular file, a directory or a
 * block device, may be O_PATH, and stays the caller's. @disks is unchanged unless 0 is returned.
 *
 * Opens a loop device read-only (checked to be that device) and, for btrfs, the file itself, or if
 * that is not allowed where it is mounted. Asks no file system that a daemon or a server answers
 * for, and so does not wait for one. Answers NONE, GONE, MANY, HOST.
 */
_must_check_ int resolve_fd(struct disks *disks, int fd, const struct resolve_host *host,
                            struct why *why);

/* The disk of that number in the list, or NULL. */
const struct disk *disks_find(const struct disks *disks, dev_t dev);

#endif
