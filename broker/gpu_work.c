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

static bool prepare(int sys_fd, struct gpu_part *part) {
        struct gpu_slot *slot = &part->slot;

        for (size_t i = 0; i < slot->n_functions; i++) {
                if (slot->functions[i].bind &&
                    !bind_function(sys_fd, part, slot->functions[i].address))
                        return false;
                slot->functions[i].bind = false;
        }
        if (part->made && !make_mdev(sys_fd, part))
                return false;
        return gpu_slot_find_file(sys_fd, slot) ||
               fail(part, ENOENT, "the file below /dev/vfio", slot->name);
}

static bool release(int sys_fd, struct gpu_part *part) {
        const struct gpu_slot *slot = &part->slot;
        char path[PATH_SIZE];
        bool done = true;
        int r;

        if (part->made) {
                snprintf(path, sizeof(path), MDEV "%s/remove", slot->name);
                r = file_write_at(sys_fd, path, "1");
                if (r && r != ENOENT)
                        done = fail(part, r, "the removal", slot->name);
        }
        /* Each, even after a refusal: a reset less is memory of a former VM more. */
        for (size_t i = 0; i < slot->n_functions; i++) {
                /* With its own driver it was never given away. */
                if (!is_bound(sys_fd, slot->functions[i].address))
                        continue;
                r = write_pci(sys_fd, slot->functions[i].address, "reset", "1");
                if (r && r != ENOENT)
                        done = fail(part, r, "the reset", slot->functions[i].address);
        }
        return done;
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
                        release(sys_fd, part);
                else if (!prepare(sys_fd, part))
                        return;
        }
}
