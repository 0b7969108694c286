/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_LAUNCHER_CHILD_WALLS_H
#define PROVIUM_LAUNCHER_CHILD_WALLS_H

/*
 * What a hypervisor is shut off from, done by the child on its way to execve, in this order:
 *
 *   namespaces    clone3 makes those of mounts, processes, IPC, host name and network; that of the
 *                 cgroups is made here, where the process is in the VM's group already, so that its
 *                 root is that group
 *   mounts        nothing that is mounted from here on is seen outside
 *   read_only     the whole tree as it is; what is mounted later stays writable
 *   proc          the processes of its own namespace
 *   cgroupfs      an empty directory instead of the tree
 *   dev           a tmpfs with the devices that were named, terminals and shared memory of its own
 *   tmp           an empty /tmp and /var/tmp; they count as the VM's memory
 *   bounding      no capability can be gained any more
 *   ...           the identity (launcher/child.h)
 *   capabilities  and none is left, whoever it runs as
 */

#include <sys/types.h>

#include <base/macro.h>

#define CHILD_NODES_MAX 72
#define CHILD_NODE_PATH_MAX 40

/* A device, or a directory that others lie in, as the host has it. */
struct child_node {
        char path[CHILD_NODE_PATH_MAX]; /* below /dev: "net/tun" */
        mode_t mode;
        dev_t dev;
        uid_t uid;
        gid_t gid;
};

struct child_walls {
        uint64_t namespaces; /* CLONE_NEW*; without CLONE_NEWNS none of the four below */
        bool read_only;
        bool own_proc;
        bool own_dev;
        bool own_tmp;
        bool drop_capabilities;
        bool batch;      /* SCHED_BATCH */
        bool core_dumps; /* false: none */
        const char *cwd; /* in a namespace of mounts a descriptor would lead out of it */
        size_t n_nodes;
        struct child_node nodes[CHILD_NODES_MAX];
};

/* The steps; each answers a negative errno. */
long child_enter_namespaces(const struct child_walls *walls);
long child_part_mounts(const struct child_walls *walls);
long child_make_read_only(const struct child_walls *walls);
long child_make_proc(const struct child_walls *walls);
long child_hide_cgroups(const struct child_walls *walls);
long child_make_dev(const struct child_walls *walls);
long child_make_tmp(const struct child_walls *walls);
long child_drop_bounding(const struct child_walls *walls);
long child_drop_capabilities(const struct child_walls *walls);
long child_set_batch(const struct child_walls *walls);

#endif
