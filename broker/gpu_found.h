/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_GPU_FOUND_H
#define PROVIUM_BROKER_GPU_FOUND_H

/*
 * What was found of GPUs, as values: the devices, what their drivers offer, and the slots. A slot
 * is what one VM can get: an IOMMU group with a GPU in it, a virtual function, or a mediated
 * device.
 *
 * Also what those share who look for it (gpu_find, gpu_group, gpu_mdev): bounded reading of sysfs,
 * from which nothing is taken on trust. A text that is not printable is as good as none, a name
 * that is no PCI address or UUID is nobody's, and every list has an end.
 */

#include <sys/types.h>

#include <base/macro.h>

#define GPU_ADDRESS_SIZE 18 /* "0000:01:00.0", NUL included; a domain has up to eight digits */
#define GPU_NAME_SIZE 37    /* that, or a UUID */
#define GPU_WORD_SIZE 64
#define GPU_TEXT_SIZE 192
#define GPU_FUNCTIONS_MAX 16 /* of one slot */

#define GPU_DEVICES_MAX 1024
#define GPU_PROFILES_MAX 1024
#define GPU_SLOTS_MAX 1024
#define GPU_LIST_MAX 16384 /* entries of one directory */

enum gpu_kind {
        GPU_PASSTHROUGH, /* a group of whole devices */
        GPU_VF,          /* a group of virtual functions */
        GPU_MDEV,        /* an instance of an mdev type */
};

/* A display device of the PCI bus. */
struct gpu_device {
        char address[GPU_ADDRESS_SIZE];
        char driver[GPU_WORD_SIZE];    /* "": none */
        char physfn[GPU_ADDRESS_SIZE]; /* whose virtual function it is; "": none */
        uint32_t class;                /* 0x030000: VGA */
        uint16_t vendor, device;
        int numa_node; /* -1: not known */
        int group;     /* of the IOMMU; -1: none */
        bool has_mdev; /* its driver makes mediated devices */
        bool resets;   /* the kernel knows how to reset it */
        bool kept;     /* it is not among those that may be given away */
        unsigned vfs;  /* its own virtual functions */
        size_t n_slots;
        char detail[GPU_TEXT_SIZE]; /* why it has no slots of its own */
};

/* An mdev type of one card: a device, or all virtual functions of one. */
struct gpu_profile {
        char card[GPU_ADDRESS_SIZE];
        char type[GPU_WORD_SIZE]; /* "nvidia-471" */
        char name[GPU_WORD_SIZE]; /* "GRID A100-10C"; "" */
        char description[GPU_TEXT_SIZE];
        char device_api[GPU_WORD_SIZE];
        size_t available; /* that its driver would still make, summed up over the card */
        size_t existing;
        size_t max;  /* of the whole card, by its description; 0: does not say */
        bool chosen; /* what is still to be made will be of this type */
};

struct gpu_function {
        char address[GPU_ADDRESS_SIZE];
        bool bind; /* it is to be bound to vfio-pci first */
};

struct gpu_slot {
        enum gpu_kind kind;
        char name[GPU_NAME_SIZE];      /* address or UUID; "": an mdev that is still to be made */
        char parent[GPU_ADDRESS_SIZE]; /* the device of which it is counted */
        char type[GPU_WORD_SIZE];      /* of an mdev */
        int numa_node;                 /* -1: not known */
        int group;                     /* its file is /dev/vfio/GROUP; -1: not known yet */
        dev_t dev;                     /* of that file; 0: not known yet */
        bool lent;          /* it was taken from the host's driver for the lease that has it */
        size_t n_functions; /* of the PCI bus, that go with it; 0 for an mdev */
        struct gpu_function functions[GPU_FUNCTIONS_MAX];
};

struct gpu_found {
        struct gpu_device *devices; /* by address */
        size_t n_devices;
        struct gpu_profile *profiles;
        size_t n_profiles;
        struct gpu_slot *slots;
        size_t n_slots;
        bool cut; /* there was more than the bounds above allow */
};

/* Takes NULL, returns NULL. */
struct gpu_found *gpu_found_free(struct gpu_found *found);

static inline void gpu_found_freep(struct gpu_found **foundp) {
        gpu_found_free(*foundp);
}

/*
 * One more, zeroed, at the end of each list; what was there may move. NULL with @found->cut set:
 * the bound is reached; NULL without: out of memory.
 */
struct gpu_device *gpu_found_add_device(struct gpu_found *found);
struct gpu_profile *gpu_found_add_profile(struct gpu_found *found);
struct gpu_slot *gpu_found_add_slot(struct gpu_found *found);
struct gpu_device *gpu_found_device(const struct gpu_found *found, const char *address);

/* "0000:01:00.0" in lower case, as the kernel writes it. */
_must_check_ bool gpu_is_address(const char *text);
/* "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001", likewise. */
_must_check_ bool gpu_is_uuid(const char *text);
/* Do those two addresses name functions of one device? */
_must_check_ bool gpu_same_device(const char *a, const char *b);
/* vfio-pci, or one of the drivers that do the same for one make ("xe-vfio-pci"). */
_must_check_ bool gpu_is_vfio(const char *driver);
/* Display controllers (03xxxx), and AMD's that call themselves processing accelerators (1200xx). */
_must_check_ bool gpu_is_display(uint32_t class, uint16_t vendor);

struct gpu_names {
        char (*name)[GPU_WORD_SIZE];
        size_t n;
        bool cut;
};

void gpu_names_deinit(struct gpu_names *names);

/* The entries of @path below @dir_fd that @wanted wants, "nvidia-9" before "nvidia-10". A directory
 * that is not there has none. Negative: out of memory. */
_must_check_ int gpu_list(int dir_fd, const char *path, bool (*wanted)(const char *name),
                          struct gpu_names *names);

/* The text of @dir/@file in @buffer, cut to fit; "" if there is none, or none fit to be shown. */
void gpu_read_text(int dir_fd, const char *dir, const char *file, char *buffer, size_t size);
/* A number in base @base, with 0x if it is so written; false if it is none or above @max. */
_must_check_ bool gpu_read_number(int dir_fd, const char *dir, const char *file, int base,
                                  uint64_t max, uint64_t *valuep);
/* The last part of what the link @dir/@file points to, likewise. */
void gpu_read_link(int dir_fd, const char *dir, const char *file, char *buffer, size_t size);
/* The number of the IOMMU group of @dir; -1: none. */
int gpu_read_group(int dir_fd, const char *dir);

/*
 * Finds group and file of @slot anew, as they are now: they come with the driver, or with the mdev.
 * @sys_fd is a descriptor of /sys. False if it has none.
 */
bool gpu_slot_find_file(int sys_fd, struct gpu_slot *slot);

#endif
