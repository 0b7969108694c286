/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CGROUP_ROOT_H
#define PROVIUM_CGROUP_ROOT_H

/*
 * Where our slices live: one directory of the unified hierarchy that belongs to us, with the
 * controllers cpu, memory, io and pids switched on for its children.
 *
 * libcgroup tells where the hierarchy is mounted. Whether it is really version 2, and whether the
 * controllers are there and not held by version 1, is asked of the kernel itself: on hybrid hosts
 * the library takes controllers from version 1 without a word.
 */

#include <cgroup/cgroup.h>

#define CGROUP_ROOT_KEY_SIZE 32

struct cgroup_root {
        int dir_fd;     /* our directory; -1: none */
        int lock_fd;    /* a file in it, locked as long as we live; -1: none */
        char path[512]; /* of it, absolute, for people and for clients */
        char mount[256];
};

#define CGROUP_ROOT_NULL                                                                           \
        { .dir_fd = -1, .lock_fd = -1 }

/*
 * Opens @relative ("provium", or "provium.slice/provium-vms.scope") below the mount of the unified
 * hierarchy, @mount, or where libcgroup finds it if NULL. The last component is made if @create;
 * those above must be there. Switches the controllers on, from the top down to and including our
 * own directory; above it only where one is missing. Takes the lock that says this root has a
 * broker. If @root already has a descriptor, kept over a re-execution, that one is used, and the
 * lock, which execve gave up, taken again.
 *
 * Answers UNSUPPORTED (with the line that mends it), BUSY (another broker; or processes in an inner
 * group, with the first of them named), GONE, HOST.
 */
_must_check_ int cgroup_root_open(struct cgroup_root *root, const char *mount, const char *relative,
                                  bool create, struct why *why);
/*
 * The same for the last component alone, and before rights are given up: nobody may write in the
 * hierarchy's own directory (0555), and root itself needs CAP_DAC_OVERRIDE for it. What could not be
 * made cgroup_root_open() tells of.
 */
void cgroup_root_make(const char *mount, const char *relative);

void cgroup_root_close(struct cgroup_root *root);

/* Where the unified hierarchy is mounted: @mount if not NULL, checked, else as libcgroup finds it.
 * Answers UNSUPPORTED. */
_must_check_ int cgroup_find_mount(const char *mount, char *found, size_t size, struct why *why);

/* What this kernel lacks of what we need ("memory pids"), written into @missing; empty if nothing.
 */
_must_check_ int cgroup_missing_controllers(const char *mount, char *missing, size_t size,
                                            struct why *why);

/*
 * A secret of this root, made at random on first use and kept in an extended attribute only root
 * can read: it outlives the broker and is gone with the tree.
 */
_must_check_ int cgroup_root_key(struct cgroup_root *root, unsigned char key[CGROUP_ROOT_KEY_SIZE],
                                 struct why *why);

/*
 * A note on the root that outlives the broker and goes with the tree, "trusted.provium.@name":
 * @text, or none if NULL. Answers HOST.
 */
_must_check_ int cgroup_root_note(const struct cgroup_root *root, const char *name,
                                  const char *text, struct why *why);
/* Reads it into @text, ended with a NUL. False: there is none, or it does not fit. */
bool cgroup_root_noted(const struct cgroup_root *root, const char *name, char *text, size_t size);

/* Such a note: claims are waiting. */
_must_check_ int cgroup_root_mark_waiting(struct cgroup_root *root, bool waiting, struct why *why);
bool cgroup_root_was_waiting(struct cgroup_root *root);

/* What VMs together may keep from the rest of the host: memory.low and cpu.weight of our directory.
 */
_must_check_ int cgroup_root_protect(struct cgroup_root *root, uint64_t memory_low_bytes,
                                     uint64_t cpu_weight, struct why *why);

#endif
