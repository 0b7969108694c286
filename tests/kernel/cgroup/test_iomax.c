/* SPDX-License-Identifier: MIT */
/* rig: --mem 1G --disk 400M --disk 400M --disk 400M --timeout 550 */
/*
 * io.max on every stack that resolve accepts: what is written reads back, and two processes of one
 * group together move what they may and no more, directly and through the page cache, counted where
 * it arrives: at the disks.
 */
#include <base/why.h>
#include <cgroup/iomax.h>
#include <cgroup/resolve.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "stacks.h"
#include "unit.h"

#define RATE UINT64_C(10000000)
#define WARM_USEC 400000
#define WINDOW_USEC 2000000
/* Buffered writes go out in strokes of two seconds; and a file, or a device, that another group
 * wrote before is taken over by its new writer within three (see the last test). */
#define WARM_BUFFERED_USEC 1000000
#define WARM_DEVICE_USEC 4000000
#define WINDOW_BUFFERED_USEC 4000000

static const struct io_limit none = IO_UNLIMITED;
static const struct resolve_host host = RESOLVE_HOST_HERE;
static struct why why;
static struct disks disks;

static void fresh(void) {
        need_disks();
        stacks_down();
        why = (struct why){};
        disks = (struct disks){};
}

static void resolve(const struct stack *stack) {
        int fd = stack_up(stack);

        need_that(resolve_fd(&disks, fd, &host, &why) == 0, "%s: %s", stack->name, why.text);
        close(fd);
}

static void apply(int group_fd, const struct io_limit *limit, bool through_too) {
        for (size_t i = 0; i < disks.n; i++)
                if (through_too || !disks.disk[i].through)
                        expect_that(iomax_apply(group_fd, disks.disk[i].dev, limit, &why) == 0,
                                    "%s: %s", disks.disk[i].name, why.text);
}

static uint64_t warm_usec(const char *path, enum job job) {
        if (job != WRITE_BUFFERED)
                return WARM_USEC;
        return strncmp(path, "/dev/", 5) == 0 ? WARM_DEVICE_USEC : WARM_BUFFERED_USEC;
}

/*
 * Bytes per second at each device of the answer, while two processes of the group do the job. What
 * a disk owed from before the window, because its host was busy, arrives in the window; so one that
 * sees too much is made up to three times as long, in which that fades and a breach does not.
 */
static void measure(int group_fd, const char *path, enum job job, double rate[RESOLVE_DISKS_MAX]) {
        bool written = job == WRITE_DIRECT || job == WRITE_BUFFERED, too_much = true;
        uint64_t bytes[RESOLVE_DISKS_MAX], start;
        pid_t first, second;

        first = job_start(group_fd, path, job, 0, NULL);
        second = job_start(group_fd, path, job, 1, NULL);
        sleep_usec(warm_usec(path, job));
        start = now_usec();
        for (size_t i = 0; i < disks.n; i++)
                bytes[i] = device_bytes(disks.disk[i].name, written);
        for (unsigned windows = 0; windows < 3 && too_much; windows++) {
                sleep_usec(job == WRITE_BUFFERED ? WINDOW_BUFFERED_USEC : WINDOW_USEC);
                too_much = false;
                for (size_t i = 0; i < disks.n; i++) {
                        rate[i] = (double)(device_bytes(disks.disk[i].name, written) - bytes[i]) *
                                  1e6 / (double)(now_usec() - start);
                        too_much |= rate[i] > 1.1 * (double)RATE;
                }
        }
        job_end(first);
        job_end(second);
}

/* What the device sees that the VM's own bytes go to first; of members side by side, the sum. */
static double measure_stack(const struct stack *stack, enum job job, const char *path,
                            bool through_too) {
        const struct io_limit limit = {RATE, RATE, IO_NO_LIMIT, IO_NO_LIMIT};
        double rate[RESOLVE_DISKS_MAX], top = 0;
        char text[256] = "";
        size_t used = 0;
        int group_fd;

        group_fd = group_open("g");
        apply(group_fd, &limit, through_too);
        measure(group_fd, path, job, rate);
        apply(group_fd, &none, true);
        group_close(group_fd, "g");

        for (size_t i = 0; i < disks.n; i++) {
                used += (size_t)snprintf(text + used, sizeof(text) - used, " %s %.2f",
                                         disks.disk[i].name, rate[i] / 1e6);
                if (!stack->top || strcmp(stack->top, disks.disk[i].name) == 0)
                        top += rate[i];
                /* A loop device caches: what it took at the rate goes down in strokes. */
                else if (through_too && !disks.disk[i].through && !stack->more_below &&
                         !strstr(stack->name, "loop"))
                        expect_that(rate[i] < 1.1 * (double)RATE, "%s: %s moves %.2f MB/s",
                                    stack->name, disks.disk[i].name, rate[i] / 1e6);
        }
        unit_note("%-30s %-14s%s MB/s", stack->name, job_names[job], text);
        return top;
}

static void hold_stack(const char *name) {
        const struct stack *stack = stack_find(name);
        char path[256], fresh_path[300];

        fresh();
        resolve(stack);
        job_file(stack, path);
        for (enum job job = 0; job < _JOB_N; job++) {
                bool own = job == WRITE_BUFFERED && strncmp(path, "/dev/", 5) != 0;
                size_t members = 0;
                double top = 0;

                /* For a run that may take its time. */
                if (job == READ_BUFFERED && !getenv("PROVIUM_FLOWS"))
                        continue;
                snprintf(fresh_path, sizeof(fresh_path), "%s%s", path, own ? ".own" : "");
                for (size_t i = 0; i < disks.n; i++)
                        members += !disks.disk[i].through;
                if (stack->top)
                        members = 1;
                /* Too much is wrong at once. Too little may be for want of a processor: ciphers
                 * and parity are slow in emulation, and others may run beside us. */
                for (unsigned tries = 0; tries < 3; tries++) {
                        top = measure_stack(stack, job, fresh_path, true);
                        if (top >= 0.9 * (double)RATE || job >= READ_BUFFERED)
                                break;
                }
                /* Through the page cache several limits above each other cost some of the rate, and
                 * a window may see one stroke less: that no more passes is what was sold. */
                expect_within(top, (job < READ_BUFFERED ? 0.9 : 0.35) * (double)RATE,
                              1.1 * (double)RATE * (double)members);
        }
}

static void disks_and_file_systems_are_held(void) {
        static const char *const names[] = {"disk", "partition", "ext4", "xfs", "btrfs", "overlay"};

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                hold_stack(names[i]);
        stacks_down();
}

static void stacked_devices_are_held(void) {
        static const char *const names[] = {
                "loop",           "loop-direct", "ext4-loop",
                "ext4-dm-linear", "dm-crypt",    "xfs-dm-crypt-linear-partition",
                "raid0",          "raid1",       "raid5"};

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                hold_stack(names[i]);
        stacks_down();
}

/* Why stacked devices are in the answer: what a loop device caches and what raid5 writes in its
 * thread is not the group's any more when it reaches the disks. */
static void limits_below_alone_do_not_hold_loops_and_raid5(void) {
        static const struct {
                const char *name;
                bool escapes;
        } below[] = {{"loop", true},      {"loop-direct", false}, {"dm-linear", false},
                     {"dm-crypt", false}, {"raid1", false},       {"raid5", true}};

        for (size_t i = 0; i < sizeof(below) / sizeof(below[0]); i++) {
                const struct stack *stack = stack_find(below[i].name);
                char path[256];
                double top;

                fresh();
                resolve(stack);
                job_file(stack, path);
                top = measure_stack(stack, WRITE_DIRECT, path, false);
                expect_that((top > 1.5 * (double)RATE) == below[i].escapes, "%s: %.2f MB/s",
                            stack->name, top / 1e6);
        }
        stacks_down();
}

static void a_file_of_another_group_is_taken_over_in_time(void) {
        const struct io_limit limit = {RATE, RATE, IO_NO_LIMIT, IO_NO_LIMIT};
        const struct stack *stack = stack_find("ext4");
        char path[256], text[256] = "";
        double late = 0;
        size_t used = 0;
        int group_fd;
        pid_t pid;

        fresh();
        resolve(stack);
        job_file(stack, path);
        group_fd = group_open("g");
        apply(group_fd, &limit, true);
        pid = job_start(group_fd, path, WRITE_BUFFERED, 0, NULL);
        for (unsigned i = 0; i < 10; i++) {
                uint64_t bytes = device_bytes("vda", true), start = now_usec();
                double rate;

                sleep_usec(1000000);
                rate = (double)(device_bytes("vda", true) - bytes) * 1e6 /
                       (double)(now_usec() - start);
                used += (size_t)snprintf(text + used, sizeof(text) - used, " %.1f", rate / 1e6);
                if (i >= 6)
                        late += rate / 4;
        }
        unit_note("second for second, MB/s:%s", text);
        expect_within(late, 0.35 * (double)RATE, 1.2 * (double)RATE);
        job_end(pid);
        apply(group_fd, &none, true);
        group_close(group_fd, "g");
        stacks_down();
}

/* ---- what is written and read back ----------------------------------------------------------- */

static dev_t device_of(const char *path) {
        struct stat st;

        need_int(stat(path, &st), 0);
        return st.st_rdev;
}

static void count_limits(void *userdata, dev_t dev, const struct io_limit *limit) {
        unsigned *np = userdata;

        expect(dev == device_of("/dev/vda") || dev == device_of("/dev/vdb"));
        expect_uint(limit->write_ios_per_s, 44);
        (*np)++;
}

static void limits_read_back_for_each_device(void) {
        const struct io_limit limit = {11, IO_NO_LIMIT, UINT32_MAX, 44};
        struct io_limit found;
        unsigned n = 0;
        int fd;

        fresh();
        fd = group_open("g");
        need_int(iomax_read(fd, device_of("/dev/vda"), &found, &why), 0);
        expect_uint(found.read_bytes_per_s, IO_NO_LIMIT);
        need_int(iomax_apply(fd, device_of("/dev/vda"), &limit, &why), 0);
        need_int(iomax_apply(fd, device_of("/dev/vdb"), &limit, &why), 0);
        need_int(iomax_read(fd, device_of("/dev/vda"), &found, &why), 0);
        expect_uint(found.read_bytes_per_s, 11);
        expect_uint(found.write_bytes_per_s, IO_NO_LIMIT);
        /* All ones of 32 bits is the kernel's "max". */
        expect_uint(found.read_ios_per_s, IO_NO_LIMIT);
        expect_uint(found.write_ios_per_s, 44);
        expect_int(iomax_verify(fd, device_of("/dev/vda"), &limit, &why), 0);
        expect_int(iomax_verify(fd, device_of("/dev/vda"), &none, &why), CGROUP_E_LIMIT);
        expect_in(why.text, "wiops=44");
        expect_int(iomax_each(fd, count_limits, &n, &why), 0);
        expect_uint(n, 2);
        need_int(iomax_apply(fd, device_of("/dev/vda"), &none, &why), 0);
        expect_int(iomax_verify(fd, device_of("/dev/vda"), &none, &why), 0);
        group_close(fd, "g");
}

static void what_the_kernel_refuses_is_told(void) {
        const struct io_limit limit = {RATE, RATE, IO_NO_LIMIT, IO_NO_LIMIT};
        const struct io_limit zero = {0, RATE, IO_NO_LIMIT, IO_NO_LIMIT};
        struct io_use use;
        int fd;

        fresh();
        shell("addpart /dev/vda 1 2048 700000");
        fd = group_open("g");
        expect_int(iomax_apply(fd, device_of("/dev/vda1"), &limit, &why), CGROUP_E_LIMIT);
        unit_note("%s", why.text);
        expect_in(why.text, "partition");
        expect_int(iomax_apply(fd, makedev(240, 1), &limit, &why), CGROUP_E_LIMIT);
        expect_int(iomax_apply(fd, device_of("/dev/vda"), &zero, &why), CGROUP_E_LIMIT);
        unit_note("%s", why.text);
        rmdir("/sys/fs/cgroup/io/g");
        expect_int(iomax_apply(fd, device_of("/dev/vda"), &limit, &why), CGROUP_E_GONE);
        expect_int(iostat_read(fd, device_of("/dev/vda"), &use, &why), CGROUP_E_GONE);
        close(fd);
        fd = open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        /* The root has no io.max, and neither has a group without the controller. */
        expect_int(iomax_apply(fd, device_of("/dev/vda"), &limit, &why), CGROUP_E_LIMIT);
        expect_in(why.text, "switched on");
        close(fd);
        stacks_down();
}

static void a_limit_goes_with_its_device(void) {
        const struct io_limit limit = {RATE, RATE, IO_NO_LIMIT, IO_NO_LIMIT};
        dev_t dev;
        int fd;

        fresh();
        shell("linear /dev/vda /dev/vdb");
        dev = device_of("/dev/mapper/lin");
        fd = group_open("g");
        need_int(iomax_apply(fd, dev, &limit, &why), 0);
        shell("dmsetup remove --noudevsync lin");
        expect_int(iomax_verify(fd, dev, &limit, &why), CGROUP_E_LIMIT);
        expect_int(iomax_apply(fd, dev, &limit, &why), CGROUP_E_LIMIT);
        unit_note("%s", why.text);
        /* The same number again is another device. */
        shell("linear /dev/vdb /dev/vda");
        expect_int(iomax_verify(fd, device_of("/dev/mapper/lin"), &limit, &why), CGROUP_E_LIMIT);
        group_close(fd, "g");
        stacks_down();
}

static void use_is_counted_and_weights_are_set(void) {
        struct io_use before, use;
        bool set = false;
        pid_t pid;
        int fd;

        fresh();
        fd = group_open("g");
        need_int(iostat_read(fd, device_of("/dev/vda"), &before, &why), 0);
        expect_uint(before.read_bytes, 0);
        pid = job_start(fd, "/dev/vda", READ_DIRECT, 0, NULL);
        sleep_usec(500000);
        job_end(pid);
        need_int(iostat_read(fd, device_of("/dev/vda"), &use, &why), 0);
        expect(use.read_bytes > 0 && use.read_ios > 0);
        expect_uint(use.write_bytes, 0);
        need_that(ioweight_apply(fd, 10000, &set, &why) == 0, "%s", why.text);
        unit_note("io.weight: %s", set ? "set" : "absent");
        expect(set);
        need_int(ioweight_apply(fd, 1, &set, &why), 0);
        shell("modprobe bfq");
        need_that(ioweight_apply(fd, 2500, &set, &why) == 0, "%s", why.text);
        shell("grep -qx 'default 2500' /sys/fs/cgroup/io/g/io.weight;"
              "grep -qx 'default 250' /sys/fs/cgroup/io/g/io.bfq.weight");
        group_close(fd, "g");
}

UNIT_MAIN(TEST(limits_read_back_for_each_device), TEST(what_the_kernel_refuses_is_told),
          TEST(a_limit_goes_with_its_device), TEST(use_is_counted_and_weights_are_set),
          TEST(disks_and_file_systems_are_held), TEST(stacked_devices_are_held),
          TEST(limits_below_alone_do_not_hold_loops_and_raid5),
          TEST(a_file_of_another_group_is_taken_over_in_time), )
