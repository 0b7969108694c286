/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <base/text.h>
#include <broker/gpu_found.h>
#include <broker/gpu_mdev.h>

#define PCI "bus/pci/devices/"
#define MDEV "bus/mdev/devices"
#define INSTANCES_MAX GPU_SLOTS_MAX /* of one type */

/* What one device says of one type. */
struct offer {
        const struct gpu_device *device;
        size_t profile;
        size_t available;
};

struct search {
        struct gpu_found *found;
        int sys_fd;
        struct offer *offers; /* in the order of the devices */
        size_t n_offers;
};

static const char *card_of(const struct gpu_device *device) {
        return device->physfn[0] ? device->physfn : device->address;
}

static bool is_type(const char *name) {
        return text_check_name("mdev type", name, NULL) == 0;
}

/* "..., max_instance=4"; 0: it does not say. */
static size_t max_instances(const char *description) {
        const char *at = strstr(description, "max_instance=");
        unsigned long n;

        if (!at)
                return 0;
        n = strtoul(at + strlen("max_instance="), NULL, 10);
        return n > INSTANCES_MAX ? INSTANCES_MAX : n;
}

static struct gpu_profile *find_profile(struct gpu_found *found, const char *card,
                                        const char *type) {
        for (size_t i = 0; i < found->n_profiles; i++)
                if (strcmp(found->profiles[i].card, card) == 0 &&
                    strcmp(found->profiles[i].type, type) == 0)
                        return &found->profiles[i];
        return NULL;
}

/* Those whose interface is another's (vfio-ccw, vfio-ap) are shown and never given away. */
static bool is_usable(const struct gpu_profile *profile) {
        return strcmp(profile->device_api, "vfio-pci") == 0;
}

/* How many of this type there can be of its card altogether. */
static size_t capacity(const struct gpu_profile *profile) {
        size_t sum = profile->existing + profile->available;

        if (profile->max && sum > profile->max)
                sum = profile->max > profile->existing ? profile->max : profile->existing;
        return sum;
}

/* ---- what the drivers say ---- */

static int read_type(struct search *search, const struct gpu_device *device, const char *type) {
        struct gpu_found *found = search->found;
        char dir[256];
        struct gpu_profile *profile;
        uint64_t available = 0;
        struct offer *more;

        snprintf(dir, sizeof(dir), PCI "%s/mdev_supported_types/%s", device->address, type);
        profile = find_profile(found, card_of(device), type);
        if (!profile) {
                profile = gpu_found_add_profile(found);
                if (!profile)
                        return found->cut ? 0 : fault(-ENOMEM);
                strcpy(profile->card, card_of(device));
                strcpy(profile->type, type);
                gpu_read_text(search->sys_fd, dir, "name", profile->name, sizeof(profile->name));
                gpu_read_text(search->sys_fd, dir, "description", profile->description,
                              sizeof(profile->description));
                gpu_read_text(search->sys_fd, dir, "device_api", profile->device_api,
                              sizeof(profile->device_api));
                profile->max = max_instances(profile->description);
        }
        if (!gpu_read_number(search->sys_fd, dir, "available_instances", 10, UINT32_MAX,
                             &available))
                available = 0;
        available = min_u64(available, INSTANCES_MAX);
        profile->available = min_u64(profile->available + available, INSTANCES_MAX);

        more = reallocarray(search->offers, search->n_offers + 1, sizeof(*more));
        if (!more)
                return fault(-ENOMEM);
        search->offers = more;
        more[search->n_offers++] = (struct offer){
                .device = device,
                .profile = (size_t)(profile - found->profiles),
                .available = available,
        };
        return 0;
}

static int read_types(struct search *search, const struct gpu_device *device) {
        struct gpu_names types;
        char path[128];
        int r;

        snprintf(path, sizeof(path), PCI "%s/mdev_supported_types", device->address);
        r = gpu_list(search->sys_fd, path, is_type, &types);
        for (size_t i = 0; r == 0 && i < types.n; i++)
                r = read_type(search, device, types.name[i]);
        if (r == 0 && types.cut)
                search->found->cut = true;
        gpu_names_deinit(&types);
        return r;
}

/* The device that @uuid was made of: the directory it lies in. NULL: none of ours. */
static struct gpu_device *parent_of(const struct search *search, const char *uuid) {
        char path[128], target[1024], *last, *parent;
        ssize_t n;

        snprintf(path, sizeof(path), MDEV "/%s", uuid);
        n = readlinkat(search->sys_fd, path, target, sizeof(target));
        if (n <= 0 || (size_t)n == sizeof(target))
                return NULL;
        target[n] = '\0';
        last = strrchr(target, '/');
        if (!last)
                return NULL;
        *last = '\0';
        parent = strrchr(target, '/');
        return gpu_found_device(search->found, parent ? parent + 1 : target);
}

static int read_instance(struct search *search, const char *uuid) {
        struct gpu_device *device = parent_of(search, uuid);
        char dir[128], type[GPU_WORD_SIZE];
        struct gpu_profile *profile;
        struct gpu_slot *slot;

        if (!device || !device->has_mdev || device->kept)
                return 0;
        snprintf(dir, sizeof(dir), MDEV "/%s", uuid);
        gpu_read_link(search->sys_fd, dir, "mdev_type", type, sizeof(type));
        profile = find_profile(search->found, card_of(device), type);
        if (!profile || !is_usable(profile))
                return 0;
        profile->existing++;
        slot = gpu_found_add_slot(search->found);
        if (!slot)
                return search->found->cut ? 0 : fault(-ENOMEM);
        slot->kind = GPU_MDEV;
        slot->numa_node = device->numa_node;
        strcpy(slot->name, uuid);
        strcpy(slot->parent, device->address);
        strcpy(slot->type, type);
        gpu_slot_find_file(search->sys_fd, slot);
        device->n_slots++;
        return 0;
}

static int read_instances(struct search *search) {
        struct gpu_names uuids;
        int r;

        r = gpu_list(search->sys_fd, MDEV, gpu_is_uuid, &uuids);
        for (size_t i = 0; r == 0 && i < uuids.n; i++)
                r = read_instance(search, uuids.name[i]);
        if (r == 0 && uuids.cut)
                search->found->cut = true;
        gpu_names_deinit(&uuids);
        return r;
}

/* ---- one type of each card ---- */

static bool is_wanted(const struct gpu_profile *profile, const char *type) {
        return type && (strcmp(profile->type, type) == 0 || strcmp(profile->name, type) == 0);
}

static bool is_better(const struct gpu_profile *a, const struct gpu_profile *b, const char *type) {
        if (is_wanted(a, type) != is_wanted(b, type))
                return is_wanted(a, type);
        if (a->existing != b->existing)
                return a->existing > b->existing;
        return capacity(a) > capacity(b);
}

static void choose(struct gpu_found *found, const char *type) {
        for (size_t i = 0; i < found->n_profiles; i++) {
                struct gpu_profile *profile = &found->profiles[i], *best = NULL;

                if (!is_usable(profile) || capacity(profile) == 0)
                        continue;
                for (size_t j = 0; j < found->n_profiles && !best; j++)
                        if (found->profiles[j].chosen &&
                            strcmp(found->profiles[j].card, profile->card) == 0)
                                best = &found->profiles[j];
                if (best && !is_better(profile, best, type))
                        continue;
                if (best)
                        best->chosen = false;
                profile->chosen = true;
        }
}

/* What is still to be made of the chosen types. */
static int add_offers(struct search *search) {
        struct gpu_found *found = search->found;

        for (size_t i = 0; i < found->n_profiles; i++) {
                const struct gpu_profile *profile = &found->profiles[i];
                size_t left = profile->chosen ? capacity(profile) - profile->existing : 0;

                for (size_t j = 0; j < search->n_offers && left > 0; j++) {
                        const struct offer *offer = &search->offers[j];
                        struct gpu_device *device = gpu_found_device(found, offer->device->address);

                        if (offer->profile != i)
                                continue;
                        for (size_t k = 0; k < offer->available && left > 0; k++, left--) {
                                struct gpu_slot *slot = gpu_found_add_slot(found);

                                if (!slot)
                                        return found->cut ? 0 : fault(-ENOMEM);
                                slot->kind = GPU_MDEV;
                                slot->numa_node = device->numa_node;
                                strcpy(slot->parent, device->address);
                                strcpy(slot->type, profile->type);
                                device->n_slots++;
                        }
                }
        }
        return 0;
}

static void give_reasons(struct gpu_found *found) {
        for (size_t i = 0; i < found->n_devices; i++) {
                struct gpu_device *device = &found->devices[i];

                if (device->has_mdev && !device->kept && device->n_slots == 0)
                        snprintf(device->detail, sizeof(device->detail),
                                 "%.40s makes no more mediated devices of it",
                                 device->driver[0] ? device->driver : "its driver");
        }
}

int gpu_mdev_find(struct gpu_found *found, int sys_fd, const char *type) {
        struct search search = {.found = found, .sys_fd = sys_fd};
        int r = 0;

        for (size_t i = 0; r == 0 && i < found->n_devices; i++)
                if (found->devices[i].has_mdev && !found->devices[i].kept)
                        r = read_types(&search, &found->devices[i]);
        if (r == 0)
                r = read_instances(&search);
        if (r == 0) {
                choose(found, type);
                r = add_offers(&search);
        }
        free(search.offers);
        give_reasons(found);
        return r;
}
