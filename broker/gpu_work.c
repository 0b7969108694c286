/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/file.h>
#include <broker/gpu_work.h>

#define PCI "bus/pci/devices/"
#define MDEV "bus/mdev/devices/"
#define PATH_SIZE 256

static bool fail(struct gpu_part *part, int errnum, const char *what, const char *name) {
        part->errnum = errnum;
        snprintf(part->detail, sizeof(part->detail), "%s of %.64s: %s", what, name,
                 errnum ? strerrordesc_np(errnum) : "the kernel took it and did nothing");
        return false;
}

static int write_pci(int sys_fd, const char *address, const char *file, const char *text) {
        char path[PATH_SIZE];

        snprintf(path, sizeof(path), PCI "%s/%s", address, file);
        return file_write_at(sys_fd, path, text);
}

static bool is_bound(int sys_fd, const char *address) {
        char path[PATH_SIZE], driver[GPU_WORD_SIZE];

        snprintf(path, sizeof(path), PCI "%s", address);
        gpu_read_link(sys_fd, path, "driver", driver, sizeof(driver));
        return gpu_is_vfio(driver);
}

/* driver_override says who may have it; without, vfio-pci knows no device at all. */
static bool bind_function(int sys_fd, struct gpu_part *part, const char *address) {
        int r;

        if (is_bound(sys_fd, address))
                return true;
        /* Before it is taken from the driver it has. */
        if (faccessat(sys_fd, "bus/pci/drivers/vfio-pci", F_OK, 0) < 0)
                return fail(part, errno,
                            "the driver vfio-pci is not loaded (modprobe vfio-pci): binding",
                            address);
        r = write_pci(sys_fd, address, "driver_override", "vfio-pci");
        if (r)
                return fail(part, r, "driver_override", address);
        r = write_pci(sys_fd, address, "driver/unbind", address);
        if (r == 0 || r == ENOENT) {
                r = file_write_at(sys_fd, "bus/pci/drivers_probe", address);
                if (r == 0 && is_bound(sys_fd, address))
                        return true;
        }
        /* As it was: the driver that wants it by itself. */
        (void)!write_pci(sys_fd, address, "driver_override", "\n");
        (void)!file_write_at(sys_fd, "bus/pci/drivers_probe", address);
        return fail(part, r, "binding to vfio-pci", address);
}

/* VFIO lets one open the file of a group at a time. */
static bool is_open(const struct gpu_work *work, struct gpu_part *part) {
        char path[PATH_SIZE];
        int fd;

        if (!work->dev_dir[0] || part->slot.group < 0)
                return false;
        snprintf(path, sizeof(path), "%s/vfio/%d", work->dev_dir, part->slot.group);
        fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
        if (fd < 0 && errno == EBUSY) {
                snprintf(part->detail, sizeof(part->detail),
                         "%.64s: some process has /dev/vfio/%d open", part->slot.name,
                         part->slot.group);
                part->errnum = EBUSY;
                return true;
        }
        fd_close(fd);
        return false;
}

static bool is_made(int sys_fd, const char *uuid) {
        char path[PATH_SIZE];

        snprintf(path, sizeof(path), MDEV "%s", uuid);
        return faccessat(sys_fd, path, F_OK, 0) == 0;
}

static bool make_mdev(int sys_fd, struct gpu_part *part) {
        const struct gpu_slot *slot = &part->slot;
        char path[PATH_SIZE];
        int r;

        if (is_made(sys_fd, slot->name))
                return true;
        snprintf(path, sizeof(path), PCI "%s/mdev_supported_types/%s/create", slot->parent,
                 slot->type);
        r = file_write_at(sys_fd, path, slot->name);
        return r == 0 || fail(part, r, "making a mediated device", slot->parent);
}

static bool prepare(const struct gpu_work *work, int sys_fd, struct gpu_part *part) {
        struct gpu_slot *slot = &part->slot;

        for (size_t i = 0; i < slot->n_functions; i++) {
                if (slot->functions[i].bind &&
                    !bind_function(sys_fd, part, slot->functions[i].address))
                        return false;
                slot->functions[i].bind = false;
        }
        if (part->made && !make_mdev(sys_fd, part))
                return false;
        if (!gpu_slot_find_file(sys_fd, slot))
                return fail(part, ENOENT, "the file below /dev/vfio", slot->name);
        return !is_open(work, part);
}

/* To the driver that wants it by itself; there may be none. */
static bool give_back(int sys_fd, struct gpu_part *part, struct gpu_function *function) {
        int r;

        r = write_pci(sys_fd, function->address, "driver_override", "\n");
        if (r == 0)
                r = write_pci(sys_fd, function->address, "driver/unbind", function->address);
        if (r)
                return fail(part, r, "unbinding", function->address);
        function->bind = true;
        (void)!file_write_at(sys_fd, "bus/pci/drivers_probe", function->address);
        return true;
}

/* A binding, or the way back from one, that was cut short. */
static void mend_function(int sys_fd, const char *address) {
        char path[PATH_SIZE], driver[GPU_WORD_SIZE];

        snprintf(path, sizeof(path), PCI "%s", address);
        gpu_read_link(sys_fd, path, "driver", driver, sizeof(driver));
        (void)!write_pci(sys_fd, address, "driver_override", "\n");
        if (!driver[0])
                (void)!file_write_at(sys_fd, "bus/pci/drivers_probe", address);
}

static bool release_function(const struct gpu_work *work, int sys_fd, struct gpu_part *part,
                             struct gpu_function *function) {
        int r;

        /* With its own driver, or none, it was never given away. */
        if (!is_bound(sys_fd, function->address)) {
                if (part->slot.lent)
                        mend_function(sys_fd, function->address);
                return true;
        }
        r = write_pci(sys_fd, function->address, "reset", "1");
        if (r && r != ENOENT)
                return fail(part, r, "the reset", function->address);
        return !work->give_back || !part->slot.lent || give_back(sys_fd, part, function);
}

static void release(const struct gpu_work *work, int sys_fd, struct gpu_part *part) {
        struct gpu_slot *slot = &part->slot;
        char path[PATH_SIZE];
        int r;

        gpu_slot_find_file(sys_fd, slot);
        if (is_open(work, part))
                return;
        if (part->made) {
                snprintf(path, sizeof(path), MDEV "%s/remove", slot->name);
                r = file_write_at(sys_fd, path, "1");
                if (r && r != ENOENT)
                        fail(part, r, "the removal", slot->name);
        }
        /* Each, even after a refusal: a reset less is memory of a former VM more. */
        for (size_t i = 0; i < slot->n_functions; i++)
                release_function(work, sys_fd, part, &slot->functions[i]);
}

void gpu_work_run(struct gpu_work *work) {
        _cleanup_(fd_closep) int sys_fd = -1;

        sys_fd = open(work->sys_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        for (size_t i = 0; i < work->n; i++) {
                struct gpu_part *part = &work->parts[i];

                part->errnum = 0;
                part->detail[0] = '\0';
                if (sys_fd < 0)
                        fail(part, ENOENT, "the directory", work->sys_dir);
                else if (work->task == GPU_RELEASE)
                        release(work, sys_fd, part);
                else if (!prepare(work, sys_fd, part))
                        return;
        }
}
