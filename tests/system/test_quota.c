/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 768M --disk 512M --disk 512M --timeout 200 */
/*
 * Disk space that is held: what a VM writes into its images against its claim, on ext4 and XFS with
 * project quotas. What is measured is what lies on the disk afterwards.
 */
#include <fcntl.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "house.h"
#include "links.h"

#define CONF_OF(quota)                                                                             \
        "[Capacity]\nCPU=4\nMemory=400M\nDisk=1G\nDiskIO=400MB/s\n[Ratio]\nCPU=1\n"                \
        "[Claim]\nCPU=0.1\nMemory=16M\nDiskIO=50MB/s\nNetwork=0\n[Enforce]\nMemoryOverhead=0\n"    \
        "[Broker]\nBestEffort=yes\n[Disk]\nBurstBy=none\nProjectQuota=" quota "\n"
#define MIB (UINT64_C(1) << 20)
#define AS_1000 "setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"
#define EXT4 "/run/q4"
#define XFS "/run/qx"
#define A EXT4 "/a.img"
#define B EXT4 "/b.img"
#define X XFS "/x.img"

/* An empty image for each test, and no quota left from the one before. */
static void quota_open(struct house *house, const char *conf) {
        const char *disks = getenv("RIG_DISKS");

        if (!disks || !strchr(disks, ' '))
                unit_skip("the rig has not two disks");
        sh("set -e; exec 2>&1; export PATH=$PATH:/sbin:/usr/sbin; set -- $RIG_DISKS;"
           "if ! mountpoint -q " XFS "; then mkdir -p " EXT4 " " XFS ";"
           "  mkfs.ext4 -qF -O quota,project -E quotatype=prjquota $1;"
           "  mount -o prjquota $1 " EXT4 ";"
           "  mkfs.xfs -qf $2; mount -o prjquota $2 " XFS ";"
           "fi;"
           "rm -f " EXT4 "/*.img " XFS "/*.img;"
           "for f in " A " " B " " X "; do : >$f; chown 1000:1000 $f; done; sync");
        house_open(house, conf ?: CONF_OF("yes"), NULL);
}

static uint32_t project_of(const char *path) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct fsxattr attributes = {};

        need(fd >= 0);
        need_int(ioctl(fd, FS_IOC_FSGETXATTR, &attributes), 0);
        close(fd);
        return attributes.fsx_projid;
}

/* In KiB; 0: none. */
static uint64_t limit_of(const char *path, uint32_t project) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct if_dqblk block = {};

        need(fd >= 0);
        if (syscall(SYS_quotactl_fd, fd, QCMD(Q_GETQUOTA, PRJQUOTA), project, &block) < 0)
                need_int(errno, ENOENT);
        close(fd);
        return block.dqb_bhardlimit;
}

/* How many projects of this file system have a limit. */
static unsigned count_limits(const char *path) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct if_nextdqblk block = {};
        unsigned n = 0;

        need(fd >= 0);
        for (uint32_t id = 1;
             syscall(SYS_quotactl_fd, fd, QCMD(Q_GETNEXTQUOTA, PRJQUOTA), id, &block) == 0;
             id = block.dqb_id + 1)
                n += block.dqb_bhardlimit != 0;
        close(fd);
        return n;
}

static uint64_t on_disk(const char *path) {
        struct stat st;

        sync();
        need_int(stat(path, &st), 0);
        return (uint64_t)st.st_blocks * 512;
}

/* What `show` says of the VM's disk space: the limit in force, or the note. */
static const char *said(const char *vm, char text[300]) {
        json_t *reply = ask("Show", json_pack("{s:s}", "vm", vm));
        const json_t *answer = json_object_get(reply, "parameters"), *note;
        const char *limit =
                json_string_value(json_object_get(json_object_get(answer, "limits"), "disk"));
        size_t i;

        snprintf(text, 300, "%s", limit ?: "");
        json_array_foreach(json_object_get(answer, "notes"), i, note)
                if (!limit && strncmp(json_string_value(note), "disk: ", 6) == 0)
                        snprintf(text, 300, "%s", json_string_value(note));
        json_decref(reply);
        return text;
}

#define FILL(path) "dd", "if=/dev/zero", "of=" path, "bs=64k", "count=512", "conv=notrunc,fsync"
#define RUN_AS_1000(...) AS_1000, "provium", "run", "--slice", "t", __VA_ARGS__

static void a_vm_cannot_fill_more_of_the_disk_than_it_claims(void) {
        struct house house;
        struct job job;

        quota_open(&house, NULL);
        expect_int(SHELL(&job, RUN_AS_1000("--name", "a", "--disk", "8M", "--disk-image", A, "--",
                                           FILL(A))),
                   1);
        expect_in(job.err, "quota exceeded");
        unit_note("ext4: %ju bytes of %ju", (uintmax_t)on_disk(A), (uintmax_t)(8 * MIB));
        expect_within((double)on_disk(A), 7.5 * MIB, 8 * MIB);
        expect_int(SHELL(&job, RUN_AS_1000("--name", "x", "--disk", "8M", "--disk-image", X, "--",
                                           FILL(X))),
                   1);
        expect_in(job.err, "No space left");
        unit_note("xfs: %ju bytes", (uintmax_t)on_disk(X));
        expect_within((double)on_disk(X), 7 * MIB, 8 * MIB);
        /* Afterwards there is nothing of ours. */
        expect_uint(project_of(A), 0);
        expect_uint(project_of(X), 0);
        expect_uint(count_limits(A), 0);
        expect_uint(count_limits(X), 0);
        /* Larger than the claim as it is. */
        expect_int(SHELL(&job, RUN_AS_1000("--name", "a", "--disk", "4M", "--disk-image", A, "--",
                                           "true")),
                   125);
        expect_in(job.err, "already take more than the disk space it claims");
        expect_uint(project_of(A), 0);
        expect_uint(count_limits(A), 0);
        house_close(&house);
}

static void images_of_one_vm_share_its_claim_and_base_images_are_not_counted(void) {
        struct house house;
        struct job job;

        quota_open(&house, NULL);
        sh("dd if=/dev/zero of=" EXT4 "/base.img bs=1M count=10 status=none;"
           "dd if=/dev/zero of=" EXT4 "/mine.img bs=1M count=10 status=none;"
           "chown 1000 " EXT4 "/mine.img; chmod 444 " EXT4 "/*e.img");
        expect_int(
                SHELL(&job,
                      RUN_AS_1000("--name", "a", "--disk", "8M", "--disk-image", EXT4 "/base.img",
                                  "--disk-image", EXT4 "/mine.img", "--disk-image", A,
                                  "--disk-image", B, "--", "sh", "-c",
                                  "dd if=/dev/zero of=" A " bs=64k count=80 conv=notrunc,fsync;"
                                  "dd if=/dev/zero of=" B " bs=64k count=80 conv=notrunc,fsync")),
                1);
        expect_in(job.err, "quota exceeded");
        expect_uint(on_disk(A), 5 * MIB);
        unit_note("%ju and %ju bytes of 8 MiB", (uintmax_t)on_disk(A), (uintmax_t)on_disk(B));
        expect_within((double)(on_disk(A) + on_disk(B)), 7.5 * MIB, 8 * MIB);
        house_close(&house);
}

static void show_says_whether_space_is_held_and_if_not_why(void) {
        static const struct {
                const char *claim, *image, *more, *said;
                bool root;
        } cases[] = {
                {"8M", A, NULL, "8M by project quota ", false},
                {"8M", A, NULL, "it runs as root", true},
                {"8M", EXT4 "/root.img", NULL, "no file that its user owns", false},
                {"8M", NULL, NULL, "no file that its user owns", false},
                {"8M", A, X, "several file systems", false},
                {"8M", "/tmp/t.img", NULL, "no project quota in force", false},
                {"8M", EXT4 "/other.img", NULL, "belongs to another project", false},
                {"0", A, NULL, "none was claimed", false},
        };
        struct house house;
        struct job job;
        char text[300];

        quota_open(&house, NULL);
        sh("touch " EXT4 "/root.img " EXT4 "/other.img /tmp/t.img;"
           "chown 1000 " EXT4 "/other.img /tmp/t.img; chattr -p 77 " EXT4 "/other.img");
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const char *words[32];
                size_t n = 0;

                for (const char *const *word = (const char *const[]){AS_1000, NULL};
                     !cases[i].root && *word; word++)
                        words[n++] = *word;
                for (const char *const *word =
                             (const char *const[]){"provium", "run", "--slice", "t", "--detach",
                                                   "--name", "vm", "--disk", cases[i].claim, NULL};
                     *word; word++)
                        words[n++] = *word;
                if (cases[i].image) {
                        words[n++] = "--disk-image";
                        words[n++] = cases[i].image;
                }
                if (cases[i].more) {
                        words[n++] = "--disk-image";
                        words[n++] = cases[i].more;
                }
                for (const char *const *word = (const char *const[]){"--", "sleep", "100", NULL};
                     *word; word++)
                        words[n++] = *word;
                words[n] = NULL;
                expect_int(job_run(&job, words), 0);
                expect_that(strstr(said("vm", text), cases[i].said), "%zu: '%s' in '%s'", i,
                            cases[i].said, text);
                expect_uint(count_limits(A), i == 0);
                expect_int(SHELL(&job, "provium", "kill", "vm", "--grace", "0s"), 0);
        }
        expect_uint(project_of(EXT4 "/other.img"), 77);
        house_conf(CONF_OF("no"));
        house_reload(&house);
        expect_int(SHELL(&job, RUN_AS_1000("--detach", "--name", "vm", "--disk", "8M",
                                           "--disk-image", A, "--", "sleep", "100")),
                   0);
        expect_in(said("vm", text), "ProjectQuota=yes");
        expect_uint(count_limits(A), 0);
        house_end_all(&house);
        house_close(&house);
}

static void an_image_of_a_living_vm_is_not_taken_from_it(void) {
        struct house house;
        uint32_t project;
        struct job job;
        char text[300];

        quota_open(&house, NULL);
        expect_int(SHELL(&job, RUN_AS_1000("--detach", "--name", "one", "--disk", "8M",
                                           "--disk-image", A, "--", "sleep", "100")),
                   0);
        project = project_of(A);
        expect_uint(limit_of(A, project), 8192);
        expect_int(
                SHELL(&job, RUN_AS_1000("--detach", "--name", "two", "--disk", "9M", "--disk-image",
                                        A, "--disk-image", B, "--", "sleep", "100")),
                0);
        expect_uint(project_of(A), project);
        expect_uint(limit_of(B, project_of(B)), 9216);
        expect_in(said("two", text), "9M by project quota");
        expect_int(SHELL(&job, "provium", "kill", "one", "--grace", "0s"), 0);
        expect_uint(project_of(A), 0);
        expect_uint(count_limits(A), 1);
        house_end_all(&house);
        expect_uint(count_limits(A), 0);
        house_close(&house);
}

static void one_after_the_other_each_is_held(void) {
        struct house house;
        struct job job;

        quota_open(&house, NULL);
        for (unsigned i = 0; i < 8; i++) {
                expect_int(SHELL(&job, RUN_AS_1000("--name", "vm", "--disk", "1M", "--disk-image",
                                                   A, "--", FILL(A))),
                           1);
                expect_in(job.err, "quota exceeded");
                need_int(truncate(A, 0), 0);
        }
        expect_uint(count_limits(A), 0);
        house_close(&house);
}

static void a_broker_killed_leaves_a_quota_that_holds_and_is_cleared_at_the_end(void) {
        struct house house;
        struct job job;
        char text[300];

        quota_open(&house, NULL);
        expect_int(SHELL(&job, RUN_AS_1000("--detach", "--name", "vm", "--disk", "4M",
                                           "--disk-image", A, "--", "sh", "-c",
                                           "while [ ! -e /tmp/go ]; do sleep 0.1; done; "
                                           "dd if=/dev/zero of=" A " bs=64k count=512; "
                                           "touch /tmp/done; sleep 100")),
                   0);
        house_kill(&house);
        house_start(&house);
        expect_in(said("vm", text), "4M by project quota");
        sh("touch /tmp/go");
        sh("timeout 20 sh -c 'until [ -e /tmp/done ]; do sleep 0.1; done'");
        expect_within((double)on_disk(A), 3.5 * MIB, 4 * MIB);
        house_end_all(&house);
        expect_uint(count_limits(A), 0);
        /* The file keeps a number that means nothing, and gets another. */
        need_int(truncate(A, 0), 0);
        expect_int(SHELL(&job, RUN_AS_1000("--name", "vm", "--disk", "1M", "--disk-image", A, "--",
                                           FILL(A))),
                   1);
        expect_in(job.err, "quota exceeded");
        expect_uint(project_of(A), 0);
        /* Killed while the VM ends: the next broker finds the group, and so the quota. */
        need_int(truncate(A, 0), 0);
        expect_int(SHELL(&job, RUN_AS_1000("--detach", "--name", "vm", "--disk", "4M",
                                           "--disk-image", A, "--", "sleep", "100")),
                   0);
        {
                char *dir = vm_path("vm"), path[1200];

                house_kill(&house);
                snprintf(path, sizeof(path), "%s/cgroup.kill", dir);
                need_int(file_put(path, "1"), 0);
                free(dir);
        }
        expect_uint(count_limits(A), 1);
        house_start(&house);
        house_end_all(&house);
        expect_uint(count_limits(A), 0);
        sh("rm -f /tmp/go /tmp/done");
        house_close(&house);
}

/* Its processes end one by one, and its keeper last: the group may run empty at any step of taking
 * it away. */
static void of_vms_with_many_processes_none_leaves_its_limit(void) {
        struct house house;
        struct job job;

        quota_open(&house, NULL);
        for (unsigned i = 0; i < 30; i++) {
                char n[12];

                snprintf(n, sizeof(n), "%u", i * 4);
                expect_int(SHELL(&job,
                                 RUN_AS_1000("--detach", "--name", "vm", "--disk", "8M",
                                             "--disk-image", A, "--", "sh", "-c",
                                             "for i in $(seq $0); do sleep 100 & done; wait", n)),
                           0);
                need_int(usleep(50000), 0);
                expect_int(SHELL(&job, "provium", "kill", "vm", "--grace", "0s"), 0);
                expect_uint(project_of(A), 0);
        }
        expect_uint(count_limits(A), 0);
        house_close(&house);
}

/* It runs as nobody that owns the image, which it was given open by its caller's right. */
static void an_image_that_is_handed_to_another_user_is_held_too(void) {
        struct house house;
        struct job job;

        quota_open(&house, CONF_OF("yes") "[Broker]\nDynamicUsers=70000-70009\n");
        house_slice("t", HOUSE_SLICE "[Sandbox]\nUser=dynamic\n");
        house_reload(&house);
        sh("chmod 600 " A);
        expect_int(SHELL(&job, RUN_AS_1000("--disk", "8M", "--disk-image", A, "--", "sh", "-c",
                                           "id -u; dd if=/dev/zero bs=64k count=512 "
                                           "conv=fsync >&{disk.0.fd}")),
                   1);
        expect_in(job.out, "7000");
        expect_in(job.err, "quota exceeded");
        expect_within((double)on_disk(A), 7.5 * MIB, 8 * MIB);
        expect_uint(project_of(A), 0);
        /* What it may only read is not the VM's to fill. */
        expect_int(SHELL(&job, RUN_AS_1000("--disk", "1M", "--disk-image", A, "--", "echo",
                                           "{disk.0.fd.ro}")),
                   0);
        house_close(&house);
}

UNIT_MAIN(TEST(a_vm_cannot_fill_more_of_the_disk_than_it_claims),
          TEST(images_of_one_vm_share_its_claim_and_base_images_are_not_counted),
          TEST(show_says_whether_space_is_held_and_if_not_why),
          TEST(an_image_of_a_living_vm_is_not_taken_from_it),
          TEST(one_after_the_other_each_is_held),
          TEST(a_broker_killed_leaves_a_quota_that_holds_and_is_cleared_at_the_end),
          TEST(of_vms_with_many_processes_none_leaves_its_limit),
          TEST(an_image_that_is_handed_to_another_user_is_held_too), )
