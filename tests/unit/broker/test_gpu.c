/* SPDX-License-Identifier: MIT */
/*
 * Whose slots they are, and what is written to sysfs for it. The trees are files: what the kernel
 * does when it is written to, the test does.
 */
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <base/why.h>
#include <broker/gpu.h>
#include <broker/gpu_report.h>
#include <broker/gpu_work.h>

#include "sysfs.h"
#include "unit.h"

#define OWNER "/sys/fs/cgroup/provium"

struct place {
        struct sysfs sysfs;
        struct gpus *gpus;
        struct why why;
};

static void open_with(struct place *place, const struct gpu_options *options) {
        gpus_free(place->gpus);
        place->gpus = NULL;
        need_int(gpus_new(&place->gpus, place->sysfs.dir, OWNER, options), 0);
}

static void open_gpus(struct place *place, bool bind) {
        open_with(place, &(struct gpu_options){.bind = bind});
}

/* Two GPUs with vfio-pci, each with a group of its own. */
static void place_init(struct place *place) {
        *place = (struct place){};
        need(sodium_init() >= 0);
        sysfs_init(&place->sysfs);
        sysfs_add_device(&place->sysfs, &(struct sysfs_device){"0000:01:00.0", "0x030000\n",
                                                               "0x10de 0x2204", "vfio-pci", 11});
        sysfs_add_device(&place->sysfs, &(struct sysfs_device){"0000:01:00.1", "0x040300\n",
                                                               "0x10de 0x1aef", "vfio-pci", 11});
        sysfs_add_device(&place->sysfs, &(struct sysfs_device){"0000:02:00.0", "0x030200\n",
                                                               "0x10de 0x20f1", "vfio-pci", 12});
        sysfs_put_device(&place->sysfs, "0000:01:00.0", "reset", "");
        sysfs_put_device(&place->sysfs, "0000:02:00.0", "reset", "");
        sysfs_add_vfio(&place->sysfs, 11, "244:0\n");
        sysfs_add_vfio(&place->sysfs, 12, "244:1\n");
        open_gpus(place, false);
}

/* A card with GVT-g: two more to be made. */
static void place_init_mdev(struct place *place) {
        *place = (struct place){};
        need(sodium_init() >= 0);
        sysfs_init(&place->sysfs);
        sysfs_add_device(&place->sysfs, &(struct sysfs_device){"0000:00:02.0", "0x030000\n",
                                                               "0x8086 0x5916", "i915", 1});
        sysfs_add_type(&place->sysfs, "0000:00:02.0", "i915-GVTg_V5_4", "GVTg_V5_4\n",
                       "low_gm_size: 128MB\n", "2\n");
        open_gpus(place, false);
}

static void place_deinit(struct place *place) {
        gpus_free(place->gpus);
        sysfs_deinit(&place->sysfs);
}

static int run(struct place *place, struct gpu_work *work) {
        need(work != NULL);
        gpu_work_run(work);
        return gpu_done(place->gpus, work, &place->why);
}

static int prepare(struct place *place, const char *lease) {
        struct gpu_work *work;

        need_int(gpu_prepare(place->gpus, lease, &work), 0);
        return run(place, work);
}

static int release(struct place *place, const char *lease) {
        struct gpu_work *work;

        need_int(gpu_release(place->gpus, lease, &work), 0);
        return run(place, work);
}

static void take_is_all_or_nothing(void) {
        struct place place;
        const struct gpu_slot *slot;

        place_init(&place);
        expect_uint(gpus_total(place.gpus), 2);
        expect_int(gpu_take(place.gpus, "a", 3, &place.why), GPU_E_FULL);
        expect_str(place.why.text, "3 GPU slots are wanted, 2 of 2 are free");
        expect_uint(gpus_used(place.gpus), 0);
        expect(gpu_next(place.gpus, "a", NULL) == NULL);

        expect_int(gpu_take(place.gpus, "a", 1, &place.why), 0);
        expect_int(gpu_take(place.gpus, "b", 2, &place.why), GPU_E_FULL);
        expect_int(gpu_take(place.gpus, "b", 1, &place.why), 0);
        expect_int(gpu_take(place.gpus, "c", 1, &place.why), GPU_E_FULL);
        expect_int(gpu_take(place.gpus, "c", 0, &place.why), 0);
        slot = gpu_next(place.gpus, "a", NULL);
        need(slot != NULL);
        expect_str(slot->name, "0000:01:00.0");
        expect_uint(slot->n_functions, 2);
        expect(gpu_next(place.gpus, "a", slot) == NULL);
        slot = gpu_next(place.gpus, "b", NULL);
        need(slot != NULL);
        expect_str(slot->name, "0000:02:00.0");
        expect_int(slot->group, 12);
        expect_uint(major(slot->dev), 244);
        expect_uint(minor(slot->dev), 1);

        gpu_drop(place.gpus, "a");
        gpu_drop(place.gpus, "nobody");
        expect_uint(gpus_used(place.gpus), 1);
        expect_int(gpu_take(place.gpus, "c", 1, &place.why), 0);
        place_deinit(&place);
}

static void adopted_lease_finds_its_slots_again(void) {
        struct place place;

        place_init(&place);
        expect_int(gpu_claim(place.gpus, "a", "0000:02:00.0", false, &place.why), 0);
        expect_int(gpu_claim(place.gpus, "a", "0000:02:00.0", false, &place.why), 0);
        expect_uint(gpus_used(place.gpus), 1);
        expect_int(gpu_claim(place.gpus, "b", "0000:02:00.0", false, &place.why), GPU_E_TAKEN);
        expect_str(place.why.text, "GPU 0000:02:00.0 is of lease a");
        expect_int(gpu_claim(place.gpus, "b", "0000:03:00.0", false, &place.why), GPU_E_ABSENT);
        expect_int(gpu_claim(place.gpus, "b", "x\n", false, &place.why), GPU_E_ABSENT);
        expect_str(place.why.text, "there is no GPU 'x\\x0a'");
        expect_int(gpu_claim(place.gpus, "b", "", false, &place.why), GPU_E_ABSENT);
        expect_int(gpu_take(place.gpus, "b", 1, &place.why), 0);
        expect_str(gpu_next(place.gpus, "b", NULL)->name, "0000:01:00.0");
        place_deinit(&place);
}

static void slot_is_free_only_after_its_reset(void) {
        struct place place;
        char reset[256];

        place_init(&place);
        need_int(gpu_take(place.gpus, "a", 2, &place.why), 0);
        expect_int(prepare(&place, "a"), 0);
        expect_str(sysfs_get_device(&place.sysfs, "0000:01:00.0", "reset"), "");

        /* A file that cannot be written stands for a device that cannot be reset. */
        snprintf(reset, sizeof(reset), "devices/pci0000:00/0000:02:00.0/reset");
        sysfs_put(&place.sysfs, reset, NULL);
        sysfs_put_device(&place.sysfs, "0000:02:00.0", "reset/busy", "");
        expect_int(release(&place, "a"), GPU_E_HOST);
        expect_str(place.why.text, "the reset of 0000:02:00.0: Is a directory");
        expect_int(place.why.errnum, EISDIR);
        expect_str(sysfs_get_device(&place.sysfs, "0000:01:00.0", "reset"), "1");
        expect_uint(gpus_used(place.gpus), 1);
        expect_str(gpu_next(place.gpus, "a", NULL)->name, "0000:02:00.0");
        expect_str(gpus_slot_detail(place.gpus, 1), "the reset of 0000:02:00.0: Is a directory");
        expect_int(gpu_take(place.gpus, "b", 2, &place.why), GPU_E_FULL);

        expect_int(release(&place, "a"), GPU_E_HOST);
        snprintf(reset, sizeof(reset), "%s/devices/pci0000:00/0000:02:00.0/reset/busy",
                 place.sysfs.dir);
        need_int(remove(reset), 0);
        *strrchr(reset, '/') = '\0';
        need_int(remove(reset), 0);
        expect_int(release(&place, "a"), 0);
        expect_uint(gpus_used(place.gpus), 0);
        expect_str(gpus_slot_detail(place.gpus, 1), "");
        place_deinit(&place);
}

static void lease_without_slots_has_no_work(void) {
        struct place place;
        struct gpu_work *work = (struct gpu_work *)&place;

        place_init(&place);
        expect_int(gpu_prepare(place.gpus, "a", &work), 0);
        expect(work == NULL);
        expect_int(gpu_sweep(place.gpus, &work), 0);
        expect(work == NULL);
        place_deinit(&place);
}

static void mdev_is_named_before_it_is_made_and_removed_afterwards(void) {
        struct place place;
        const struct gpu_slot *slot;
        char name[GPU_NAME_SIZE], file[256];

        place_init_mdev(&place);
        expect_uint(gpus_total(place.gpus), 2);
        need_int(gpu_take(place.gpus, "a", 1, &place.why), 0);
        slot = gpu_next(place.gpus, "a", NULL);
        strcpy(name, slot->name);
        expect(gpu_is_uuid(name));
        expect_int(slot->group, -1);

        /* The driver takes the UUID, and nothing appears: a refusal that can be undone. */
        expect_int(prepare(&place, "a"), GPU_E_HOST);
        expect_str(sysfs_get_device(&place.sysfs, "0000:00:02.0",
                                    "mdev_supported_types/i915-GVTg_V5_4/create"),
                   name);
        expect_in(place.why.text, "the file below /dev/vfio of ");

        sysfs_add_mdev(&place.sysfs, "0000:00:02.0", "i915-GVTg_V5_4", name, 7);
        sysfs_add_vfio(&place.sysfs, 7, "244:3\n");
        sysfs_put_device(&place.sysfs, "0000:00:02.0", "mdev_supported_types/i915-GVTg_V5_4/create",
                         "");
        expect_int(prepare(&place, "a"), 0);
        expect_str(sysfs_get_device(&place.sysfs, "0000:00:02.0",
                                    "mdev_supported_types/i915-GVTg_V5_4/create"),
                   "");
        slot = gpu_next(place.gpus, "a", NULL);
        expect_int(slot->group, 7);
        expect_uint(minor(slot->dev), 3);

        expect_int(release(&place, "a"), 0);
        snprintf(file, sizeof(file), "%s/remove", name);
        expect_str(sysfs_get_device(&place.sysfs, "0000:00:02.0", file), "1");
        expect_uint(gpus_used(place.gpus), 0);
        expect_uint(gpus_total(place.gpus), 2);

        /* The next one is another. */
        need_int(gpu_take(place.gpus, "b", 1, &place.why), 0);
        expect(strcmp(gpu_next(place.gpus, "b", NULL)->name, name) != 0);
        place_deinit(&place);
}

static void mdev_of_somebody_else_is_not_removed(void) {
        static const char uuid[] = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";
        struct place place;
        struct gpu_work *work;

        place_init_mdev(&place);
        sysfs_add_mdev(&place.sysfs, "0000:00:02.0", "i915-GVTg_V5_4", uuid, 7);
        sysfs_add_vfio(&place.sysfs, 7, "244:3\n");
        open_gpus(&place, false);
        expect_uint(gpus_total(place.gpus), 3);
        expect_int(gpu_sweep(place.gpus, &work), 0);
        expect(work == NULL);
        expect_int(gpu_claim(place.gpus, "a", uuid, false, &place.why), 0);
        expect_int(prepare(&place, "a"), 0);
        expect_int(release(&place, "a"), 0);
        expect_str(sysfs_get_device(&place.sysfs, "0000:00:02.0",
                                    "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001/remove"),
                   "");
        expect_int(gpu_claim(place.gpus, "b", uuid, false, &place.why), 0);
        place_deinit(&place);
}

static void leftover_mdev_of_a_crash_is_swept(void) {
        struct place place;
        char kept[GPU_NAME_SIZE], lost[GPU_NAME_SIZE], file[256];
        const struct gpu_slot *slot;
        struct gpu_work *work;

        place_init_mdev(&place);
        need_int(gpu_take(place.gpus, "a", 1, &place.why), 0);
        need_int(gpu_take(place.gpus, "b", 1, &place.why), 0);
        strcpy(kept, gpu_next(place.gpus, "a", NULL)->name);
        strcpy(lost, gpu_next(place.gpus, "b", NULL)->name);
        sysfs_add_mdev(&place.sysfs, "0000:00:02.0", "i915-GVTg_V5_4", kept, 7);
        sysfs_add_mdev(&place.sysfs, "0000:00:02.0", "i915-GVTg_V5_4", lost, 8);
        sysfs_put_device(&place.sysfs, "0000:00:02.0",
                         "mdev_supported_types/i915-GVTg_V5_4/available_instances", "0\n");

        open_gpus(&place, false); /* the next broker */
        expect_uint(gpus_total(place.gpus), 2);
        expect_int(gpu_claim(place.gpus, "a", kept, false, &place.why), 0);
        need_int(gpu_sweep(place.gpus, &work), 0);
        /* While it is on its way nobody gets it. */
        expect_int(gpu_take(place.gpus, "c", 1, &place.why), GPU_E_FULL);
        expect_int(run(&place, work), 0);
        snprintf(file, sizeof(file), "%s/remove", lost);
        expect_str(sysfs_get_device(&place.sysfs, "0000:00:02.0", file), "1");
        snprintf(file, sizeof(file), "%s/remove", kept);
        expect_str(sysfs_get_device(&place.sysfs, "0000:00:02.0", file), "");
        slot = gpu_next(place.gpus, "a", NULL);
        need(slot != NULL);
        expect_str(slot->name, kept);
        place_deinit(&place);
}

static void another_root_s_mdev_is_not_ours(void) {
        struct place place;
        char name[GPU_NAME_SIZE];
        struct gpu_options options = {};
        struct gpu_work *work;

        place_init_mdev(&place);
        need_int(gpu_take(place.gpus, "a", 1, &place.why), 0);
        strcpy(name, gpu_next(place.gpus, "a", NULL)->name);
        sysfs_add_mdev(&place.sysfs, "0000:00:02.0", "i915-GVTg_V5_4", name, 7);
        gpus_free(place.gpus);
        place.gpus = NULL;
        need_int(gpus_new(&place.gpus, place.sysfs.dir, "/sys/fs/cgroup/other", &options), 0);
        expect_int(gpu_sweep(place.gpus, &work), 0);
        expect(work == NULL);
        place_deinit(&place);
}

static void looking_anew_keeps_what_is_leased(void) {
        struct place place;
        const struct gpu_slot *slot;

        place_init(&place);
        need_int(gpu_claim(place.gpus, "a", "0000:01:00.0", false, &place.why), 0);
        need_int(gpu_claim(place.gpus, "b", "0000:02:00.0", false, &place.why), 0);
        sysfs_add_device(&place.sysfs, &(struct sysfs_device){"0000:00:09.0", "0x030000\n",
                                                              "0x10de 0x2204", "vfio-pci", 9});
        sysfs_unlink(&place.sysfs, "bus/pci/devices/0000:02:00.0");
        need_int(gpus_refresh(place.gpus), 0);
        expect_uint(gpus_total(place.gpus), 3);
        expect_uint(gpus_used(place.gpus), 2);
        slot = gpu_next(place.gpus, "b", NULL);
        need(slot != NULL);
        expect_str(slot->name, "0000:02:00.0");
        expect_str(gpu_next(place.gpus, "a", NULL)->name, "0000:01:00.0");

        /* Given back it is nobody's. */
        expect_int(release(&place, "b"), 0);
        expect_uint(gpus_total(place.gpus), 2);
        expect_uint(gpus_used(place.gpus), 1);
        expect_int(gpu_claim(place.gpus, "c", "0000:02:00.0", false, &place.why), GPU_E_ABSENT);
        expect_int(gpu_take(place.gpus, "c", 2, &place.why), GPU_E_FULL);
        expect_int(gpu_take(place.gpus, "c", 1, &place.why), 0);
        expect_str(gpu_next(place.gpus, "c", NULL)->name, "0000:00:09.0");
        place_deinit(&place);
}

static void leased_mdev_that_is_not_made_yet_is_counted_once(void) {
        struct place place;

        place_init_mdev(&place);
        need_int(gpu_take(place.gpus, "a", 1, &place.why), 0);
        need_int(gpus_refresh(place.gpus), 0);
        expect_uint(gpus_total(place.gpus), 2);
        expect_uint(gpus_used(place.gpus), 1);
        sysfs_put_device(&place.sysfs, "0000:00:02.0",
                         "mdev_supported_types/i915-GVTg_V5_4/available_instances", "1\n");
        sysfs_add_mdev(&place.sysfs, "0000:00:02.0", "i915-GVTg_V5_4",
                       gpu_next(place.gpus, "a", NULL)->name, 7);
        need_int(gpus_refresh(place.gpus), 0);
        expect_uint(gpus_total(place.gpus), 2);
        expect_uint(gpus_used(place.gpus), 1);
        place_deinit(&place);
}

static void what_is_leased_has_its_place_where_there_are_too_many(void) {
        struct place place;
        const struct gpu_slot *slot;

        place_init_mdev(&place);
        sysfs_put_device(&place.sysfs, "0000:00:02.0",
                         "mdev_supported_types/i915-GVTg_V5_4/available_instances", "100000\n");
        sysfs_add_device(&place.sysfs, &(struct sysfs_device){"0000:00:09.0", "0x030000\n",
                                                              "0x10de 0x2204", "vfio-pci", 9});
        need_int(gpus_refresh(place.gpus), 0);
        need_uint(gpus_total(place.gpus), GPU_SLOTS_MAX);
        need_int(gpu_claim(place.gpus, "a", "0000:00:09.0", false, &place.why), 0);
        need_int(gpu_take(place.gpus, "b", 2, &place.why), 0);
        sysfs_unlink(&place.sysfs, "bus/pci/devices/0000:00:09.0");
        need_int(gpus_refresh(place.gpus), 0);
        expect_uint(gpus_total(place.gpus), GPU_SLOTS_MAX);
        expect_uint(gpus_used(place.gpus), 3);
        slot = gpu_next(place.gpus, "a", NULL);
        need(slot != NULL);
        expect_str(slot->name, "0000:00:09.0");
        slot = gpu_next(place.gpus, "b", NULL);
        expect(slot && gpu_next(place.gpus, "b", slot));

        need_int(gpu_take(place.gpus, "c", GPU_SLOTS_MAX - 3, &place.why), 0);
        need_int(gpus_refresh(place.gpus), 0);
        expect_uint(gpus_used(place.gpus), GPU_SLOTS_MAX);
        place_deinit(&place);
}

static void looking_anew_waits_for_work_under_way(void) {
        struct place place;
        struct gpu_work *work;

        place_init(&place);
        need_int(gpu_take(place.gpus, "a", 1, &place.why), 0);
        need_int(gpu_prepare(place.gpus, "a", &work), 0);
        sysfs_unlink(&place.sysfs, "bus/pci/devices/0000:02:00.0");
        expect_int(gpus_refresh(place.gpus), 0);
        expect_uint(gpus_total(place.gpus), 2);
        expect_int(run(&place, work), 0);
        expect_uint(gpus_total(place.gpus), 1);
        expect_uint(gpus_used(place.gpus), 1);
        place_deinit(&place);
}

static void rename_driver(struct place *place, const char *from, const char *to) {
        char old[128], new[128];

        snprintf(old, sizeof(old), "%s/bus/pci/drivers/%s", place->sysfs.dir, from);
        snprintf(new, sizeof(new), "%s/bus/pci/drivers/%s", place->sysfs.dir, to);
        need_int(rename(old, new), 0);
}

static void failed_binding_is_undone(void) {
        struct place place;

        place_init(&place);
        sysfs_bind(&place.sysfs, "0000:01:00.0", "nvidia");
        sysfs_put(&place.sysfs, "bus/pci/drivers_probe", "");
        open_gpus(&place, true);
        need_int(gpu_claim(place.gpus, "a", "0000:01:00.0", false, &place.why), 0);
        rename_driver(&place, "vfio-pci", "away");
        expect_int(prepare(&place, "a"), GPU_E_HOST);
        expect_str(place.why.text,
                   "the driver vfio-pci is not loaded (modprobe vfio-pci): binding of "
                   "0000:01:00.0: No such file or directory");
        expect_str(sysfs_get(&place.sysfs, "bus/pci/drivers/nvidia/unbind"), "");
        rename_driver(&place, "away", "vfio-pci");
        expect_int(prepare(&place, "a"), GPU_E_HOST);
        expect_str(place.why.text,
                   "binding to vfio-pci of 0000:01:00.0: the kernel took it and did nothing");
        expect_str(sysfs_get(&place.sysfs, "bus/pci/drivers/nvidia/unbind"), "0000:01:00.0");
        expect_str(sysfs_get(&place.sysfs, "bus/pci/drivers_probe"), "0000:01:00.0");
        /* A file keeps what a shorter write leaves; the kernel would have taken the new line. */
        expect_str(sysfs_get_device(&place.sysfs, "0000:01:00.0", "driver_override"), "\nfio-pci");
        /* It was never given away: its driver's device is not reset under it. */
        expect_int(release(&place, "a"), 0);
        expect_str(sysfs_get_device(&place.sysfs, "0000:01:00.0", "reset"), "");
        place_deinit(&place);
}

static void what_was_refused_is_tried_last(void) {
        struct place place;

        place_init(&place);
        sysfs_bind(&place.sysfs, "0000:01:00.0", "nvidia");
        sysfs_put(&place.sysfs, "bus/pci/drivers_probe", "");
        open_gpus(&place, true);
        need_int(gpu_take(place.gpus, "a", 2, &place.why), 0);
        expect_int(prepare(&place, "a"), GPU_E_HOST);
        expect_str(gpus_slot_refused(place.gpus, 0),
                   "binding to vfio-pci of 0000:01:00.0: the kernel took it and did nothing");
        expect_str(gpus_slot_detail(place.gpus, 0), "");
        expect_str(gpus_slot_refused(place.gpus, 1), "");
        expect_int(release(&place, "a"), 0);
        need_int(gpus_refresh(place.gpus), 0);
        expect(gpus_slot_refused(place.gpus, 0)[0] != '\0');

        need_int(gpu_take(place.gpus, "b", 1, &place.why), 0);
        expect_str(gpu_next(place.gpus, "b", NULL)->name, "0000:02:00.0");
        need_int(gpu_take(place.gpus, "c", 1, &place.why), 0);
        expect_str(gpu_next(place.gpus, "c", NULL)->name, "0000:01:00.0");
        sysfs_bind(&place.sysfs, "0000:01:00.0", "vfio-pci");
        expect_int(prepare(&place, "c"), 0);
        expect_str(gpus_slot_refused(place.gpus, 0), "");
        place_deinit(&place);
}

static void what_came_from_the_host_s_driver_goes_back_to_it(void) {
        struct place place;

        place_init(&place);
        sysfs_bind(&place.sysfs, "0000:01:00.0", "nouveau");
        sysfs_bind(&place.sysfs, "0000:01:00.1", "snd_hda_intel");
        open_with(&place, &(struct gpu_options){.bind = true, .give_back = true});
        need_int(gpu_take(place.gpus, "a", 1, &place.why), 0);
        expect(gpu_next(place.gpus, "a", NULL)->lent);
        /* A new broker knows it by the record. */
        sysfs_bind(&place.sysfs, "0000:01:00.0", "vfio-pci");
        sysfs_bind(&place.sysfs, "0000:01:00.1", "vfio-pci");
        open_with(&place, &(struct gpu_options){.bind = true, .give_back = true});
        need_int(gpu_claim(place.gpus, "a", "0000:01:00.0", true, &place.why), 0);
        expect_int(prepare(&place, "a"), 0);
        sysfs_put_device(&place.sysfs, "0000:01:00.0", "driver_override", "");
        sysfs_put_device(&place.sysfs, "0000:01:00.1", "driver_override", "");
        sysfs_put(&place.sysfs, "bus/pci/drivers_probe", "");
        expect_int(release(&place, "a"), 0);
        expect_str(sysfs_get_device(&place.sysfs, "0000:01:00.0", "reset"), "1");
        expect_str(sysfs_get_device(&place.sysfs, "0000:01:00.0", "driver/unbind"), "0000:01:00.1");
        expect_str(sysfs_get_device(&place.sysfs, "0000:01:00.0", "driver_override"), "\n");
        expect_str(sysfs_get(&place.sysfs, "bus/pci/drivers_probe"), "0000:01:00.1");
        expect_uint(gpus_used(place.gpus), 0);

        /* A broker that was killed between the two drivers. */
        sysfs_unlink(&place.sysfs, "bus/pci/devices/0000:01:00.0/driver");
        sysfs_put(&place.sysfs, "bus/pci/drivers_probe", "");
        sysfs_put_device(&place.sysfs, "0000:01:00.0", "driver_override", "");
        sysfs_put_device(&place.sysfs, "0000:01:00.0", "reset", "");
        need_int(gpu_claim(place.gpus, "a", "0000:01:00.0", true, &place.why), 0);
        sysfs_bind(&place.sysfs, "0000:01:00.1", "snd_hda_intel");
        expect_int(release(&place, "a"), 0);
        expect_str(sysfs_get(&place.sysfs, "bus/pci/drivers_probe"), "0000:01:00.0");
        expect_str(sysfs_get_device(&place.sysfs, "0000:01:00.0", "driver_override"), "\n");
        expect_str(sysfs_get_device(&place.sysfs, "0000:01:00.0", "reset"), "");
        sysfs_bind(&place.sysfs, "0000:01:00.0", "vfio-pci");
        sysfs_bind(&place.sysfs, "0000:01:00.1", "vfio-pci");

        /* One that somebody had bound for us before stays where it was put. */
        sysfs_put(&place.sysfs, "bus/pci/drivers_probe", "");
        need_int(gpu_claim(place.gpus, "b", "0000:01:00.0", false, &place.why), 0);
        expect_int(release(&place, "b"), 0);
        expect_str(sysfs_get(&place.sysfs, "bus/pci/drivers_probe"), "");
        place_deinit(&place);
}

static void leftover_is_not_sold_before_it_is_gone(void) {
        struct place place;
        struct gpu_work *work;

        place_init_mdev(&place);
        need_int(gpu_take(place.gpus, "a", 1, &place.why), 0);
        sysfs_add_mdev(&place.sysfs, "0000:00:02.0", "i915-GVTg_V5_4",
                       gpu_next(place.gpus, "a", NULL)->name, 7);
        sysfs_put_device(&place.sysfs, "0000:00:02.0",
                         "mdev_supported_types/i915-GVTg_V5_4/available_instances", "1\n");
        open_gpus(&place, false);
        expect_uint(gpus_capacity(place.gpus), 2);
        need_int(gpu_sweep(place.gpus, &work), 0);
        need(work != NULL);
        expect_uint(gpus_total(place.gpus), 2);
        expect_uint(gpus_capacity(place.gpus), 1);
        expect_int(gpu_take(place.gpus, "b", 2, &place.why), GPU_E_FULL);
        expect_int(run(&place, work), 0);
        expect_uint(gpus_capacity(place.gpus), 2);
        place_deinit(&place);
}

static void report_names_devices_and_not_leases(void) {
        struct place place;
        json_t *report, *device;
        char *text;

        place_init(&place);
        sysfs_bind(&place.sysfs, "0000:01:00.1", "snd_hda_intel");
        open_gpus(&place, false);
        need_int(gpu_take(place.gpus, "secret", 1, &place.why), 0);
        report = gpu_report(place.gpus);
        need(report != NULL);
        expect_str(json_string_value(json_object_get(report, "mode")), "passthrough");
        expect_int(json_integer_value(json_object_get(report, "total_slots")), 1);
        expect_int(json_integer_value(json_object_get(report, "used_slots")), 1);
        expect_uint(json_array_size(json_object_get(report, "profiles")), 0);
        device = json_array_get(json_object_get(report, "devices"), 0);
        expect_str(json_string_value(json_object_get(device, "id")), "10de:2204");
        expect_int(json_integer_value(json_object_get(device, "slots")), 0);
        expect_str(json_string_value(json_object_get(device, "detail")),
                   "0000:01:00.1, which shares its IOMMU group 11, is bound to snd_hda_intel, not "
                   "to vfio-pci");
        device = json_array_get(json_object_get(report, "devices"), 1);
        expect_int(json_integer_value(json_object_get(device, "used")), 1);
        text = json_dumps(report, 0);
        expect(strstr(text, "secret") == NULL);
        free(text);
        json_decref(report);
        place_deinit(&place);
}

static void host_without_gpu_reports_nothing(void) {
        struct place place = {};
        char text[128];

        need(sodium_init() >= 0);
        sysfs_init(&place.sysfs);
        open_gpus(&place, false);
        expect(gpu_report(place.gpus) == NULL);
        expect_uint(gpus_total(place.gpus), 0);
        expect_str(gpus_summary(place.gpus, text, sizeof(text)),
                   "no display device on the PCI bus");
        expect_int(gpu_take(place.gpus, "a", 1, &place.why), GPU_E_FULL);
        place_deinit(&place);
}

UNIT_MAIN(TEST(take_is_all_or_nothing), TEST(adopted_lease_finds_its_slots_again),
          TEST(slot_is_free_only_after_its_reset), TEST(lease_without_slots_has_no_work),
          TEST(mdev_is_named_before_it_is_made_and_removed_afterwards),
          TEST(mdev_of_somebody_else_is_not_removed), TEST(leftover_mdev_of_a_crash_is_swept),
          TEST(another_root_s_mdev_is_not_ours), TEST(looking_anew_keeps_what_is_leased),
          TEST(leased_mdev_that_is_not_made_yet_is_counted_once),
          TEST(what_is_leased_has_its_place_where_there_are_too_many),
          TEST(looking_anew_waits_for_work_under_way), TEST(failed_binding_is_undone),
          TEST(what_was_refused_is_tried_last),
          TEST(what_came_from_the_host_s_driver_goes_back_to_it),
          TEST(leftover_is_not_sold_before_it_is_gone), TEST(report_names_devices_and_not_leases),
          TEST(host_without_gpu_reports_nothing))
