/* SPDX-License-Identifier: MIT */

/*
 * What is on the disk is sorted by where it lies, so a file must not lie in two of the directories.
 * That is judged by their texts: whether a directory is there, or is a link to elsewhere, is not
 * asked here, since the same files must be valid on every machine.
 */

#include <stdio.h>
#include <string.h>

#include <policies/disk.h>

static const struct {
        size_t offset;
        const char *name; /* below DataDirectory= */
} shares[_DISK_SHARE_N] = {
        [DISK_SHARE_IMAGES] = {offsetof(struct broker_policy, disk.images_dir), "images"},
        [DISK_SHARE_OCI_CACHE] = {offsetof(struct broker_policy, disk.oci_cache_dir), "oci-cache"},
        [DISK_SHARE_VOLUMES] = {offsetof(struct broker_policy, disk.volumes_dir), "volumes"},
        [DISK_SHARE_OVERLAYS] = {offsetof(struct broker_policy, disk.overlays_dir), "overlays"},
};

_Static_assert(sizeof(((struct broker_policy *)NULL)->data_directory) + sizeof("/oci-cache") <=
                       POLICY_DIRECTORY_MAX,
               "every directory fits");

size_t disk_share_offset(enum disk_share share) {
        return shares[share].offset;
}

const char *disk_share_written(const struct broker_policy *broker, enum disk_share share) {
        return (const char *)broker + shares[share].offset;
}

const char *policy_disk_directory(const struct broker_policy *broker, enum disk_share share,
                                  char buffer[POLICY_DIRECTORY_MAX]) {
        const char *written = disk_share_written(broker, share);

        if (*written)
                snprintf(buffer, POLICY_DIRECTORY_MAX, "%s", written);
        else
                snprintf(buffer, POLICY_DIRECTORY_MAX, "%s/%s", broker->data_directory,
                         shares[share].name);
        return buffer;
}

/* The next name in @path at or behind *pathp, and its length: 0 at the end. "." is none. */
static size_t next_name(const char **pathp) {
        size_t length;

        do {
                *pathp += strspn(*pathp, "/");
                length = strcspn(*pathp, "/");
                if (length != 1 || **pathp != '.')
                        return length;
                *pathp += length;
        } while (true);
}

bool disk_path_within(const char *path, const char *directory) {
        size_t length;

        while ((length = next_name(&directory)) > 0) {
                if (next_name(&path) != length || memcmp(path, directory, length) != 0)
                        return false;
                path += length;
                directory += length;
        }
        return true;
}
