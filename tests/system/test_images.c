/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --disk 64M --disk 64M --timeout 200 */
/*
 * Images that a VM of a user of its own is given open, by the right of who asked for it: with QEMU
 * itself, as /dev/fdset, and with what that user may not do besides.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "house.h"
#include "links.h"

#define CONF                                                                                       \
        HOUSE_CONF "[Capacity]\nDiskIO=100MB/s\n[Claim]\nDiskIO=1MB/s\n"                           \
                   "[Broker]\nDynamicUsers=70000-70009\n"
#define SLICE "[Access]\nUsers=*\n[Sandbox]\nUser=dynamic\nPrivateTmp=yes\nReadOnlyRoot=yes\n"
#define PLACE "/run/images"
#define IMAGE PLACE "/own.img"
#define OTHER PLACE "/other.img" /* the caller's, too, but not named */
#define FOREIGN PLACE "/foreign.img"
#define SHARED PLACE "/shared.img"
#define PUBLIC PLACE "/public.img"
#define AS_1000 "setpriv", "--reuid=1000", "--regid=1000", "--groups=1000,5000"
#define RUN(...) AS_1000, "provium", "run", "--slice", "t", __VA_ARGS__
/* What QEMU's monitor is told comes from its standard input. */
#define QEMU(said, number, option)                                                                 \
        "printf '%s\\nquit\\n' '" said "' | qemu-system-x86_64 -M none -accel tcg -nodefaults "    \
        "-no-user-config -display none -monitor stdio -add-fd fd=" number ",set=7 "                \
        "-drive if=none,id=d0,format=raw,file=/dev/fdset/7" option "; id -u"

static void images_open(struct house *house) {
        const char *disks = getenv("RIG_DISKS");

        if (!disks || !strchr(disks, ' '))
                unit_skip("the rig has not two disks");
        need_int(chdir("/"), 0);
        sh("set -e; mkdir -p " HOUSE_DIR "/vendor;"
           "cp -r $PROVIUM_SOURCE/policies/etc/seccomp " HOUSE_DIR "/vendor;"
           "PATH=$PATH:/sbin:/usr/sbin; mkdir -p " PLACE "; set -- $RIG_DISKS;"
           "mountpoint -q " PLACE " || { mkfs.ext4 -qF $1; mount $1 " PLACE "; };"
           "cd " PLACE "; umask 077;"
           "for f in own other foreign shared public; do printf '%%-4096s' $f > $f.img; done;"
           "chown 1000:1000 own.img other.img; chown 1001:1001 foreign.img;"
           "chown 0:5000 shared.img; chmod 660 shared.img; chmod 644 public.img");
        house_open(house, CONF, SLICE);
}

static void qemu_reads_and_writes_an_image_that_only_the_caller_can_open(void) {
        char bytes[512] = "";
        struct house house;
        struct job job;
        int fd;

        if (access("/usr/bin/qemu-system-x86_64", X_OK) < 0)
                unit_skip("there is no QEMU");
        images_open(&house);
        expect_int(SHELL(&job, RUN("--disk-image", IMAGE, "--cpus", "2", "--mem", "128M", "--",
                                   "sh", "-c",
                                   QEMU("qemu-io d0 \"write -P 0x55 512 512\"", "{disk.0.fd}",
                                        ",auto-read-only=off,cache=none"))),
                   0);
        expect_in(job.out, "wrote 512/512 bytes at offset 512");
        expect_in(job.out, "\n7000");
        fd = open(IMAGE, O_RDONLY | O_CLOEXEC);
        expect_int((int)pread(fd, bytes, sizeof(bytes), 512), sizeof(bytes));
        expect(bytes[0] == 0x55 && bytes[511] == 0x55);
        close(fd);
        expect_int(SHELL(&job, RUN("--disk-image", IMAGE, "--cpus", "2", "--mem", "128M", "--",
                                   "sh", "-c",
                                   QEMU("qemu-io d0 \"read -P 0x55 512 512\"", "{disk.0.fd.ro}",
                                        ",readonly=on"))),
                   0);
        expect_in(job.out, "read 512/512 bytes at offset 512");
        /* QEMU is told at once that it cannot write what it was not given to be written. */
        expect_int(
                SHELL(&job, RUN("--disk-image", IMAGE, "--cpus", "2", "--mem", "128M", "--", "sh",
                                "-c", QEMU("info block", "{disk.0.fd.ro}", ",auto-read-only=off"))),
                0);
        expect_in(job.err, "Could not dup FD for /dev/fdset/7");
        house_close(&house);
}

static void what_is_not_handed_over_stays_shut(void) {
        struct house house;
        struct job job;

        images_open(&house);
        expect_int(
                SHELL(&job,
                      RUN("--disk-image", IMAGE, "--", "sh", "-c",
                          "head -c3 <&{disk.0.fd}; cat " OTHER ";"
                          "cat {disk.0}; cat /proc/self/fd/{disk.0.fd}; readlink /proc/self/fd/4")),
                1);
        expect_str(job.out, "own");
        expect_in(job.err, OTHER ": Permission denied");
        expect_in(job.err, "/proc/self/fd/3: Permission denied");
        /* For reading only. */
        expect_int(
                SHELL(&job, RUN("--disk-image", IMAGE, "--", "sh", "-c",
                                "head -c3 <&{disk.0.fd.ro}; head -c1 /dev/zero >&{disk.0.fd.ro}")),
                1);
        expect_str(job.out, "own");
        expect_in(job.err, "Bad file descriptor");
        /* Nor is it open at all, for a command that does not ask. */
        expect_int(SHELL(&job, RUN("--disk-image", IMAGE, "--", "sh", "-c", "cat {disk.0}")), 1);
        expect_in(job.err, "/proc/self/fd/3: Permission denied");
        house_close(&house);
}

static void the_right_is_the_callers_groups_included(void) {
        struct house house;
        struct job job;

        images_open(&house);
        expect_int(SHELL(&job, RUN("--disk-image", SHARED, "--disk-image", PUBLIC, "--", "sh", "-c",
                                   "head -c3 <&{disk.0.fd}; head -c3 <&{disk.1.fd.ro}")),
                   0);
        expect_str(job.out, "shapub");
        expect_int(SHELL(&job, RUN("--disk-image", IMAGE, "--disk-image", FOREIGN, "--", "sh", "-c",
                                   "echo {disk.0.fd} {disk.1.fd.ro}")),
                   125);
        expect_in(job.err, "disk image 1: who asked for the VM cannot open it for reading: "
                           "Permission denied");
        expect_int(SHELL(&job, RUN("--disk-image", PUBLIC, "--", "echo", "{disk.0.fd}")), 125);
        expect_in(job.err, "disk image 0: who asked for the VM cannot open it for reading and "
                           "writing: Permission denied");
        expect_int(SHELL(&job,
                         RUN("--disk-image", IMAGE, "--", "echo", "{disk.0.fd}", "{disk.0.fd.ro}")),
                   64);
        expect_in(job.err, "the command names both {disk.0.fd} and {disk.0.fd.ro}");
        /* Root can open them all. */
        expect_int(SHELL(&job, "provium", "run", "--slice", "t", "--disk-image", FOREIGN, "--",
                         "sh", "-c", "head -c3 <&{disk.0.fd}; id -G"),
                   0);
        expect_in(job.out, "for7000");
        expect_int((int)count_vms(), 0);
        house_close(&house);
}

/* By the device program of its group, which knows the disks that it was given. */
static void a_block_device_is_an_image_too(void) {
        const char *disk;
        struct house house;
        struct job job;

        images_open(&house);
        disk = strchr(getenv("RIG_DISKS"), ' ') + 1;
        sh("chown 1000 %s; chmod 600 %s", disk, disk);
        expect_int(SHELL(&job, RUN("--disk-image", disk, "--", "sh", "-c",
                                   "printf disk >&{disk.0.fd}; id -u")),
                   0);
        expect_in(job.out, "7000");
        sh("test \"$(head -c4 %s)\" = disk", disk);
        house_close(&house);
}

UNIT_MAIN(TEST(qemu_reads_and_writes_an_image_that_only_the_caller_can_open),
          TEST(what_is_not_handed_over_stays_shut), TEST(the_right_is_the_callers_groups_included),
          TEST(a_block_device_is_an_image_too))
