/* SPDX-License-Identifier: MIT */
/* rig: --mem 1G --smp 1 --disk 512M --timeout 280 */
/*
 * The real thing: QEMU with a Linux guest on virtio disks, whose I/O is held from outside. The
 * guest (helpers/diskguest) reads and writes with O_DIRECT for as long as it is told and says what
 * it moved; the kernel's io.stat has to say the same number.
 *
 * It boots twice. The upper bound holds for every try; a busy machine can only take from what is
 * moved, so the lower one holds for the best of a few. What the guest cost of a processor stands in
 * the notes: where that is near 100 % and the rate is low, it was the emulation that was slow.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "guest.h"
#include "house.h"
#include "links.h"

#define CONF                                                                                       \
        "[Capacity]\nCPU=4\nMemory=800M\nDisk=1G\nDiskIO=40MB/s\n[Ratio]\nCPU=1\nDiskIO=1\n"       \
        "[Claim]\nCPU=0.1\nMemory=16M\nDiskIO=0\nNetwork=0\n[Enforce]\nMemoryOverhead=64M\n"       \
        "[Disk]\n"
#define A "/run/d0/a.img"
#define B "/run/d0/b.img"
#define C "/run/d0/c.img"
#define LINE_PATH "/run/guest.line"
#define LINE_WORD "unix:" LINE_PATH

#define BOOT_MS 120000
#define TRIES 3
#define TASKS_MAX 4
#define TICKS_MAX 16

/* A disk with a file system and three images whose blocks are all there. */
static void disk_open(struct house *house, const char *conf) {
        const char *disks = getenv("RIG_DISKS");

        if (!disks || !*disks)
                unit_skip("the rig has no disk");
        if (strcmp(guest_accel(), "kvm") != 0)
                unit_skip(
                        "no KVM here: a guest that is emulated twice moves 1 to 3 MB/s, less than "
                        "it is held to");
        sh("set -e; exec 2>&1; export PATH=$PATH:/sbin:/usr/sbin; set -- $RIG_DISKS;"
           "if ! mountpoint -q /run/d0; then mkdir -p /run/d0; mkfs.ext4 -qF $1; mount $1 /run/d0;"
           "  for f in " A " " B " " C "; do"
           "    dd if=/dev/zero of=$f bs=1M count=16 oflag=direct status=none; done;"
           "fi");
        house_open(house, conf, NULL);
}

/* ---- the guest ---- */

struct guest {
        struct job job;
        int line_fd;
        char text[1024]; /* what it said and we did not take yet */
        char line[1024]; /* what we took last */
        size_t n;
        char dir[1024]; /* of its group */
};

/* Its next line, until the one after it; needs one. */
static const char *hear(struct guest *guest, int timeout_ms) {
        uint64_t until = now_ms() + (uint64_t)timeout_ms;
        char *end;

        while (!(end = memchr(guest->text, '\n', guest->n))) {
                struct pollfd in = {guest->line_fd, POLLIN, 0};
                ssize_t n = -1;

                if (poll(&in, 1, 500) > 0)
                        n = recv(guest->line_fd, guest->text + guest->n,
                                 sizeof(guest->text) - guest->n, 0);
                job_drain(&guest->job);
                guest->n += n > 0 ? (size_t)n : 0;
                need_that(n != 0 && now_ms() < until, "the guest answers; it said %s %s",
                          guest->job.out, guest->job.err);
        }
        *end = '\0';
        memcpy(guest->line, guest->text, (size_t)(end + 1 - guest->text));
        guest->n -= (size_t)(end + 1 - guest->text);
        memmove(guest->text, end + 1, guest->n);
        return guest->line;
}

static int listen_at(const char *path) {
        struct sockaddr_un here = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        unlink(path);
        snprintf(here.sun_path, sizeof(here.sun_path), "%s", path);
        need_int(bind(fd, (struct sockaddr *)&here, sizeof(here)), 0);
        need_int(listen(fd, 1), 0);
        return fd;
}

/* Boots one with these @drives (words of QEMU, NULL-terminated), and waits until it is up. */
static void boot(struct guest *guest, const char *const *claim, const char *const *drives,
                 const char *names) {
        const char *words[64], *accel = guest_accel(), *initrd;
        char kernel[256], append[256], *path;
        struct pollfd call;
        uint64_t begin;
        size_t n = 0;
        int server;

        memset(guest, 0, sizeof(*guest));
        guest_kernel(kernel, sizeof(kernel));
        initrd = guest_pack("diskguest", "virtio_pci virtio_blk");
        snprintf(append, sizeof(append), GUEST_APPEND " guest.disks=%s", names);
        for (const char *const *word =
                     (const char *const[]){"provium", "run", "--slice", "t", "--name", "linux",
                                           "--cpus", "2", "--mem", "256M", NULL};
             *word; word++)
                words[n++] = *word;
        for (; *claim; claim++)
                words[n++] = *claim;
        for (const char *const *word = (const char *const[]){"--",
                                                             "qemu-system-x86_64",
                                                             "-M",
                                                             "pc",
                                                             "-accel",
                                                             accel,
                                                             "-cpu",
                                                             "qemu64,+rdrand",
                                                             "-m",
                                                             "128M",
                                                             "-kernel",
                                                             kernel,
                                                             "-initrd",
                                                             initrd,
                                                             "-append",
                                                             append,
                                                             "-display",
                                                             "none",
                                                             "-nodefaults",
                                                             "-no-user-config",
                                                             "-no-reboot",
                                                             "-serial",
                                                             "stdio",
                                                             "-serial",
                                                             "unix:" LINE_PATH,
                                                             NULL};
             *word; word++)
                words[n++] = *word;
        for (; *drives; drives++)
                words[n++] = *drives;
        words[n] = NULL;

        server = listen_at(LINE_PATH);
        begin = now_ms();
        job_start(&guest->job, words);
        call = (struct pollfd){server, POLLIN, 0};
        while (poll(&call, 1, 500) == 0 && !pidfd_wait(guest->job.pidfd, 0))
                job_drain(&guest->job);
        job_drain(&guest->job);
        need_that(call.revents & POLLIN, "QEMU starts; it said %s %s", guest->job.out,
                  guest->job.err);
        guest->line_fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);
        close(server);
        need_str(hear(guest, BOOT_MS), "ready");
        unit_note("-accel %s: the guest is up after %.1f s", accel,
                  (double)(now_ms() - begin) / 1e3);
        path = vm_path("linux");
        snprintf(guest->dir, sizeof(guest->dir), "%s", path);
        free(path);
}

static void switch_off(struct guest *guest) {
        need_int(send(guest->line_fd, "off\n", 4, MSG_NOSIGNAL), 4);
        expect_int(job_wait(&guest->job, HOUSE_WAIT_MS), 0);
        close(guest->line_fd);
}

/* ---- its group ---- */

static void group_file(const struct guest *guest, const char *name, char *text, size_t size) {
        char path[1100];

        snprintf(path, sizeof(path), "%s/%s", guest->dir, name);
        file_get(path, text, size);
}

/* The number behind @key in a file with one disk in it; 0: there is none. */
static uint64_t number_in(const struct guest *guest, const char *name, const char *key) {
        char text[2048], *at;

        group_file(guest, name, text, sizeof(text));
        at = strstr(text, key);
        return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

struct use {
        uint64_t read_bytes, write_bytes, cpu_usec, at_us;
};

static struct use use_of(const struct guest *guest) {
        return (struct use){
                .read_bytes = number_in(guest, "io.stat", " rbytes="),
                .write_bytes = number_in(guest, "io.stat", " wbytes="),
                .cpu_usec = number_in(guest, "cpu.stat", "usage_usec "),
                .at_us = now_us(),
        };
}

struct awaited {
        const struct guest *guest;
        uint64_t rate;
};

static bool is_in_force(void *userdata) {
        const struct awaited *awaited = userdata;

        return number_in(awaited->guest, "io.max", " rbps=") == awaited->rate &&
               number_in(awaited->guest, "io.max", " wbps=") == awaited->rate;
}

/* Whatever was wrong, io.max says @rate for its one disk, or does so soon. */
static void need_io_max(const struct guest *guest, uint64_t rate) {
        struct awaited awaited = {guest, rate};
        char text[256];
        bool good = wait_until(is_in_force, &awaited, 5000);

        group_file(guest, "io.max", text, sizeof(text));
        need_that(good, "io.max is %ju: %s", (uintmax_t)rate, text);
        need_that(strchr(text, '\n') == strrchr(text, '\n'), "one disk is limited: %s", text);
}

/* ---- orders ---- */

/* What the guest moved: bytes of each task after so many ms, by its own clock. */
struct point {
        uint64_t ms, bytes[TASKS_MAX];
};

struct run {
        struct point tick[TICKS_MAX + 1], end; /* tick[0] is the begin */
        unsigned n_ticks;
};

static void parse_point(struct point *point, const char *text) {
        char *at = strchr(text, ' ');

        need(at != NULL);
        point->ms = strtoull(at, &at, 10);
        for (size_t i = 0; i < TASKS_MAX && *at; i++)
                point->bytes[i] = strtoull(at, &at, 10);
}

/* Has the order carried out. The group's io.stat grows by exactly what the guest moves. */
static void order(struct guest *guest, const char *text, struct run *run) {
        uint64_t read_bytes = 0, write_bytes = 0;
        char words[128], *save = NULL;
        const char *line;
        struct use before = use_of(guest), after;
        size_t task = 0;

        *run = (struct run){};
        need_int(dprintf(guest->line_fd, "%s\n", text), strlen(text) + 1);
        for (;;) {
                line = hear(guest, 60000);
                if (strncmp(line, "at ", 3) != 0 || run->n_ticks == TICKS_MAX)
                        break;
                parse_point(&run->tick[++run->n_ticks], line);
        }
        need_that(strncmp(line, "done ", 5) == 0, "'%s' is carried out: '%s'", text, line);
        parse_point(&run->end, line);
        after = use_of(guest);
        unit_note("%s: %.0f %% of a processor", text,
                  (double)(after.cpu_usec - before.cpu_usec) * 100 /
                          (double)(after.at_us - before.at_us));

        snprintf(words, sizeof(words), "%s", text);
        strtok_r(words, " ", &save);
        for (char *word; (word = strtok_r(NULL, " ", &save)); task++)
                *(*word == 'r' ? &read_bytes : &write_bytes) += run->end.bytes[task];
        expect_uint(after.read_bytes - before.read_bytes, read_bytes);
        expect_uint(after.write_bytes - before.write_bytes, write_bytes);
}

/* Bytes per second of the tasks @first to @last between two points. */
static double rate_of(const struct point *from, const struct point *to, size_t first, size_t last) {
        uint64_t bytes = 0;

        for (size_t i = first; i <= last; i++)
                bytes += to->bytes[i] - from->bytes[i];
        return (double)bytes * 1e3 / (double)(to->ms - from->ms);
}

/* The tasks 0 to @last together are held to this. */
static void expect_held(struct guest *guest, const char *text, size_t last, double wanted) {
        bool good = false;

        for (int try = 0; try < TRIES && !good; try++) {
                struct run run;
                double rate;

                order(guest, text, &run);
                rate = rate_of(&run.tick[0], &run.end, 0, last);
                unit_note("  %.2f MB/s of %.2f", rate / 1e6, wanted / 1e6);
                expect_within(rate, 0, 1.1 * wanted);
                good = rate >= 0.9 * wanted;
                for (size_t i = 0; i <= last; i++)
                        expect(run.end.bytes[i] > 0);
        }
        expect_that(good, "'%s' comes near %.0f", text, wanted);
}

#define DRIVE(more) "-drive", "if=virtio,format=raw,cache=none," more

static void a_linux_guest_in_qemu_is_held_to_its_claim_on_all_its_disks(void) {
        struct house house;
        struct guest guest;

        disk_open(&house, CONF "BurstBy=none\n");
        boot(&guest,
             (const char *const[]){"--disk-image", A, "--disk-image", B, "--disk-io", "2MB/s",
                                   NULL},
             (const char *const[]){DRIVE("aio=native,file={disk.0}"),
                                   DRIVE("aio=threads,file={disk.1}"), NULL},
             "vda,vdb");
        need_io_max(&guest, 2000000);
        expect_held(&guest, "4 read:vda", 0, 2e6);
        expect_held(&guest, "4 write:vda", 0, 2e6);
        expect_held(&guest, "4 read:vda read:vdb", 1, 2e6);
        expect_held(&guest, "4 write:vda write:vdb", 1, 2e6);
        need_io_max(&guest, 2000000);
        switch_off(&guest);
        house_close(&house);
}

/* The broker's bucket holds 2 MB beyond the claim, and it looks once in a second. */
static void the_brokers_bucket_ends_the_burst_of_a_guest_and_stalls_it_for_a_moment_only(void) {
        uint64_t gap = 0;
        struct house house;
        struct guest guest;
        struct run run;

        disk_open(&house, CONF "Burst=2\nBurstTime=1s\n");
        boot(&guest,
             (const char *const[]){"--disk-image", A, "--disk-image", B, "--disk-io", "2MB/s",
                                   NULL},
             (const char *const[]){DRIVE("aio=native,file={disk.0}"),
                                   DRIVE("aio=threads,file={disk.1}"), NULL},
             "vda,vdb");
        need_io_max(&guest, 4000000);
        order(&guest, "6 read:vda write:vdb", &run);
        for (unsigned i = 1; i <= run.n_ticks; i++) {
                unit_note("  %ju ms: %ju %ju", (uintmax_t)run.tick[i].ms,
                          (uintmax_t)run.tick[i].bytes[0], (uintmax_t)run.tick[i].bytes[1]);
                if (run.tick[i].ms - run.tick[i - 1].ms > gap)
                        gap = run.tick[i].ms - run.tick[i - 1].ms;
        }
        need_io_max(&guest, 2000000);
        expect_within(gap, 0, 1600);
        for (size_t i = 0; i < 2; i++)
                expect_within(run.end.bytes[i], 0, 1.1 * (2e3 * (double)run.end.ms + 4e6));
        expect_held(&guest, "4 read:vda", 0, 2e6);
        expect_held(&guest, "4 write:vdb", 0, 2e6);
        /* The same for the slice above it. */
        house_slice("t", HOUSE_SLICE "[Slice]\nDiskIO=1MB/s\n");
        house_reload(&house);
        poll(NULL, 0, 1000);
        expect_held(&guest, "4 read:vda", 0, 1e6);
        switch_off(&guest);
        house_close(&house);
}

#define CLAIM 1e6
#define CEILING 4e6
#define BUCKET 8e6 /* QEMU's: the ceiling for BurstTime, and it leaks at the claim */

/* Never above the ceiling, and never more than the claim and the bucket; at first near the one, at
 * last near the other. Too slow a guest has something left in its bucket. */
static bool bursts(const char *what, const struct run *run, size_t first, size_t last) {
        const struct point *zero = &run->tick[0], *empty = &run->tick[run->n_ticks - 5];
        double used = rate_of(zero, empty, first, last) * (double)empty->ms / 1e3;
        bool good = used >= 0.98 * (BUCKET + CLAIM * (double)empty->ms / 1e3);
        double at_last = rate_of(empty, &run->end, first, last);

        unit_note("  %s: %.2f of %.2f MB/s at first, %.2f of %.2f at last%s", what,
                  rate_of(zero, &run->tick[2], first, last) / 1e6, CEILING / 1e6, at_last / 1e6,
                  CLAIM / 1e6, good ? "" : ": it was too slow to empty its bucket");
        for (unsigned i = 1; i <= run->n_ticks; i++) {
                double s = (double)run->tick[i].ms / 1e3;
                double bytes = rate_of(zero, &run->tick[i], first, last) * s;

                expect_within(bytes, 0, 1.1 * CEILING * s);
                expect_within(bytes, 0, 1.1 * (BUCKET + CLAIM * s));
        }
        if (good)
                expect_within(at_last, 0, 1.1 * CLAIM);
        return good && rate_of(zero, &run->tick[2], first, last) >= 0.9 * CEILING &&
               at_last >= 0.9 * CLAIM;
}

static void qemu_that_keeps_the_bucket_itself_stands_before_a_wall_at_the_ceiling(void) {
        bool good = false;
        struct house house;
        struct guest guest;
        struct run run;

        disk_open(&house, CONF "BurstBy=hypervisor\nBurst=4\nBurstTime=2s\n");
        /* The third is one whose throttle the hypervisor forgot. */
        boot(&guest,
             (const char *const[]){"--disk-image", A, "--disk-image", B, "--disk-image", C,
                                   "--disk-io", "1MB/s", NULL},
             (const char *const[]){DRIVE("file={disk.0},{disk.0.throttle}"),
                                   DRIVE("file={disk.1},{disk.1.throttle}"), DRIVE("file={disk.2}"),
                                   NULL},
             "vda,vdb,vdc");
        for (int try = 0; try < TRIES && !good; try++) {
                if (try > 0)
                        poll(NULL, 0, 9000); /* until QEMU's bucket is full again */
                order(&guest, "10 read:vda read:vdb write:vda", &run);
                need_int(run.n_ticks, 10);
                good = bursts("reads of both", &run, 0, 1);
                good &= bursts("writes", &run, 2, 2);
        }
        expect_that(good, "the guest comes near its ceiling and its claim");
        need_io_max(&guest, 4000000);
        expect_held(&guest, "4 read:vdc", 0, CEILING);
        expect_held(&guest, "4 write:vdc", 0, CEILING);
        need_io_max(&guest, 4000000);
        switch_off(&guest);
        house_close(&house);
}

UNIT_MAIN(TEST(a_linux_guest_in_qemu_is_held_to_its_claim_on_all_its_disks),
          TEST(the_brokers_bucket_ends_the_burst_of_a_guest_and_stalls_it_for_a_moment_only),
          TEST(qemu_that_keeps_the_bucket_itself_stands_before_a_wall_at_the_ceiling), )
