/* SPDX-License-Identifier: MIT */
/*
 * The thread's side of a survey: files of groups, then two lists of the network's counters. It
 * touches nothing but the survey.
 */
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <base/why.h>
#include <broker/slice.h>
#include <broker/survey.h>
#include <broker/survey_kept.h>
#include <tc/traffic.h>

static uint64_t clock_usec(clockid_t clock) {
        struct timespec now;

        clock_gettime(clock, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* ---- groups ---- */

static void gather_groups(struct survey *survey, int root_fd, struct survey_kept *kept) {
        char path[SLICE_DIRECTORY_MAX + SURVEY_DIRECTORY_MAX + 1], slice[SLICE_DIRECTORY_MAX];

        for (size_t i = 0; i < survey->n_vms; i++) {
                struct survey_vm *vm = &survey->vms[i];

                snprintf(path, sizeof(path), "%s/%s",
                         slice_directory(survey->slices[vm->slice].name, slice, sizeof(slice)),
                         vm->directory);
                vm->present = usage_read(root_fd, path, USAGE_ALL, survey_kept_files(kept, vm->id),
                                         &vm->usage, &survey->disks);
        }
        /* After those in them: a slice has used no less than they. */
        for (size_t i = 0; i < survey->n_slices; i++) {
                struct survey_slice *entry = &survey->slices[i];

                entry->present =
                        entry->present &&
                        usage_read(root_fd, slice_directory(entry->name, slice, sizeof(slice)),
                                   USAGE_ALL, NULL, &entry->usage, &survey->disks);
        }
}

/* ---- devices ---- */

static int compare_devices(const void *a, const void *b) {
        const struct survey_device *left = a, *right = b;

        return left->dev < right->dev ? -1 : left->dev > right->dev;
}

const char *survey_device_name(const struct survey *survey, dev_t dev) {
        const struct survey_device key = {.dev = dev}, *found;

        found = bsearch(&key, survey->devices, survey->n_devices, sizeof(key), compare_devices);
        return found ? found->name : "";
}

/* "/sys/dev/block/8:0" leads to ".../block/sda". */
static void name_device(const struct survey *survey, struct survey_device *device) {
        char path[192], target[256];
        const char *slash;
        ssize_t n;

        snprintf(device->name, sizeof(device->name), "%u:%u", major(device->dev),
                 minor(device->dev));
        snprintf(path, sizeof(path), "%s/%s", survey->block_dir, device->name);
        n = readlink(path, target, sizeof(target) - 1);
        if (n <= 0)
                return;
        target[n] = '\0';
        slash = strrchr(target, '/');
        /* A longer name than any has: its numbers are left. */
        if (slash && strlen(slash + 1) - 1 < SURVEY_DEVICE_NAME_MAX)
                strcpy(device->name, slash + 1);
}

static void gather_devices(struct survey *survey) {
        const struct usage_disks *disks = &survey->disks;
        size_t n = 0;

        survey->devices = calloc(disks->n + 1, sizeof(*survey->devices));
        if (!survey->devices)
                return;
        for (size_t i = 0; i < disks->n; i++)
                survey->devices[i].dev = disks->list[i].dev;
        qsort(survey->devices, disks->n, sizeof(*survey->devices), compare_devices);
        for (size_t i = 0; i < disks->n; i++)
                if (n == 0 || survey->devices[n - 1].dev != survey->devices[i].dev)
                        survey->devices[n++].dev = survey->devices[i].dev;
        survey->n_devices = n;
        for (size_t i = 0; i < n; i++)
                name_device(survey, &survey->devices[i]);
}

/* ---- network ---- */

/* Whose a tap or a class is, sorted by number. */
struct owner_of {
        uint32_t number;
        struct survey_vm *vm;
        unsigned bit; /* of taps_seen or queues_seen */
};

struct owners_of {
        struct owner_of *list;
        size_t n;
};

static int compare_owners(const void *a, const void *b) {
        const struct owner_of *left = a, *right = b;

        return left->number < right->number ? -1 : left->number > right->number;
}

static struct owner_of *find_owner(const struct owners_of *owners, uint32_t number) {
        const struct owner_of key = {.number = number};

        return bsearch(&key, owners->list, owners->n, sizeof(key), compare_owners);
}

struct traffic {
        struct survey *survey;
        struct owners_of taps, classes;
};

#define UPLOAD_BIT (1U << SHAPE_TAPS_MAX)
#define DOWNLOAD_BIT (1U << (SHAPE_TAPS_MAX + 1))

static void note_owner(struct owners_of *owners, uint32_t number, struct survey_vm *vm,
                       unsigned bit) {
        if (number)
                owners->list[owners->n++] = (struct owner_of){number, vm, bit};
}

static bool find_owners(struct traffic *traffic) {
        struct survey *survey = traffic->survey;

        traffic->taps.list = calloc(survey->n_vms * SHAPE_TAPS_MAX, sizeof(struct owner_of));
        traffic->classes.list = calloc(survey->n_vms * 2, sizeof(struct owner_of));
        if (!traffic->taps.list || !traffic->classes.list)
                return false;
        for (size_t i = 0; i < survey->n_vms; i++) {
                struct survey_vm *vm = &survey->vms[i];

                for (size_t j = 0; vm->present && j < vm->n_taps; j++)
                        note_owner(&traffic->taps, (uint32_t)vm->taps[j], vm, 1U << j);
                if (!vm->present || vm->n_taps == 0)
                        continue;
                note_owner(&traffic->classes, vm->minor, vm, UPLOAD_BIT);
                note_owner(&traffic->classes, vm->download_minor, vm, DOWNLOAD_BIT);
        }
        qsort(traffic->taps.list, traffic->taps.n, sizeof(struct owner_of), compare_owners);
        qsort(traffic->classes.list, traffic->classes.n, sizeof(struct owner_of), compare_owners);
        return true;
}

static void add_count(struct survey_traffic *sum, const struct qdisc_count *count) {
        sum->bytes += count->bytes;
        sum->packets += count->packets;
        sum->drops += count->drops;
}

/* What the host receives from the tap is what the VM sends. */
static void take_link(void *userdata, const struct traffic_link *link) {
        const struct traffic *traffic = userdata;
        const struct owner_of *owner = find_owner(&traffic->taps, (uint32_t)link->ifindex);

        if (!owner || owner->vm->taps_seen & owner->bit)
                return;
        owner->vm->taps_seen |= owner->bit;
        add_count(&owner->vm->upload, &link->received);
        add_count(&owner->vm->download, &link->sent);
}

/* The bucket of a tap, whose drops contain those of its queue; or the queue of a class. */
static void take_queue(void *userdata, const struct qdisc_seen *queue) {
        const struct traffic *traffic = userdata;
        const struct survey *survey = traffic->survey;
        const struct owner_of *owner = NULL;

        if (queue->tbf && queue->handle == QDISC_TBF_HANDLE)
                owner = find_owner(&traffic->taps, (uint32_t)queue->ifindex);
        else if (queue->ifindex == survey->ifb_ifindex &&
                 TC_H_MAJ(queue->parent) == (uint32_t)survey->major << 16)
                owner = find_owner(&traffic->classes, TC_H_MIN(queue->parent));
        if (!owner || owner->vm->queues_seen & owner->bit)
                return;
        owner->vm->queues_seen |= owner->bit;
        if (owner->bit == UPLOAD_BIT)
                owner->vm->upload.shaping_drops += queue->count.drops;
        else
                owner->vm->download.shaping_drops += queue->count.drops;
}

/* A sum that lacks one of its parts would be a counter that runs backwards. */
static void settle_traffic(struct survey_vm *vm) {
        unsigned taps = (1U << vm->n_taps) - 1;
        unsigned queues = taps | UPLOAD_BIT | (vm->download_minor ? DOWNLOAD_BIT : 0);

        vm->has_traffic = vm->n_taps > 0 && vm->taps_seen == taps;
        vm->has_shaping = vm->has_traffic && vm->queues_seen == queues;
}

static void gather_traffic(struct survey *survey) {
        _cleanup_(netlink_close) struct netlink netlink = NETLINK_NULL;
        struct traffic traffic = {.survey = survey};
        bool any = false;
        struct why why;

        for (size_t i = 0; i < survey->n_vms; i++)
                any |= survey->vms[i].present && survey->vms[i].n_taps > 0;
        /* A list that was torn has told of some: each VM's flags say of whom. */
        if (any && find_owners(&traffic) && netlink_open(&netlink, &why) == 0 &&
            traffic_each_link(&netlink, take_link, &traffic, &why) >= 0)
                (void)!traffic_each_queue(&netlink, take_queue, &traffic, &why);
        free(traffic.taps.list);
        free(traffic.classes.list);
        for (size_t i = 0; i < survey->n_vms; i++)
                settle_traffic(&survey->vms[i]);
}

void survey_gather(void *userdata, int root_fd, struct survey_kept *kept) {
        struct survey *survey = userdata;
        uint64_t began = clock_usec(CLOCK_MONOTONIC), cpu = clock_usec(CLOCK_THREAD_CPUTIME_ID);

        gather_groups(survey, root_fd, kept);
        gather_devices(survey);
        gather_traffic(survey);
        survey->took_usec = clock_usec(CLOCK_MONOTONIC) - began;
        survey->cpu_usec = clock_usec(CLOCK_THREAD_CPUTIME_ID) - cpu;
}
