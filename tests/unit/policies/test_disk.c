/* SPDX-License-Identifier: MIT */

/*
 * [Disk]: bursts, what counts as what, and when images are refused.
 */

#include <stdio.h>
#include <string.h>

#include <policies/disk.h>

#include "tree.h"
#include "unit.h"

/* Loads a broker.conf of [Disk] with one line, and expects one error, or none if @error is NULL. */
static void expect_line(const char *line, const char *error) {
        struct tree tree;
        char text[512];

        tree_init(&tree);
        snprintf(text, sizeof(text), "[Disk]\n%s\n", line);
        tree_put(&tree, "etc/broker.conf", text);
        expect_int(tree_load(&tree), error ? POLICY_E_INVALID : 0);
        expect_that(tree.errors.n == (error ? 1 : 0), "\"%s\": %s", line, tree.text);
        if (error)
                expect_in(tree.text, error);
        tree_deinit(&tree);
}

static void a_host_without_a_word_has_bursts_of_four_times_for_ten_seconds(void) {
        char path[POLICY_DIRECTORY_MAX];
        const struct disk_policy *disk;
        struct tree tree;

        tree_init(&tree);
        need_int(tree_load(&tree), 0);
        disk = &tree.policy->broker.disk;
        expect_uint(disk->burst_milli, 4000);
        expect_uint(disk->burst_usec, 10000000);
        expect_int(disk->burst_by, DISK_BURST_BROKER);
        expect_uint(disk->quiet_usec, 60000000);
        expect_str(disk->images_dir, "");
        expect_str(disk->oci_cache_dir, "");
        expect_str(disk->volumes_dir, "");
        expect_str(disk->overlays_dir, "");
        expect_uint(disk->min_free_bytes, 5000000000);
        expect_uint(disk->max_images_milli, 200);
        expect(!disk->project_quota);
        expect_str(policy_disk_directory(&tree.policy->broker, DISK_SHARE_OCI_CACHE, path),
                   "/var/lib/provium/oci-cache");
        tree_deinit(&tree);
}

static void every_key_of_the_disk_is_read(void) {
        const struct disk_policy *disk;
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/broker.conf",
                 "[Disk]\nBurst=1.5\nBurstTime=0\nBurstBy=hypervisor\nBurstQuiet=1h\n"
                 "Images=/srv/images\nOCICache=/srv/oci\nVolumes=/srv/volumes\n"
                 "Overlays=/srv/over\nMinFree=1G\nMaxImageStorage=1\nProjectQuota=yes\n");
        need_that(tree_load(&tree) == 0, "%s", tree.text);
        disk = &tree.policy->broker.disk;
        expect_uint(disk->burst_milli, 1500);
        expect_uint(disk->burst_usec, 0);
        expect_int(disk->burst_by, DISK_BURST_HYPERVISOR);
        expect_uint(disk->quiet_usec, 3600000000);
        expect_str(disk->images_dir, "/srv/images");
        expect_str(disk->oci_cache_dir, "/srv/oci");
        expect_str(disk->volumes_dir, "/srv/volumes");
        expect_str(disk->overlays_dir, "/srv/over");
        expect_uint(disk->min_free_bytes, 1ULL << 30);
        expect_uint(disk->max_images_milli, 1000);
        expect(disk->project_quota);
        tree_deinit(&tree);
}

static void what_is_not_given_lies_below_the_data_directory(void) {
        static const char *const wanted[] = {"/vm/images", "/vm/oci-cache", "/fast",
                                             "/vm/overlays"};
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/broker.conf", "[Broker]\nDataDirectory=/vm\n[Disk]\nVolumes=/fast\n");
        need_that(tree_load(&tree) == 0, "%s", tree.text);
        for (unsigned i = 0; i < _DISK_SHARE_N; i++) {
                char path[POLICY_DIRECTORY_MAX];

                expect_str(policy_disk_directory(&tree.policy->broker, i, path), wanted[i]);
        }
        tree_deinit(&tree);
}

static void a_word_is_one_of_those_that_are_listed(void) {
        static const char *const good[] = {"broker", "hypervisor", "none"};
        static const char *const bad[] = {"Broker", "brok",        "brokers", "broker, hypervisor",
                                          "0",      "broker,none", "auto",    ",",
                                          "no"};
        char line[64];

        for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
                struct tree tree;

                tree_init(&tree);
                snprintf(line, sizeof(line), "[Disk]\nBurstBy=%s\n", good[i]);
                tree_put(&tree, "etc/broker.conf", line);
                need_that(tree_load(&tree) == 0, "%s", tree.text);
                expect_uint(tree.policy->broker.disk.burst_by, i);
                tree_deinit(&tree);
        }
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                snprintf(line, sizeof(line), "BurstBy=%s", bad[i]);
                expect_line(line, "is not valid; give one of broker, hypervisor, none");
        }
        expect_line("BurstBy=a\x1b[2J",
                    "etc/broker.conf:2: [Disk] BurstBy=: \"a\\x1b[2J\" is not valid");
        expect_line("BurstBy=none\nBurstBy=", NULL);
}

static void numbers_have_their_bounds(void) {
        static const struct {
                const char *key, *bad[3], *good[2], *error;
        } rows[] = {
                {"Burst", {"0", "0.999", "64.001"}, {"1", "64"}, "valid is 1 to 64"},
                {"BurstTime", {"61m", "1d", "3600000001us"}, {"0", "1h"}, "valid is 0"},
                {"BurstQuiet", {"0", "999999us", "61m"}, {"1s", "1h"}, "valid is 1s to"},
                {"MaxImageStorage", {"1.001", "2", "64"}, {"0", "1"}, "valid is 0 to 1"},
                {"MinFree", {"-1", "5X", "infinity"}, {"0", "1T"}, "is not a size"},
                {"ProjectQuota", {"maybe", "2", "infinity"}, {"yes", "0"}, "yes"},
        };
        char line[64];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                for (size_t j = 0; j < ARRAY_SIZE(rows[i].bad); j++) {
                        snprintf(line, sizeof(line), "%s=%s", rows[i].key, rows[i].bad[j]);
                        expect_line(line, rows[i].error);
                }
                for (size_t j = 0; j < ARRAY_SIZE(rows[i].good); j++) {
                        snprintf(line, sizeof(line), "%s=%s", rows[i].key, rows[i].good[j]);
                        expect_line(line, NULL);
                }
        }
}

static void a_directory_is_an_absolute_path_or_none(void) {
        static const char *const keys[] = {"Images", "OCICache", "Volumes", "Overlays"};
        static const char *const bad[] = {"images", "./images", "/srv/../images", "/srv/..", "~/x"};
        char line[128];

        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
                for (size_t j = 0; j < ARRAY_SIZE(bad); j++) {
                        snprintf(line, sizeof(line), "%s=%s", keys[i], bad[j]);
                        expect_line(line, "is not valid; give an absolute path without \"..\"");
                }
                snprintf(line, sizeof(line), "%s=/srv/x\n%s=", keys[i], keys[i]);
                expect_line(line, NULL);
        }
}

static void no_directory_lies_in_another(void) {
        expect_line("Images=/srv\nVolumes=/srv", "etc/broker.conf:3: [Disk] Volumes=: /srv and "
                                                 "/srv are not apart; files would count twice");
        expect_line("Images=/srv\nVolumes=/srv/volumes", "[Disk] Volumes=: ");
        expect_line("Images=/srv/volumes/x\nVolumes=/srv/volumes", "[Disk] Volumes=: ");
        expect_line("Images=//srv/./a/\nOverlays=/srv//a/b/", "[Disk] Overlays=: ");
        expect_line("Overlays=/var/lib/provium/images/x", "[Disk] Overlays=: ");
        expect_line("Images=/var/lib/provium/volumes/images",
                    "etc/broker.conf:2: [Disk] Images=: /var/lib/provium/volumes and "
                    "/var/lib/provium/volumes/images are not apart");
        expect_line("Images=/srv/a\nOCICache=/srv/ab\nVolumes=/srv/a.b\nOverlays=/srv/b/a", NULL);
        expect_line("Images=/var/lib/provium/x", NULL);
}

static void paths_are_compared_name_by_name(void) {
        expect(disk_path_within("/a/b", "/a"));
        expect(disk_path_within("/a", "/a/"));
        expect(disk_path_within("/a", "/"));
        expect(disk_path_within("/", "/"));
        expect(disk_path_within("//a/.//b/.", "/./a/b"));
        expect(!disk_path_within("/a", "/a/b"));
        expect(!disk_path_within("/ab", "/a"));
        expect(!disk_path_within("/a/.b", "/a/b"));
        expect(!disk_path_within("/", "/a"));
}

static void a_disk_is_shown_as_it_will_be_read(void) {
        _cleanup_(freep) char *broker = NULL, *again = NULL;
        struct tree tree;

        tree_init(&tree);
        tree_put(&tree, "etc/broker.conf",
                 "[Disk]\nBurst=2.50\nBurstTime=1500ms\nBurstBy=none\nBurstQuiet=120s\n"
                 "Images=/srv/images\nMinFree=1536M\nMaxImageStorage=0.125\nProjectQuota=on\n");
        need_that(tree_load(&tree) == 0, "%s", tree.text);
        broker = policy_show(tree.policy, NULL);
        expect_in(broker, "\n[Disk]\nBurst=2.5\nBurstTime=1500ms\nBurstBy=none\nBurstQuiet=2m\n"
                          "Images=/srv/images\nOCICache=\nVolumes=\nOverlays=\nMinFree=1536M\n"
                          "MaxImageStorage=0.125\nProjectQuota=yes\n");
        tree_put(&tree, "etc/broker.conf", broker);
        need_that(tree_load(&tree) == 0, "%s", tree.text);
        again = policy_show(tree.policy, NULL);
        expect_str(again, broker);
        tree_deinit(&tree);
}

static void the_manual_lists_the_words(void) {
        _cleanup_(freep) char *reference = policy_reference();

        need(reference != NULL);
        expect_in(reference,
                  "\n.BR BurstBy= \" (one of broker, hypervisor, none; default broker)\"\n");
        expect_in(reference, "\n.BR Images= \" (absolute path)\"\n");
}

UNIT_MAIN(TEST(a_host_without_a_word_has_bursts_of_four_times_for_ten_seconds),
          TEST(every_key_of_the_disk_is_read),
          TEST(what_is_not_given_lies_below_the_data_directory),
          TEST(a_word_is_one_of_those_that_are_listed), TEST(numbers_have_their_bounds),
          TEST(a_directory_is_an_absolute_path_or_none), TEST(no_directory_lies_in_another),
          TEST(paths_are_compared_name_by_name), TEST(a_disk_is_shown_as_it_will_be_read),
          TEST(the_manual_lists_the_words), )
