/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <sys/stat.h>

#include <launcher/bare.h>
#include <launcher/child_walls.h>

#define DETACHED (MS_NOSUID | MS_NODEV | MS_NOEXEC)

static _bare_ bool has_mounts(const struct child_walls *walls) {
        return walls->namespaces & CLONE_NEWNS;
}

static _bare_ long mount_on(const char *type, const char *target, long flags, const char *data) {
        return call5(SYS_mount, (long)type, (long)target, (long)type, flags, (long)data);
}

_bare_ long child_enter_namespaces(const struct child_walls *walls) {
        return walls->namespaces & CLONE_NEWCGROUP ? call(SYS_unshare, CLONE_NEWCGROUP, 0, 0) : 0;
}

_bare_ long child_part_mounts(const struct child_walls *walls) {
        return has_mounts(walls) ? call5(SYS_mount, 0, (long)"/", 0, MS_REC | MS_PRIVATE, 0) : 0;
}

_bare_ long child_make_read_only(const struct child_walls *walls) {
        struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};

        if (!has_mounts(walls) || !walls->read_only)
                return 0;
        return call5(SYS_mount_setattr, AT_FDCWD, (long)"/", AT_RECURSIVE, (long)&attributes,
                     sizeof(attributes));
}

_bare_ long child_make_proc(const struct child_walls *walls) {
        return has_mounts(walls) && walls->own_proc ? mount_on("proc", "/proc", DETACHED, "") : 0;
}

_bare_ long child_hide_cgroups(const struct child_walls *walls) {
        long r;

        if (!has_mounts(walls))
                return 0;
        r = mount_on("tmpfs", "/sys/fs/cgroup", DETACHED | MS_RDONLY, "mode=755,size=4k");
        return r == -ENOENT ? 0 : r; /* it lies elsewhere, or there is no sysfs */
}

static _bare_ long make_node(const struct child_node *node, long dev_fd) {
        long r;

        if (S_ISDIR(node->mode))
                r = call(SYS_mkdirat, dev_fd, node->path, node->mode & 07777);
        else
                r = call5(SYS_mknodat, dev_fd, (long)node->path, node->mode, (long)node->dev, 0);
        if (r == 0 && (node->uid || node->gid))
                r = call5(SYS_fchownat, dev_fd, (long)node->path, node->uid, node->gid, 0);
        return r;
}

static _bare_ long make_links(long dev_fd) {
        static const char *const links[][2] = {
                {"/proc/self/fd", "fd"},       {"/proc/self/fd/0", "stdin"},
                {"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"},
                {"pts/ptmx", "ptmx"},
        };
        long r = 0;

        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(links); i++)
                r = call(SYS_symlinkat, links[i][0], dev_fd, links[i][1]);
        return r;
}

/* The numbers of devices are those of the host: who has the node has the device, as far as the
 * group's device program lets it. */
_bare_ long child_make_dev(const struct child_walls *walls) {
        long dev_fd, mask, r;

        if (!has_mounts(walls) || !walls->own_dev)
                return 0;
        r = mount_on("tmpfs", "/dev", MS_NOSUID | MS_NOEXEC, "mode=755,size=64k,nr_inodes=128");
        if (r < 0)
                return r;
        dev_fd =
                call5(SYS_openat, AT_FDCWD, (long)"/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, 0);
        if (dev_fd < 0)
                return dev_fd;
        mask = call(SYS_umask, 0, 0, 0);
        for (size_t i = 0; r == 0 && i < walls->n_nodes; i++)
                r = make_node(&walls->nodes[i], dev_fd);
        if (r == 0)
                r = call(SYS_mkdirat, dev_fd, "shm", 01777);
        if (r == 0)
                r = mount_on("tmpfs", "/dev/shm", DETACHED, "mode=1777");
        if (r == 0)
                r = call(SYS_mkdirat, dev_fd, "pts", 0755);
        if (r == 0)
                r = mount_on("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC,
                             "newinstance,mode=620,ptmxmode=666");
        if (r == 0)
                r = make_links(dev_fd);
        call(SYS_umask, mask, 0, 0);
        call(SYS_close, dev_fd, 0, 0);
        return r;
}

_bare_ long child_make_tmp(const struct child_walls *walls) {
        long r;

        if (!has_mounts(walls) || !walls->own_tmp)
                return 0;
        r = mount_on("tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777");
        if (r == 0)
                r = mount_on("tmpfs", "/var/tmp", MS_NOSUID | MS_NODEV, "mode=1777");
        return r == -ENOENT ? 0 : r;
}

/* EINVAL: the kernel knows no such capability, and no higher one. */
_bare_ long child_drop_bounding(const struct child_walls *walls) {
        long r = 0;

        if (!walls->drop_capabilities)
                return 0;
        for (long capability = 0; r == 0 && capability < 64; capability++)
                r = call(SYS_prctl, PR_CAPBSET_DROP, capability, 0);
        return r == -EINVAL ? 0 : r;
}

_bare_ long child_drop_capabilities(const struct child_walls *walls) {
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];
        long r;

        if (!walls->drop_capabilities)
                return 0;
        for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
                none[i].effective = none[i].permitted = none[i].inheritable = 0;
        r = call5(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        return r < 0 ? r : call(SYS_capset, &header, none, 0);
}

_bare_ long child_set_batch(const struct child_walls *walls) {
        const struct { int priority; } parameters = {};

        return walls->batch ? call(SYS_sched_setscheduler, 0, SCHED_BATCH, &parameters) : 0;
}
