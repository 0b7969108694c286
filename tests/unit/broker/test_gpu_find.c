/* SPDX-License-Identifier: MIT */
/*
 * What is found on hosts that we are not: trees laid out as theirs.
 */
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <broker/gpu_find.h>
#include <broker/gpu_found.h>

#include "sysfs.h"
#include "unit.h"

#define UUID "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"

struct place {
        struct sysfs sysfs;
        struct gpu_found *found;
        char summary[256];
};

static void place_init(struct place *place) {
        *place = (struct place){};
        sysfs_init(&place->sysfs);
}

static void place_deinit(struct place *place) {
        gpu_found_free(place->found);
        sysfs_deinit(&place->sysfs);
}

static void find_type(struct place *place, bool bind, const char *type) {
        struct gpu_options options = {.bind = bind, .type = type};

        place->found = gpu_found_free(place->found);
        need_int(gpu_find(&place->found, place->sysfs.dir, &options), 0);
        gpu_find_summary(place->found, place->summary, sizeof(place->summary));
}

static void find(struct place *place, bool bind) {
        find_type(place, bind, NULL);
}

static void add(struct place *place, const char *address, const char *class, const char *id,
                const char *driver, int group) {
        sysfs_add_device(&place->sysfs, &(struct sysfs_device){address, class, id, driver, group});
}

static void put(struct place *place, const char *address, const char *file, const char *text) {
        sysfs_put_device(&place->sysfs, address, file, text);
}

static const struct gpu_device *device(struct place *place, const char *address) {
        const struct gpu_device *found = gpu_found_device(place->found, address);

        need(found != NULL);
        return found;
}

static void host_without_pci_has_nothing(void) {
        struct place place;
        struct gpu_options options = {};
        struct gpu_found *found;

        place_init(&place);
        find(&place, false);
        expect_uint(place.found->n_devices, 0);
        expect_str(place.summary, "no display device on the PCI bus");
        add(&place, "0000:00:03.0", "0x020000\n", "0x1af4 0x1000", "virtio-pci", -1);
        find(&place, false);
        expect_uint(place.found->n_devices, 0);
        place_deinit(&place);

        need_int(gpu_find(&found, "/nowhere", &options), 0);
        expect_uint(found->n_slots, 0);
        gpu_found_free(found);
}

static void vga_without_an_iommu_is_for_the_host_alone(void) {
        struct place place;

        place_init(&place);
        add(&place, "0000:00:01.0", "0x030000\n", "0x1a03 0x2000", "ast", -1);
        find(&place, true);
        expect_uint(place.found->n_devices, 1);
        expect_uint(place.found->n_slots, 0);
        expect_str(place.summary,
                   "0000:00:01.0: it has no IOMMU group: the IOMMU is off, or there is none");
        place_deinit(&place);
}

/* QEMU's own: bochs-drm, or no driver at all; and behind an emulated IOMMU a group. */
static void stdvga_needs_a_group_and_vfio_pci(void) {
        struct place place;

        place_init(&place);
        add(&place, "0000:00:02.0", "0x030000\n", "0x1234 0x1111", "bochs-drm", -1);
        find(&place, true);
        expect_uint(place.found->n_slots, 0);
        place_deinit(&place);

        place_init(&place);
        add(&place, "0000:00:02.0", "0x030000\n", "0x1234 0x1111", NULL, 2);
        find(&place, false);
        expect_uint(place.found->n_slots, 0);
        expect_str(place.summary, "0000:00:02.0: it is bound to no driver, not to vfio-pci");
        find(&place, true);
        expect_uint(place.found->n_slots, 1);
        expect_str(place.summary, "slots of 1 of 1 devices");
        expect(place.found->slots[0].functions[0].bind);

        sysfs_bind(&place.sysfs, "0000:00:02.0", "bochs-drm");
        find(&place, false);
        expect_str(place.summary, "0000:00:02.0: it is bound to bochs-drm, not to vfio-pci");
        put(&place, "0000:00:02.0", "boot_vga", "1\n");
        find(&place, true); /* the console stays with the host */
        expect_uint(place.found->n_slots, 0);
        sysfs_bind(&place.sysfs, "0000:00:02.0", "vfio-pci"); /* unless the operator says so */
        find(&place, false);
        expect_uint(place.found->n_slots, 1);
        expect(!place.found->slots[0].functions[0].bind);
        place_deinit(&place);
}

static void group_without_an_iommu_is_not_given_away(void) {
        struct place place;

        place_init(&place);
        add(&place, "0000:01:00.0", "0x030000\n", "0x10de 0x2204", "vfio-pci", 0);
        sysfs_put(&place.sysfs, "kernel/iommu_groups/0/name", "vfio-noiommu\n");
        find(&place, true);
        expect_uint(place.found->n_slots, 0);
        expect_in(place.summary, "no IOMMU stands between it and the host's memory");
        place_deinit(&place);
}

/* A GeForce: VGA, audio, USB and UCSI in one group. */
static void audio_function_goes_with_its_gpu(void) {
        struct place place;
        const struct gpu_slot *slot;

        place_init(&place);
        add(&place, "0000:01:00.0", "0x030000\n", "0x10de 0x1e84", "vfio-pci", 16);
        add(&place, "0000:01:00.1", "0x040300\n", "0x10de 0x10f8", "snd_hda_intel", 16);
        add(&place, "0000:01:00.2", "0x0c0330\n", "0x10de 0x1ad8", "xhci_hcd", 16);
        add(&place, "0000:01:00.3", "0x0c8000\n", "0x10de 0x1ad9", NULL, 16);
        put(&place, "0000:01:00.0", "numa_node", "1\n");
        find(&place, false);
        expect_uint(place.found->n_slots, 0);
        expect_str(place.summary,
                   "0000:01:00.0: 0000:01:00.1, which shares its IOMMU group 16, is bound to "
                   "snd_hda_intel, not to vfio-pci");

        sysfs_bind(&place.sysfs, "0000:01:00.1", "vfio-pci");
        sysfs_bind(&place.sysfs, "0000:01:00.2", "vfio-pci");
        sysfs_add_vfio(&place.sysfs, 16, "511:0\n");
        find(&place, false);
        need_uint(place.found->n_slots, 1);
        slot = &place.found->slots[0];
        expect_int(slot->kind, GPU_PASSTHROUGH);
        expect_str(slot->name, "0000:01:00.0");
        expect_int(slot->group, 16);
        expect_int(slot->numa_node, 1);
        expect_uint(slot->dev, makedev(511, 0));
        need_uint(slot->n_functions, 3); /* nobody drives the fourth */
        expect_str(slot->functions[2].address, "0000:01:00.2");
        place_deinit(&place);
}

static void bind_takes_a_device_s_own_functions_and_no_stranger(void) {
        struct place place;

        place_init(&place);
        add(&place, "0000:01:00.0", "0x030000\n", "0x10de 0x1e84", "nouveau", 16);
        add(&place, "0000:01:00.1", "0x040300\n", "0x10de 0x10f8", "snd_hda_intel", 16);
        find(&place, true);
        need_uint(place.found->n_slots, 1);
        expect_uint(place.found->slots[0].n_functions, 2);
        expect(place.found->slots[0].functions[1].bind);
        expect_int(place.found->slots[0].group, 16);
        expect_uint(place.found->slots[0].dev, 0);

        add(&place, "0000:02:00.0", "0x010802\n", "0x144d 0xa808", "nvme", 16);
        find(&place, true);
        expect_uint(place.found->n_slots, 0);
        expect_in(place.summary, "0000:02:00.0, which shares its IOMMU group 16, is bound to nvme");
        place_deinit(&place);
}

/* Without ACS the root port and both cards below it are one group. */
static void what_is_not_named_is_kept_for_the_host(void) {
        static const struct {
                const char *devices;
                size_t n_slots;
        } cases[] = {
                {"", 2},           {"  ", 2},           {"0000:02:00.0", 1},
                {"0000:02:00", 0}, {"0000:02:00.*", 1}, {"0000:09:00.0 0000:0*", 2},
                {"*", 2},          {"0000:01:00.0", 0}, /* shares its group with one that is kept */
        };
        struct place place;

        place_init(&place);
        add(&place, "0000:01:00.0", "0x030000\n", "0x10de 0x1e84", "vfio-pci", 16);
        add(&place, "0000:01:00.1", "0x030200\n", "0x10de 0x1e84", "vfio-pci", 16);
        add(&place, "0000:02:00.0", "0x030000\n", "0x10de 0x1e84", "vfio-pci", 17);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct gpu_options options = {.devices = cases[i].devices};

                place.found = gpu_found_free(place.found);
                need_int(gpu_find(&place.found, place.sysfs.dir, &options), 0);
                expect_that(place.found->n_slots == cases[i].n_slots, "\"%s\": %zu slots",
                            cases[i].devices, place.found->n_slots);
        }
        expect_str(place.found->devices[0].detail,
                   "0000:01:00.1, which shares its IOMMU group 16, is kept for the host");
        expect_str(place.found->devices[2].detail,
                   "it is kept for the host: Devices= in [GPU] does not name it");
        place_deinit(&place);
}

static void bridge_of_a_group_stays_with_the_host(void) {
        struct place place;
        const struct gpu_device *second;

        place_init(&place);
        add(&place, "0000:00:00.0", "0x060000\n", "0x8086 0x1918", NULL, 1);
        add(&place, "0000:00:01.0", "0x060400\n", "0x8086 0x1901", "pcieport", 1);
        add(&place, "0000:01:00.0", "0x030000\n", "0x10de 0x1b80", "vfio-pci", 1);
        add(&place, "0000:01:00.1", "0x040300\n", "0x10de 0x10f0", "vfio-pci", 1);
        add(&place, "0000:02:00.0", "0x038000\n", "0x1002 0x738c", "vfio-pci", 1);
        find(&place, false);
        need_uint(place.found->n_slots, 1); /* a group is one VM's */
        expect_str(place.found->slots[0].name, "0000:01:00.0");
        expect_uint(place.found->slots[0].n_functions, 3);
        second = device(&place, "0000:02:00.0");
        expect_uint(second->n_slots, 0);
        expect_str(second->detail, "it goes with 0000:01:00.0: both are in IOMMU group 1");

        sysfs_bind(&place.sysfs, "0000:00:01.0", "shpchp");
        find(&place, true);
        expect_uint(place.found->n_slots, 0);
        expect_in(place.summary,
                  "0000:00:01.0, which shares its IOMMU group 1, is bound to shpchp");
        place_deinit(&place);
}

/* A Xeon E3 with GVT-g: the types share the card's memory. */
static void add_gvt(struct place *place) {
        add(place, "0000:00:02.0", "0x030000\n", "0x8086 0x193a", "i915", 0);
        put(place, "0000:00:02.0", "boot_vga", "1\n");
        sysfs_add_type(&place->sysfs, "0000:00:02.0", "i915-GVTg_V5_4", "GVTg_V5_4\n",
                       "low_gm_size: 128MB\nhigh_gm_size: 512MB\nfence: 4\nresolution: "
                       "1920x1200\nweight: 4\n",
                       "2\n");
        sysfs_add_type(&place->sysfs, "0000:00:02.0", "i915-GVTg_V5_8", "GVTg_V5_8\n",
                       "low_gm_size: 64MB\nhigh_gm_size: 384MB\nfence: 4\nresolution: "
                       "1024x768\nweight: 2\n",
                       "5\n");
}

static void gvt_g_counts_the_instances_of_one_type(void) {
        struct place place;
        const struct gpu_slot *slot;

        place_init(&place);
        add_gvt(&place);
        find(&place, true);
        expect_uint(place.found->n_profiles, 2);
        expect_uint(place.found->n_slots, 5);
        expect_str(place.found->slots[0].type, "i915-GVTg_V5_8");
        expect_str(place.found->slots[0].parent, "0000:00:02.0");
        expect_str(place.found->slots[0].name, "");
        expect_str(place.found->profiles[0].description,
                   "low_gm_size: 128MB high_gm_size: 512MB fence: 4 resolution: 1920x1200 "
                   "weight: 4");
        expect(!place.found->profiles[0].chosen);

        find_type(&place, false, "i915-GVTg_V5_4");
        expect_uint(place.found->n_slots, 2);
        find_type(&place, false, "GVTg_V5_4");
        expect_uint(place.found->n_slots, 2);
        find_type(&place, false, "of another card");
        expect_uint(place.found->n_slots, 5);

        /* What exists says what the operator wants. */
        sysfs_add_mdev(&place.sysfs, "0000:00:02.0", "i915-GVTg_V5_4", UUID, 12);
        sysfs_add_vfio(&place.sysfs, 12, "244:7\n");
        put(&place, "0000:00:02.0", "mdev_supported_types/i915-GVTg_V5_4/available_instances",
            "1\n");
        put(&place, "0000:00:02.0", "mdev_supported_types/i915-GVTg_V5_8/available_instances",
            "2\n");
        find(&place, false);
        need_uint(place.found->n_slots, 2);
        slot = &place.found->slots[0];
        expect_int(slot->kind, GPU_MDEV);
        expect_str(slot->name, UUID);
        expect_int(slot->group, 12);
        expect_uint(slot->dev, makedev(244, 7));
        expect_str(place.found->slots[1].type, "i915-GVTg_V5_4");
        expect_str(place.found->slots[1].name, "");
        place_deinit(&place);
}

static void exhausted_types_are_said(void) {
        struct place place;

        place_init(&place);
        add_gvt(&place);
        put(&place, "0000:00:02.0", "mdev_supported_types/i915-GVTg_V5_4/available_instances",
            "0\n");
        put(&place, "0000:00:02.0", "mdev_supported_types/i915-GVTg_V5_8/available_instances",
            NULL);
        find(&place, true);
        expect_uint(place.found->n_slots, 0);
        expect_str(place.summary, "0000:00:02.0: i915 makes no more mediated devices of it");
        place_deinit(&place);
}

/* An A100 with SR-IOV: each virtual function offers each type, and the card makes far fewer. */
static void add_a100(struct place *place, unsigned n_vfs) {
        static const struct {
                const char *type, *name, *description;
        } types[] = {
                {"nvidia-468", "GRID A100-4C\n",
                 "num_heads=1, frl_config=60, framebuffer=4096M, max_resolution=4096x2160, "
                 "max_instance=10\n"},
                {"nvidia-471", "GRID A100-10C\n",
                 "num_heads=1, frl_config=60, framebuffer=10240M, max_resolution=4096x2160, "
                 "max_instance=4\n"},
                {"nvidia-473", "GRID A100-40C\n",
                 "num_heads=1, frl_config=60, framebuffer=40960M, max_resolution=4096x2160, "
                 "max_instance=1\n"},
        };
        char address[32], text[16];

        add(place, "0000:41:00.0", "0x030200\n", "0x10de 0x20f1", "nvidia", 64);
        put(place, "0000:41:00.0", "sriov_totalvfs", "16\n");
        snprintf(text, sizeof(text), "%u\n", n_vfs);
        put(place, "0000:41:00.0", "sriov_numvfs", text);
        for (unsigned i = 0; i < n_vfs; i++) {
                snprintf(address, sizeof(address), "0000:41:%02x.%u", (i + 4) / 8, (i + 4) % 8);
                sysfs_add_device(&place->sysfs,
                                 &(struct sysfs_device){address, "0x030200\n", "0x10de 0x20f1",
                                                        "nvidia", 100 + (int)i, "0000:41:00.0"});
                for (size_t j = 0; j < 3; j++)
                        sysfs_add_type(&place->sysfs, address, types[j].type, types[j].name,
                                       types[j].description, "1\n");
        }
}

static void a100_counts_what_the_card_makes_not_what_each_function_offers(void) {
        struct place place;

        place_init(&place);
        add_a100(&place, 16);
        find(&place, true);
        expect_uint(place.found->n_devices, 17);
        expect_uint(place.found->n_profiles, 3);
        expect_str(place.found->profiles[0].card, "0000:41:00.0");
        expect_uint(place.found->profiles[0].available, 16);
        expect_uint(place.found->n_slots, 10);
        expect_str(place.found->slots[0].parent, "0000:41:00.4");
        expect_str(place.found->slots[9].parent, "0000:41:01.5");
        expect_str(device(&place, "0000:41:00.0")->detail,
                   "its 16 virtual functions are given away instead");
        expect_str(device(&place, "0000:41:01.6")->detail,
                   "nvidia makes no more mediated devices of it");
        find_type(&place, true, "GRID A100-10C");
        expect_uint(place.found->n_slots, 4);
        expect_str(place.found->slots[0].type, "nvidia-471");

        /* One that exists counts towards what the card makes. */
        sysfs_add_mdev(&place.sysfs, "0000:41:00.6", "nvidia-471", UUID, 200);
        put(&place, "0000:41:00.6", "mdev_supported_types/nvidia-471/available_instances", "0\n");
        find(&place, true);
        expect_uint(place.found->n_slots, 4);
        expect_str(place.found->slots[0].name, UUID);
        expect_str(place.found->slots[3].parent, "0000:41:00.7");
        place_deinit(&place);
}

/* MI300X: not a display by its class; its functions are given to vfio-pci by the operator. */
static void virtual_functions_are_slots_and_their_parent_is_none(void) {
        struct place place;
        char address[32];

        place_init(&place);
        add(&place, "0000:05:00.0", "0x120000\n", "0x1002 0x74a1", "gim", 50);
        put(&place, "0000:05:00.0", "sriov_totalvfs", "8\n");
        put(&place, "0000:05:00.0", "sriov_numvfs", "4\n");
        for (int i = 0; i < 4; i++) {
                snprintf(address, sizeof(address), "0000:05:02.%d", i);
                sysfs_add_device(&place.sysfs,
                                 &(struct sysfs_device){address, "0x120000\n", "0x1002 0x74b5",
                                                        i < 3 ? "vfio-pci" : NULL, 51 + i,
                                                        "0000:05:00.0"});
        }
        add(&place, "0000:06:00.0", "0x120000\n", "0x1da3 0x1000", "habanalabs", 60);
        find(&place, false);
        expect_uint(place.found->n_devices, 5);
        need_uint(place.found->n_slots, 3);
        expect_int(place.found->slots[0].kind, GPU_VF);
        expect_str(place.found->slots[2].name, "0000:05:02.2");
        expect_int(place.found->slots[2].group, 53);
        expect_str(device(&place, "0000:05:00.0")->detail,
                   "its 4 virtual functions are given away instead");
        expect_str(device(&place, "0000:05:02.3")->detail,
                   "it is bound to no driver, not to vfio-pci");
        find(&place, true);
        expect_uint(place.found->n_slots, 4);

        /* While none are made, the card is one like any other. */
        put(&place, "0000:05:00.0", "sriov_numvfs", "0\n");
        sysfs_bind(&place.sysfs, "0000:05:00.0", "vfio-pci");
        find(&place, false);
        expect_str(place.found->slots[0].name, "0000:05:00.0");
        place_deinit(&place);
}

static void hostile_files_are_as_good_as_none(void) {
        static char large[70000];
        static const char *const classes[] = {
                "", "\n", "0x", "0x0300001", "-1", "display", "0x030000 x", "\xff\xfe", NULL};
        struct place place;

        memset(large, 'a', sizeof(large) - 1);
        place_init(&place);
        add(&place, "0000:01:00.0", "0x030000\n", "0x10de 0x2204", "vfio-pci", 1);
        for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
                put(&place, "0000:01:00.0", "class", classes[i]);
                find(&place, true);
                expect_uint(place.found->n_devices, 0);
        }
        put(&place, "0000:01:00.0", "class", large);
        find(&place, true);
        expect_uint(place.found->n_devices, 0);

        put(&place, "0000:01:00.0", "class", "0x030000\n");
        put(&place, "0000:01:00.0", "numa_node", "99999999999999999999\n");
        put(&place, "0000:01:00.0", "device", large);
        sysfs_link(&place.sysfs, "bus/pci/devices/0000:01:00.8", "..");
        sysfs_link(&place.sysfs, "bus/pci/devices/..x", "..");
        sysfs_link(&place.sysfs, "bus/pci/devices/0000:02:00.0", "0000:02:00.0"); /* a circle */
        find(&place, true);
        need_uint(place.found->n_devices, 1);
        expect_int(place.found->devices[0].numa_node, -1);
        expect_uint(place.found->devices[0].device, 0);
        expect_uint(place.found->n_slots, 1);
        place_deinit(&place);
}

static void group_that_cannot_be_read_is_not_given_away(void) {
        static const char group[] = "devices/pci0000:00/0000:01:00.0/iommu_group";
        struct place place;

        place_init(&place);
        add(&place, "0000:01:00.0", "0x030000\n", "0x10de 0x2204", "vfio-pci", 1);
        sysfs_put(&place.sysfs, "kernel/iommu_groups/1/devices/fsl-mc.1", "");
        find(&place, true);
        expect_in(place.summary, "its IOMMU group 1 holds more than PCI devices");
        sysfs_put(&place.sysfs, "kernel/iommu_groups/1/devices/fsl-mc.1", NULL);

        sysfs_link(&place.sysfs, "kernel/iommu_groups/1/devices/0000:09:00.0", "/nowhere");
        find(&place, true);
        expect_in(place.summary, "0000:09:00.0, of its IOMMU group 1, does not tell what it is");

        sysfs_unlink(&place.sysfs, "kernel/iommu_groups/1/devices/0000:09:00.0");
        sysfs_unlink(&place.sysfs, "kernel/iommu_groups/1/devices/0000:01:00.0");
        find(&place, true);
        expect_in(place.summary, "its IOMMU group 1 does not tell who is in it");

        sysfs_link(&place.sysfs, group, "../../../kernel/iommu_groups/-1");
        find(&place, true);
        expect_in(place.summary, "it has no IOMMU group");
        sysfs_link(&place.sysfs, group, "../../../kernel/iommu_groups/99999999999");
        find(&place, true);
        expect_in(place.summary, "it has no IOMMU group");
        place_deinit(&place);
}

static void group_with_too_many_functions_is_not_given_away(void) {
        struct place place;
        char address[32];

        place_init(&place);
        add(&place, "0000:01:00.0", "0x030000\n", "0x10de 0x2204", "vfio-pci", 1);
        for (int i = 0; i < GPU_FUNCTIONS_MAX; i++) {
                snprintf(address, sizeof(address), "0000:02:%02x.0", i);
                add(&place, address, "0x040300\n", "0x10de 0x10f0", "vfio-pci", 1);
        }
        find(&place, false);
        expect_uint(place.found->n_slots, 0);
        expect_in(place.summary, "its IOMMU group 1 has more than 16 functions");
        place_deinit(&place);
}

static void hostile_types_are_bounded(void) {
        struct place place;
        static const char types[] = "mdev_supported_types/i915-GVTg_V5_8/";
        char file[128];

        place_init(&place);
        add_gvt(&place);
        snprintf(file, sizeof(file), "%savailable_instances", types);
        put(&place, "0000:00:02.0", file, "4000000000\n");
        find(&place, false);
        expect_uint(place.found->n_slots, GPU_SLOTS_MAX);
        put(&place, "0000:00:02.0", file, "-5\n");
        find(&place, false);
        expect_uint(place.found->n_slots, 2);
        put(&place, "0000:00:02.0", file, "5\n");
        snprintf(file, sizeof(file), "%sdescription", types);
        put(&place, "0000:00:02.0", file, "x\033[2Jmax_instance=1\n"); /* not fit to be shown */
        snprintf(file, sizeof(file), "%sname", types);
        put(&place, "0000:00:02.0", file,
            "a name that is far longer than any that a driver of this world would give \xc3\xa4");
        find(&place, false);
        expect_uint(place.found->n_slots, 5);
        expect_str(place.found->profiles[1].description, "");
        expect_uint(strlen(place.found->profiles[1].name), GPU_WORD_SIZE - 1);

        /* Of no card that we know, of no type that it has, and with no UUID. */
        sysfs_link(&place.sysfs, "bus/mdev/devices/" UUID, "nowhere");
        sysfs_link(&place.sysfs, "bus/mdev/devices/83b8f4f2", "../../../devices/x/83b8f4f2");
        sysfs_add_mdev(&place.sysfs, "0000:00:02.0", "nvidia-1",
                       "83b8f4f2-509f-382f-3c1e-e6bfe0fa1002", 5);
        find(&place, false);
        expect_uint(place.found->n_slots, 5);

        /* s390's: another interface than ours */
        snprintf(file, sizeof(file), "%sdevice_api", types);
        put(&place, "0000:00:02.0", file, "vfio-ap\n");
        find(&place, false);
        expect_uint(place.found->n_slots, 2);
        expect_uint(place.found->n_profiles, 2);
        place_deinit(&place);
}

static void names_are_the_kernel_s_and_nothing_else(void) {
        expect(gpu_is_address("0000:01:00.0"));
        expect(gpu_is_address("10000:e1:1f.7"));
        expect(!gpu_is_address("0000:01:00.8"));
        expect(!gpu_is_address("0000:01:00"));
        expect(!gpu_is_address("0000:01:00.0/.."));
        expect(!gpu_is_address("123456789:01:00.0"));
        expect(!gpu_is_address("000A:01:00.0"));
        expect(!gpu_is_address(""));
        expect(gpu_is_uuid(UUID));
        expect(!gpu_is_uuid("83b8f4f2-509f-382f-3c1e-e6bfe0fa100"));
        expect(!gpu_is_uuid("83b8f4f2-509f-382f-3c1e-e6bfe0fa10011"));
        expect(!gpu_is_uuid("83b8f4f2-509f-382f-3c1e"));
        expect(!gpu_is_uuid("../../../../../../../../etc/password"));
        expect(!gpu_is_uuid(""));
        expect(gpu_same_device("0000:01:00.0", "0000:01:00.3"));
        expect(!gpu_same_device("0000:01:00.0", "0000:01:01.0"));
        expect(gpu_is_vfio("vfio-pci"));
        expect(gpu_is_vfio("xe-vfio-pci"));
        expect(gpu_is_vfio("mlx5_vfio_pci"));
        expect(!gpu_is_vfio("vfio-pci2"));
        expect(!gpu_is_vfio("pci"));
        expect(!gpu_is_vfio(""));
}

UNIT_MAIN(TEST(host_without_pci_has_nothing), TEST(vga_without_an_iommu_is_for_the_host_alone),
          TEST(stdvga_needs_a_group_and_vfio_pci), TEST(group_without_an_iommu_is_not_given_away),
          TEST(audio_function_goes_with_its_gpu),
          TEST(bind_takes_a_device_s_own_functions_and_no_stranger),
          TEST(what_is_not_named_is_kept_for_the_host), TEST(bridge_of_a_group_stays_with_the_host),
          TEST(gvt_g_counts_the_instances_of_one_type), TEST(exhausted_types_are_said),
          TEST(a100_counts_what_the_card_makes_not_what_each_function_offers),
          TEST(virtual_functions_are_slots_and_their_parent_is_none),
          TEST(hostile_files_are_as_good_as_none),
          TEST(group_that_cannot_be_read_is_not_given_away),
          TEST(group_with_too_many_functions_is_not_given_away), TEST(hostile_types_are_bounded),
          TEST(names_are_the_kernel_s_and_nothing_else))
