/* SPDX-License-Identifier: MIT */

/*
 * What a group says of its use, with a temporary directory in the kernel's place.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <base/fd.h>
#include <cgroup/usage.h>

#include "unit.h"

static const char *const all_files[] = {
        "cpu.stat", "memory.current", "memory.peak",     "pids.current", "memory.events",
        "io.stat",  "cpu.pressure",   "memory.pressure", "io.pressure",
};

/* A directory with one group in it, "a/b.vm". */
struct place {
        char path[64];
        int fd;
        struct usage usage;
        struct usage_disks disks;
};

static void place_open(struct place *place) {
        *place = (struct place){.path = "/tmp/provium-test-usage-XXXXXX"};
        need(mkdtemp(place->path) != NULL);
        place->fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        need(place->fd >= 0);
        need(mkdirat(place->fd, "a", 0755) == 0 && mkdirat(place->fd, "a/b.vm", 0755) == 0);
}

static void put(const struct place *place, const char *name, const char *text) {
        char path[64];
        int fd;

        snprintf(path, sizeof(path), "a/b.vm/%s", name);
        fd = openat(place->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        need(fd >= 0);
        need(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
        fd_close(fd);
}

static void place_close(struct place *place) {
        for (size_t i = 0; i < ARRAY_SIZE(all_files); i++) {
                char path[64];

                snprintf(path, sizeof(path), "a/b.vm/%s", all_files[i]);
                unlinkat(place->fd, path, 0);
        }
        unlinkat(place->fd, "a/b.vm", AT_REMOVEDIR);
        unlinkat(place->fd, "a", AT_REMOVEDIR);
        place->fd = fd_close(place->fd);
        rmdir(place->path);
        usage_disks_deinit(&place->disks);
}

static const char cpu_stat[] = "usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\n"
                               "nr_periods 20\nnr_throttled 3\nthrottled_usec 70000\n"
                               "nr_bursts 0\nburst_usec 0\n";

static void every_file_is_understood(void) {
        struct place place;
        const struct usage *usage = &place.usage;

        place_open(&place);
        put(&place, "cpu.stat", cpu_stat);
        put(&place, "memory.current", "1048576\n");
        put(&place, "memory.peak", "2097152\n");
        put(&place, "pids.current", "7\n");
        put(&place, "memory.events", "low 0\nhigh 1\nmax 2\noom 3\noom_kill 4\n");
        put(&place, "io.stat",
            "8:16 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=512 dios=3\n"
            "253:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n");
        put(&place, "cpu.pressure",
            "some avg10=0.00 avg60=0.00 avg300=0.00 total=11\n"
            "full avg10=0.00 avg60=0.00 avg300=0.00 total=12\n");
        put(&place, "memory.pressure",
            "some avg10=1.00 avg60=0.00 avg300=0.00 total=21\n"
            "full avg10=0.00 avg60=0.00 avg300=0.00 total=22\n");
        put(&place, "io.pressure",
            "some avg10=0.00 avg60=0.00 avg300=0.00 total=31\n"
            "full avg10=0.00 avg60=0.00 avg300=0.00 total=32\n");
        need(usage_read(place.fd, "a/b.vm", USAGE_ALL, NULL, &place.usage, &place.disks));
        expect_uint(usage->known, (1 << 10) - 1);
        expect_uint(usage->cpu_usec, 1500000);
        expect_uint(usage->periods, 20);
        expect_uint(usage->throttled_periods, 3);
        expect_uint(usage->throttled_usec, 70000);
        expect_uint(usage->memory_bytes, 1048576);
        expect_uint(usage->memory_peak_bytes, 2097152);
        expect_uint(usage->processes, 7);
        expect_uint(usage->oom_kills, 4);
        expect_uint(usage->waiting_usec[USAGE_WAITS_CPU], 11);
        expect_uint(usage->stalled_usec[USAGE_WAITS_MEMORY], 22);
        expect_uint(usage->stalled_usec[USAGE_WAITS_IO], 32);
        need_uint(usage->n_disks, 2);
        expect_uint(place.disks.list[0].dev, makedev(8, 16));
        expect_uint(place.disks.list[0].read_bytes, 4096);
        expect_uint(place.disks.list[0].discards, 3);
        expect_uint(place.disks.list[1].written_bytes, 2);
        expect_uint(place.disks.list[1].writes, 4);
        place_close(&place);
}

static void what_a_kernel_does_not_have_is_unknown_and_not_zero(void) {
        struct place place;

        place_open(&place);
        put(&place, "cpu.stat", "usage_usec 5\nuser_usec 5\nsystem_usec 0\n");
        put(&place, "memory.current", "nonsense\n");
        put(&place, "memory.events", "low 0\n");
        put(&place, "cpu.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=11\n");
        need(usage_read(place.fd, "a/b.vm", USAGE_ALL, NULL, &place.usage, &place.disks));
        expect_uint(place.usage.known, USAGE_CPU);
        place_close(&place);
}

static void a_group_that_is_gone_is_none(void) {
        struct place place;

        place_open(&place);
        expect(!usage_read(place.fd, "a/c.vm", USAGE_ALL, NULL, &place.usage, &place.disks));
        expect(!usage_read(place.fd, "a/b.vm", USAGE_ALL, NULL, &place.usage, &place.disks));
        place_close(&place);
}

static void a_group_that_moved_nothing_has_no_disks_and_says_so(void) {
        struct place place;

        place_open(&place);
        put(&place, "cpu.stat", cpu_stat);
        put(&place, "io.stat", "");
        need(usage_read(place.fd, "a/b.vm", USAGE_ALL, NULL, &place.usage, &place.disks));
        expect(place.usage.known & USAGE_IO);
        expect_uint(place.usage.n_disks, 0);
        place_close(&place);
}

static void a_device_without_numbers_is_passed_over(void) {
        struct place place;

        place_open(&place);
        put(&place, "cpu.stat", cpu_stat);
        put(&place, "io.stat",
            "7:0 7:1 8:0 rbytes=9 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n"
            "7:2\n8:16 \nx rbytes=1\n8:32 rbytes=3 wbytes=4 rios=1 wios=1 dbytes=0 dios=0");
        need(usage_read(place.fd, "a/b.vm", USAGE_ALL, NULL, &place.usage, &place.disks));
        need_uint(place.usage.n_disks, 2);
        expect_uint(place.disks.list[0].dev, makedev(8, 0));
        expect_uint(place.disks.list[0].read_bytes, 9);
        expect_uint(place.disks.list[1].dev, makedev(8, 32));
        expect_uint(place.disks.list[1].written_bytes, 4);
        place_close(&place);
}

static void disks_of_many_groups_lie_one_after_the_other(void) {
        struct place place;

        place_open(&place);
        put(&place, "cpu.stat", cpu_stat);
        put(&place, "io.stat", "8:0 rbytes=9 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n");
        for (size_t i = 0; i < 1000; i++) {
                need(usage_read(place.fd, "a/b.vm", USAGE_ALL, NULL, &place.usage, &place.disks));
                need_uint(place.usage.first_disk, i);
                need_uint(place.usage.n_disks, 1);
        }
        expect_uint(place.disks.n, 1000);
        expect_uint(place.disks.list[999].read_bytes, 9);
        place_close(&place);
}

static void files_that_are_kept_are_read_anew(void) {
        struct usage_files files;
        struct place place;
        int first;

        place_open(&place);
        usage_files_init(&files);
        put(&place, "cpu.stat", cpu_stat);
        put(&place, "memory.current", "1048576\n");
        need(usage_read(place.fd, "a/b.vm", USAGE_ALL, &files, &place.usage, &place.disks));
        expect_uint(place.usage.memory_bytes, 1048576);
        first = files.fd[USAGE_FILE_MEMORY];
        expect(first >= 0 && files.fd[USAGE_FILE_MEMORY_PEAK] < 0);
        /* Shorter than before, and one more that has come. */
        put(&place, "memory.current", "512\n");
        put(&place, "memory.peak", "2097152\n");
        need(usage_read(place.fd, "a/b.vm", USAGE_ALL, &files, &place.usage, &place.disks));
        expect_uint(place.usage.memory_bytes, 512);
        expect_uint(place.usage.memory_peak_bytes, 2097152);
        expect_int(files.fd[USAGE_FILE_MEMORY], first);
        usage_files_deinit(&files);
        for (size_t i = 0; i < _USAGE_FILE_N; i++)
                expect_int(files.fd[i], -1);
        expect(fcntl(first, F_GETFD) < 0);
        place_close(&place);
}

static void a_file_too_long_is_unknown(void) {
        static char text[16384];
        struct place place;
        size_t n = 0;

        place_open(&place);
        put(&place, "cpu.stat", cpu_stat);
        for (unsigned i = 0; n < sizeof(text) - 100; i++)
                n += (size_t)snprintf(text + n, sizeof(text) - n,
                                      "8:%u rbytes=9 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n", i);
        put(&place, "io.stat", text);
        need(usage_read(place.fd, "a/b.vm", USAGE_ALL, NULL, &place.usage, &place.disks));
        expect(!(place.usage.known & USAGE_IO));
        expect_uint(place.usage.n_disks, 0);
        place_close(&place);
}

UNIT_MAIN(TEST(every_file_is_understood), TEST(what_a_kernel_does_not_have_is_unknown_and_not_zero),
          TEST(a_group_that_is_gone_is_none),
          TEST(a_group_that_moved_nothing_has_no_disks_and_says_so),
          TEST(a_device_without_numbers_is_passed_over),
          TEST(disks_of_many_groups_lie_one_after_the_other),
          TEST(files_that_are_kept_are_read_anew), TEST(a_file_too_long_is_unknown), )
