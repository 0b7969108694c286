/* SPDX-License-Identifier: MIT */
/* rig: --mem 1G --disk 512M --disk 512M --timeout 300 */
/*
 * A VM's disk I/O from the claim to its end, on two disks: vda has a file system of its own, that
 * of vdb lies on a partition. What is measured is fio's own figure, or the kernel's io.stat.
 * Longer than other tests: one feature, and its tests share the ways to look at a disk.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "house.h"
#include "links.h"

#define MB UINT64_C(1000000)
#define CONF_OF(disk)                                                                              \
        "[Capacity]\nCPU=4\nMemory=600M\nDisk=1G\nDiskIO=20MB/s\n[Ratio]\nCPU=1\nDiskIO=1\n"       \
        "[Claim]\nCPU=0.1\nMemory=16M\nDiskIO=0\nNetwork=0\n[Enforce]\nMemoryOverhead=0\n"         \
        "[Disk]\n" disk
#define CONF CONF_OF("BurstBy=none\n")
#define BEST "[Broker]\nBestEffort=yes\n"

#define A "/run/d0/a.img"
#define B "/run/d0/b.img"
#define C "/run/d1/c.img"

#define RUN(...) "provium", "run", "--slice", "t", __VA_ARGS__
#define REST(name, image, rate)                                                                    \
        RUN("--detach", "--name", name, "--disk-image", image, "--disk-io", rate, "--", "vm",      \
            "rest")

/* The disks with their file systems and images, and none of the loop devices of an earlier test. */
static void disks_open(struct house *house, const char *conf, const char *slice) {
        const char *disks = getenv("RIG_DISKS");

        if (!disks || !strchr(disks, ' '))
                unit_skip("the rig has not two disks");
        sh("set -e; exec 2>&1; export PATH=$PATH:/sbin:/usr/sbin; losetup -D; set -- $RIG_DISKS;"
           "if ! mountpoint -q /run/d0; then mkdir -p /run/d0 /run/d1;"
           "  mkfs.ext4 -qF $1; mount $1 /run/d0;"
           "  addpart $2 1 2048 1000000; mkfs.ext4 -qF ${2}1; mount ${2}1 /run/d1;"
           "  for f in " A " " B " " C "; do"
           "    dd if=/dev/zero of=$f bs=1M count=32 oflag=direct status=none; done;"
           "fi");
        house_open(house, conf, slice);
}

/* ---- what to look at ---- */

static const char *dev_of(const char *disk, char dev[16]) {
        char path[64];

        snprintf(path, sizeof(path), "/sys/class/block/%s/dev", disk);
        file_get(path, dev, 16);
        return dev;
}

/* A file of the group of a VM, for what is read often. */
static char *file_of(const char *vm, const char *name) {
        char *dir = vm_path(vm), *path = malloc(1200);

        snprintf(path, 1200, "%s/%s", dir, name);
        free(dir);
        return path;
}

/* io.max has lines with these limits for these disks ("vda loop0"), and no other. */
static bool io_max_is(const char *path, const char *disks, const char *limits, char *is,
                      size_t size) {
        char list[64], dev[16], line[160], *save = NULL;
        size_t n = 0, lines = 0;

        file_get(path, is, size);
        for (const char *at = is; *at; at = strchrnul(at + 1, '\n'))
                lines++;
        snprintf(list, sizeof(list), "%s", disks);
        for (char *disk = strtok_r(list, " ", &save); disk; disk = strtok_r(NULL, " ", &save)) {
                snprintf(line, sizeof(line), "%s %s", dev_of(disk, dev), limits);
                if (!strstr(is, line))
                        return false;
                n++;
        }
        return n == lines;
}

static void expect_io_max(const char *vm, const char *disks, const char *limits) {
        char *path = file_of(vm, "io.max"), is[1024];

        expect_that(io_max_is(path, disks, limits, is, sizeof(is)), "io.max is '%s' for %s: '%s'",
                    limits, disks, is);
        free(path);
}

/* "rbps=N wbps=N riops=max wiops=max" */
static const char *both(uint64_t rate, char text[96]) {
        snprintf(text, 96, "rbps=%ju wbps=%ju riops=max wiops=max", (uintmax_t)rate,
                 (uintmax_t)rate);
        return text;
}

struct awaited {
        const char *path, *disks;
        char limits[96], is[1024];
};

static bool is_in_force(void *userdata) {
        struct awaited *awaited = userdata;

        return io_max_is(awaited->path, awaited->disks, awaited->limits, awaited->is,
                         sizeof(awaited->is));
}

/* How long until this rate is in force on vda, in ms. */
static uint64_t wait_rate(const char *path, uint64_t rate, int timeout_ms) {
        struct awaited awaited = {.path = path, .disks = "vda"};
        uint64_t begin = now_ms();

        both(rate, awaited.limits);
        need_that(wait_until(is_in_force, &awaited, timeout_ms), "%s is in force in %d ms: '%s'",
                  awaited.limits, timeout_ms, awaited.is);
        return now_ms() - begin;
}

/* The number behind " KEY=" in the line of the disk in an io.stat; 0: none. */
static uint64_t io_stat(const char *path, const char *disk, const char *key) {
        char text[2048], dev[16], name[32], *line, *at;

        file_get(path, text, sizeof(text));
        line = strstr(text, dev_of(disk, dev));
        if (!line)
                return 0;
        line[strcspn(line, "\n")] = '\0';
        snprintf(name, sizeof(name), " %s=", key);
        at = strstr(line, name);
        return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

/* Bytes per second over the next @ms. */
static double written_per_s(const char *path, int ms) {
        uint64_t begin = now_us(), bytes = io_stat(path, "vda", "wbytes");

        poll(NULL, 0, ms); /* the measurement */
        return (double)(io_stat(path, "vda", "wbytes") - bytes) * 1e6 / (double)(now_us() - begin);
}

/* The upper bound holds each time, the lower one for the best of three. */
static void expect_rate(const char *what, const char *stat, int ms, double wanted) {
        double best = 0;

        for (int try = 0; try < 3 && best < 0.9 * wanted; try++) {
                double rate = written_per_s(stat, ms);

                unit_note("%s: %.2f MB/s of %.2f", what, rate / 1e6, wanted / 1e6);
                expect_within(rate, 0, 1.1 * wanted);
                best = rate > best ? rate : best;
        }
        expect_within(best, 0.9 * wanted, 1.1 * wanted);
}

static int pid_of(const char *vm) {
        json_t *reply = ask("Show", json_pack("{s:s}", "vm", vm));
        int pid = (int)json_integer_value(json_object_get(
                json_object_get(json_object_get(reply, "parameters"), "vm"), "pid"));

        json_decref(reply);
        need(pid > 0);
        return pid;
}

static bool is_stuck(void *userdata) {
        char path[64], text[512];

        snprintf(path, sizeof(path), "/proc/%d/stat", *(int *)userdata);
        file_get(path, text, sizeof(text));
        return strstr(text, ") D ");
}

/* The writer's words since it was last asked. */
static void ask_writer(struct job *job, int pid, uint64_t *bytesp, uint64_t *gap_usp) {
        char *at;

        job_drain(job);
        job->n_out = 0;
        job->out[0] = '\0';
        kill(pid, SIGUSR1);
        job_wait_out(job, "gap_us");
        at = strstr(job->out, "bytes ");
        need(at != NULL);
        if (bytesp)
                *bytesp = strtoull(at + 6, NULL, 10);
        if (gap_usp)
                *gap_usp = strtoull(strstr(at, "gap_us ") + 7, NULL, 10);
}

static void end(const char *vm) {
        struct job job;

        expect_int(SHELL(&job, "provium", "kill", vm, "--grace", "0s"), 0);
}

static int run_claim(const char *vm, const char *image, const char *more, const char *rate) {
        struct job job;

        return more ? SHELL(&job, RUN("--detach", "--no-wait", "--name", vm, "--disk-image", image,
                                      "--disk-image", more, "--disk-io", rate, "--", "vm", "rest"))
                    : SHELL(&job, RUN("--detach", "--no-wait", "--name", vm, "--disk-image", image,
                                      "--disk-io", rate, "--", "vm", "rest"));
}

/* ---- fio ---- */

/* fio's own JSON, in a file of the VM's name, with the words that all runs share. */
static void fio_start(struct job *job, const char *vm, const char *const *claim,
                      const char *const *more) {
        const char *words[64];
        char output[64];
        size_t n = 0;

        snprintf(output, sizeof(output), "--output=/run/%s.json", vm);
        for (const char *const *word =
                     (const char *const[]){RUN("--name", vm, "--cpus", "1", "--mem", "120M", NULL)};
             *word; word++)
                words[n++] = *word;
        for (; *claim; claim++)
                words[n++] = *claim;
        for (const char *const *word =
                     (const char *const[]){"--", "fio", "--thread", "--direct=1",
                                           "--ioengine=psync", "--bs=64k", "--time_based",
                                           "--output-format=json", output, NULL};
             *word; word++)
                words[n++] = *word;
        for (; *more; more++)
                words[n++] = *more;
        words[n] = NULL;
        unlink(strchr(output, '/'));
        job_start(job, words);
}
#define WORDS(...)                                                                                 \
        (const char *const[]) {                                                                    \
                __VA_ARGS__, NULL                                                                  \
        }

/* Of its jobs together, in bytes or operations per second. */
static double fio_figure(const char *vm, const char *way, const char *figure) {
        char path[64];
        const json_t *job;
        double sum = 0;
        json_t *root;
        size_t i;

        snprintf(path, sizeof(path), "/run/%s.json", vm);
        root = json_load_file(path, 0, NULL);
        need_that(root != NULL, "fio has written %s", path);
        json_array_foreach(json_object_get(root, "jobs"), i, job)
                sum += json_number_value(json_object_get(json_object_get(job, way), figure));
        json_decref(root);
        return sum;
}

struct best {
        double read, write;
};

/* The upper bound holds each time, the lower one for the best. */
static void note_try(struct best *best, const char *vm, const char *figure, double read,
                     double write) {
        double is_read = fio_figure(vm, "read", figure), is_write = fio_figure(vm, "write", figure);

        unit_note("%s: read %.0f, write %.0f of %.0f, %.0f", vm, is_read, is_write, read, write);
        expect_within(is_read, 0, 1.1 * read);
        expect_within(is_write, 0, 1.1 * write);
        best->read = is_read > best->read ? is_read : best->read;
        best->write = is_write > best->write ? is_write : best->write;
}

static bool is_enough(const struct best *best, double read, double write) {
        return best->read >= 0.9 * read && best->write >= 0.9 * write;
}

/* ---- the limit ---- */

static void a_vm_reads_and_writes_at_its_claim_after_the_burst(void) {
        static const char *const rates[] = {"2MB/s", "10MB/s"};
        static const double wanted[] = {2e6, 10e6};
        struct house house;
        struct job job;

        disks_open(&house, CONF_OF("Burst=2\nBurstTime=1s\n"), NULL);
        for (int i = 0; i < 2; i++) {
                struct best best = {};

                for (int try = 0; try < 3 && !is_enough(&best, wanted[i], wanted[i]); try++) {
                        fio_start(&job, "fio", WORDS("--disk-image", A, "--disk-io", rates[i]),
                                  WORDS("--filename={disk.0}", "--ramp_time=2", "--runtime=3",
                                        "--size=32M", "--name=r", "--rw=read", "--name=w",
                                        "--rw=write"));
                        expect_int(job_wait(&job, 40000), 0);
                        note_try(&best, "fio", "bw_bytes", wanted[i], wanted[i]);
                }
                expect(is_enough(&best, wanted[i], wanted[i]));
        }
        house_close(&house);
}

static void operations_reads_and_writes_have_limits_of_their_own(void) {
        struct best best = {};
        struct house house;
        struct job job;

        disks_open(&house, CONF, NULL);
        for (int try = 0; try < 3 && !is_enough(&best, 200, 200); try++) {
                fio_start(&job, "iops",
                          WORDS("--disk-image", A, "--disk-io", "10MB/s", "--disk-iops", "200"),
                          WORDS("--filename={disk.0}", "--runtime=3", "--size=32M", "--bs=4k",
                                "--name=r", "--rw=read", "--name=w", "--rw=write"));
                expect_int(job_wait(&job, 40000), 0);
                note_try(&best, "iops", "iops", 200, 200);
        }
        expect(is_enough(&best, 200, 200));
        best = (struct best){};
        for (int try = 0; try < 3 && !is_enough(&best, 4e6, 1e6); try++) {
                fio_start(&job, "ways",
                          WORDS("--disk-image", A, "--disk-read", "4MB/s", "--disk-write", "1MB/s"),
                          WORDS("--filename={disk.0}", "--runtime=3", "--size=32M", "--name=r",
                                "--rw=read", "--name=w", "--rw=write"));
                expect_int(job_wait(&job, 40000), 0);
                note_try(&best, "ways", "bw_bytes", 4e6, 1e6);
        }
        expect(is_enough(&best, 4e6, 1e6));
        house_close(&house);
}

static void io_max_has_all_four_keys_for_exactly_the_whole_disks(void) {
        struct house house;
        struct job job;
        char text[96];

        disks_open(&house, CONF, NULL);
        both(MB, text);
        expect_int(SHELL(&job, REST("whole", A, "1MB/s")), 0);
        expect_io_max("whole", "vda", text);
        expect_int(SHELL(&job, REST("part", C, "1MB/s")), 0);
        expect_io_max("part", "vdb", text);
        expect_int(SHELL(&job, REST("device", "/dev/vdb1", "1MB/s")), 0);
        expect_io_max("device", "vdb", text);
        /* A loop device makes requests of its own: it is limited, and so is what lies below. */
        sh("losetup /dev/loop0 " C);
        expect_int(SHELL(&job, REST("loop", "/dev/loop0", "1MB/s")), 0);
        expect_io_max("loop", "loop0 vdb", text);
        expect_int(SHELL(&job, RUN("--detach", "--name", "fine", "--disk-image", A, "--disk-read",
                                   "3MB/s", "--disk-write", "2MB/s", "--disk-iops", "150", "--",
                                   "vm", "rest")),
                   0);
        expect_io_max("fine", "vda", "rbps=3000000 wbps=2000000 riops=150 wiops=150");
        house_end_all(&house);
        sh("losetup -d /dev/loop0");
        house_close(&house);
}

static void images_on_one_disk_share_a_limit_and_each_vm_has_its_own(void) {
        struct best one = {}, two = {};
        struct house house;
        struct job jobs[2];

        disks_open(&house, CONF, NULL);
        for (int try = 0; try < 3 && !(is_enough(&one, 0, 3e6) && is_enough(&two, 0, 2e6)); try++) {
                fio_start(&jobs[0], "one",
                          WORDS("--disk-image", A, "--disk-image", B, "--disk-io", "3MB/s"),
                          WORDS("--runtime=4", "--size=32M", "--rw=write", "--name=a",
                                "--filename={disk.0}", "--name=b", "--filename={disk.1}"));
                fio_start(&jobs[1], "two", WORDS("--disk-image", B, "--disk-io", "2MB/s"),
                          WORDS("--runtime=4", "--size=16M", "--rw=write", "--offset=16M",
                                "--name=c", "--filename={disk.0}"));
                expect_int(job_wait(&jobs[0], 60000), 0);
                expect_int(job_wait(&jobs[1], 60000), 0);
                note_try(&one, "one", "bw_bytes", 0, 3e6);
                note_try(&two, "two", "bw_bytes", 0, 2e6);
        }
        expect(is_enough(&one, 0, 3e6) && is_enough(&two, 0, 2e6));
        house_close(&house);
}

/* ---- the books ---- */

/* What is sold of a disk, by the broker's own word; -1: it is not listed. */
static json_int_t sold_of(const char *disk) {
        json_t *reply = ask("Resources", NULL);
        const json_t *disks = json_object_get(
                json_object_get(json_object_get(reply, "parameters"), "resources"), "disks");
        json_int_t sold = -1;
        const json_t *item;
        size_t i;

        json_array_foreach(disks, i, item)
                if (strcmp(json_string_value(json_object_get(item, "disk")), disk) == 0)
                        sold = json_integer_value(json_object_get(item, "allocated"));
        json_decref(reply);
        return sold;
}

static void each_disk_is_limited_and_charged_by_itself(void) {
        struct house house;
        struct job job;
        char text[96];

        disks_open(&house, CONF, NULL);
        expect_int(run_claim("a", A, NULL, "15MB/s"), 0);
        expect_int(run_claim("c", C, NULL, "10MB/s"), 0);
        expect_int(sold_of("vda"), 15 * MB);
        expect_int(sold_of("vdb"), 10 * MB);
        /* On both: too much for the one, not for the other. */
        expect_int(run_claim("no", A, C, "10MB/s"), 75);
        expect_int(sold_of("vda"), 15 * MB);
        expect_int(sold_of("vdb"), 10 * MB);
        expect_int(run_claim("no", A, NULL, "6MB/s"), 75);
        expect_int(run_claim("both", A, C, "5MB/s"), 0);
        expect_io_max("both", "vda vdb", both(5 * MB, text));
        expect_int(sold_of("vda"), 20 * MB);
        expect_int(sold_of("vdb"), 15 * MB);
        expect_int(run_claim("no", A, NULL, "1kB/s"), 75);
        expect_int(run_claim("d", C, NULL, "5MB/s"), 0);
        expect_int(run_claim("no", C, NULL, "1kB/s"), 75);
        expect_int(SHELL(&job, "provium", "resources"), 0);
        expect_in(job.out, "vda");
        expect_in(job.out, "vdb");
        /* The next broker finds the same. */
        house_kill(&house);
        house_start(&house);
        expect_int(sold_of("vda"), 20 * MB);
        expect_int(sold_of("vdb"), 20 * MB);
        end("a");
        end("d");
        expect_int(sold_of("vda"), 5 * MB);
        expect_int(sold_of("vdb"), 15 * MB);
        expect_int(run_claim("again", A, C, "5MB/s"), 0);
        house_close(&house);
}

static void a_slice_has_a_limit_on_its_own_group(void) {
        struct house house;
        struct job jobs[2], job;
        char text[1024], *dir, path[1300], wanted[128], dev[16];

        disks_open(&house, CONF_OF("Burst=4\nBurstTime=60s\n"),
                   HOUSE_SLICE "[Slice]\nDiskIO=3MB/s\n");
        for (int i = 0; i < 2; i++) {
                JOB(&jobs[i],
                    RUN("--name", i ? "two" : "one", "--cpus", "1", "--disk-image", i ? B : A,
                        "--disk-io", "1500kB/s", "--", "diskvm", "write", "{disk.0}", "64"));
                job_wait_out(&jobs[i], "ready");
        }
        expect_int(SHELL(&job, RUN("--no-wait", "--disk-image", A, "--disk-io", "1kB/s", "--", "vm",
                                   "exit", "0")),
                   75);
        dir = vm_path("one");
        *strrchr(dir, '/') = '\0';
        snprintf(path, sizeof(path), "%s/io.max", dir);
        file_get(path, text, sizeof(text));
        snprintf(wanted, sizeof(wanted), "%s rbps=3000000 wbps=3000000 riops=max wiops=max",
                 dev_of("vda", dev));
        expect_str(text, wanted);
        snprintf(path, sizeof(path), "%s/io.stat", dir);
        expect_rate("two VMs at a ceiling of 6 MB/s each, in a slice of 3", path, 3000, 3e6);
        free(dir);
        house_close(&house);
}

static bool drift_is_told(struct news *news, const char *what, const char *name) {
        uint64_t until = now_ms() + 5000;
        const json_t *event;

        while (now_ms() < until && (event = news_next(news, 5000)))
                if (strcmp(json_string_value(json_object_get(event, "kind")), "drift") == 0 &&
                    strcmp(json_string_value(json_object_get(event, what)) ?: "", name) == 0)
                        return true;
        return false;
}

/* The slice's own line is to hold these limits for vda, soon; NULL: there is none. */
static bool slice_line_is(void *userdata) {
        struct awaited *awaited = userdata;
        char dev[16];

        file_get(awaited->path, awaited->is, sizeof(awaited->is));
        dev_of("vda", dev);
        return awaited->limits[0] ? strstr(awaited->is, dev) && strstr(awaited->is, awaited->limits)
                                  : !strstr(awaited->is, dev);
}

static void a_slices_limit_follows_the_policy_and_is_put_back_under_load(void) {
        struct awaited awaited = {};
        char *dir, path[1300], stat[1300], line[96], dev[16];
        struct house house;
        struct news news;
        struct job job;

        disks_open(&house, CONF, HOUSE_SLICE "[Slice]\nDiskIO=3MB/s\n");
        JOB(&job, RUN("--name", "one", "--cpus", "1", "--disk-image", A, "--disk-io", "3MB/s", "--",
                      "diskvm", "write", "{disk.0}", "64"));
        job_wait_out(&job, "ready");
        dir = vm_path("one");
        *strrchr(dir, '/') = '\0';
        snprintf(path, sizeof(path), "%s/io.max", dir);
        snprintf(stat, sizeof(stat), "%s/io.stat", dir);
        free(dir);
        awaited.path = path;
        both(3 * MB, awaited.limits);
        expect_that(slice_line_is(&awaited), "'%s'", awaited.is);
        house_slice("t", HOUSE_SLICE "[Slice]\nDiskIO=1MB/s\n");
        house_reload(&house);
        both(MB, awaited.limits);
        need_that(wait_until(slice_line_is, &awaited, 5000), "'%s'", awaited.is);
        poll(NULL, 0, 1000); /* what was on its way by the old limit */
        expect_rate("a VM of 3 MB/s in a slice of 1", stat, 3000, 1e6);
        news_open(&news);
        snprintf(line, sizeof(line), "%s wbps=max rbps=max", dev_of("vda", dev));
        need_int(file_put(path, line), 0);
        expect(drift_is_told(&news, "slice", "t"));
        need_that(wait_until(slice_line_is, &awaited, 5000), "'%s'", awaited.is);
        news_close(&news);
        expect_rate("put back", stat, 3000, 1e6);
        house_slice("t", HOUSE_SLICE);
        house_reload(&house);
        awaited.limits[0] = '\0';
        need_that(wait_until(slice_line_is, &awaited, 5000), "'%s'", awaited.is);
        poll(NULL, 0, 1000);
        expect_rate("a slice without a limit", stat, 3000, 3e6);
        /* A broker that ended in the step leaves a frozen slice. */
        snprintf(path + strlen(path) - strlen("io.max"), 20, "cgroup.freeze");
        house_kill(&house);
        need_int(file_put(path, "1"), 0);
        house_start(&house);
        expect_rate("thawed by the next broker", stat, 3000, 3e6);
        house_close(&house);
}

/* ---- the burst ---- */

static void a_burst_lasts_until_the_bucket_is_empty_and_comes_back_after_quiet(void) {
        char *max, *stat, *text, limits[96];
        uint64_t begin, ms;
        struct house house;
        struct job job;
        double rate;
        int pid;

        /* 3 x 1 MB/s x 3 s in the bucket. */
        disks_open(&house, CONF_OF("Burst=4\nBurstTime=3s\nBurstQuiet=1s\n"), NULL);
        JOB_RUN(&job, "--name", "web", "--cpus", "1", "--disk-image", A, "--disk-io", "1MB/s", "--",
                "diskvm", "write", "{disk.0}", "128");
        job_wait_out(&job, "ready");
        begin = now_ms();
        max = file_of("web", "io.max");
        stat = file_of("web", "io.stat");
        pid = pid_of("web");
        expect_io_max("web", "vda", both(4 * MB, limits));
        text = shown("web", "limits", "disk_io.burst");
        expect_in(text, "at the ceiling");
        free(text);
        rate = written_per_s(stat, 2000);
        unit_note("in the burst: %.2f MB/s of 4", rate / 1e6);
        expect_within(rate, 0.7 * 4e6, 1.1 * 4e6);
        wait_rate(max, MB, 20000);
        ms = now_ms() - begin;
        unit_note("the bucket of 3 s was empty after %ju ms", (uintmax_t)ms);
        /* As long as what it could move on this machine takes. */
        expect_within(ms, 2500, 1.2 * 9e9 / (rate - 1e6) + 1000);
        text = shown("web", "limits", "disk_io.burst");
        expect_in(text, "until it is quiet");
        free(text);
        expect_rate("afterwards", stat, 3000, 1e6);
        kill(pid, SIGUSR2);
        ms = wait_rate(max, 4 * MB, 4000);
        unit_note("at the ceiling again after %ju ms of quiet, BurstQuiet=1s", (uintmax_t)ms);
        text = shown("web", "limits", "disk_io.burst");
        expect_in(text, "8.58"); /* MiB, of 9 MB */
        free(text);
        kill(pid, SIGUSR2);
        rate = written_per_s(stat, 2000);
        expect_within(rate, 0.7 * 4e6, 1.1 * 4e6);
        free(max);
        free(stat);
        house_close(&house);
}

/* Small blocks: of its bytes the VM uses next to nothing. */
static void a_burst_of_operations_ends_too(void) {
        struct awaited awaited = {
                .disks = "vda",
                .limits = "rbps=10000000 wbps=10000000 riops=20 wiops=20",
        };
        struct house house;
        struct job job;
        char *max;

        disks_open(&house, CONF_OF("Burst=4\nBurstTime=1s\n"), NULL);
        JOB_RUN(&job, "--name", "web", "--cpus", "1", "--disk-image", A, "--disk-io", "10MB/s",
                "--disk-iops", "20", "--", "diskvm", "write", "{disk.0}", "4");
        job_wait_out(&job, "ready");
        expect_io_max("web", "vda", "rbps=40000000 wbps=40000000 riops=80 wiops=80");
        awaited.path = max = file_of("web", "io.max");
        expect_that(wait_until(is_in_force, &awaited, 6000), "it ends: '%s'", awaited.is);
        free(max);
        house_close(&house);
}

static void an_upgrade_in_a_burst_loses_nothing_of_the_bucket(void) {
        uint64_t begin, ms, before;
        struct house house;
        struct job job, upgrade;
        char *max, *stat;
        double moved;

        /* 3 x 2 MB/s x 5 s: 30 MB beyond the claim. */
        disks_open(&house, CONF_OF("Burst=4\nBurstTime=5s\nBurstQuiet=60s\n"), NULL);
        JOB_RUN(&job, "--detach", "--name", "web", "--cpus", "1", "--disk-image", A, "--disk-io",
                "2MB/s", "--", "diskvm", "write", "{disk.0}", "128");
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 0);
        begin = now_ms();
        max = file_of("web", "io.max");
        stat = file_of("web", "io.stat");
        before = io_stat(stat, "vda", "wbytes");
        poll(NULL, 0, 2000); /* a part of it is used */
        expect_int(SHELL(&upgrade, "provium", "upgrade"), 0);
        wait_rate(max, 2 * MB, 30000);
        ms = now_ms() - begin;
        moved = (double)(io_stat(stat, "vda", "wbytes") - before) - 2e3 * (double)ms;
        unit_note("%.1f MB beyond the claim in %ju ms, of 30 MB", moved / 1e6, (uintmax_t)ms);
        /* One look more than the bucket holds, or the rest that the last look expected. */
        expect_within(moved, 0.8 * 30e6, 30e6 + 6e6);
        free(max);
        free(stat);
        house_close(&house);
}

static void a_broker_killed_in_a_burst_is_followed_by_one_that_ends_it(void) {
        uint64_t begin, ready, ms;
        struct house house;
        char *max, *stat;
        struct job job;

        disks_open(&house, CONF_OF("Burst=4\nBurstTime=60s\n"), NULL);
        JOB(&job, RUN("--detach", "--name", "web", "--cpus", "1", "--disk-image", A, "--disk-io",
                      "1MB/s", "--", "diskvm", "write", "{disk.0}", "64"));
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 0);
        max = file_of("web", "io.max");
        stat = file_of("web", "io.stat");
        house_kill(&house);
        expect_rate("without a broker", stat, 2500, 4e6);
        begin = now_ms();
        house_start(&house);
        ready = now_ms() - begin;
        ms = wait_rate(max, MB, 3000);
        unit_note("ready %ju ms after its start, the claim in force %ju ms later", (uintmax_t)ready,
                  (uintmax_t)ms);
        expect(ms < 2000);
        expect_rate("then", stat, 3000, 1e6);
        free(max);
        free(stat);
        house_close(&house);
}

static void a_reload_changes_the_bursts_of_those_who_run_and_wait(void) {
        struct house house;
        struct job hog, job, next;
        char *max, limits[96];

        disks_open(&house, CONF_OF("Burst=4\nBurstTime=60s\n"), NULL);
        expect_int(SHELL(&job, REST("web", A, "1MB/s")), 0);
        JOB_RUN(&hog, "--name", "hog", "--cpus", "3.9", "--", "vm", "rest");
        job_wait_out(&hog, "ready");
        JOB_RUN(&next, "--name", "next", "--disk-image", C, "--disk-io", "1MB/s", "--", "vm",
                "rest");
        for (int n = 0; n < 400 && count_waiting() < 1; n++)
                poll(NULL, 0, 10);
        max = file_of("web", "io.max");
        expect_io_max("web", "vda", both(4 * MB, limits));
        house_conf(CONF_OF("Burst=2\nBurstTime=60s\n"));
        house_reload(&house);
        wait_rate(max, 2 * MB, 3000);
        house_conf(CONF);
        house_reload(&house);
        wait_rate(max, MB, 3000);
        /* Nobody has counted: first it must be quiet. */
        house_conf(CONF_OF("Burst=3\nBurstTime=60s\nBurstQuiet=1s\n"));
        house_reload(&house);
        expect_io_max("web", "vda", both(MB, limits));
        wait_rate(max, 3 * MB, 4000);
        end("hog");
        job_wait_out(&next, "ready");
        expect_io_max("next", "vdb", both(3 * MB, limits));
        expect(!house_log_has("io.max should be"));
        free(max);
        house_close(&house);
}

/* ---- the frozen step ---- */

static bool is_thawed(void *userdata) {
        char text[256];

        file_get(userdata, text, sizeof(text));
        return strstr(text, "frozen 0");
}

static bool reads_one(void *userdata) {
        char text[16];

        file_get(userdata, text, sizeof(text));
        return strcmp(text, "1") == 0;
}

/* A VM whose one block takes three seconds, in which it cannot freeze. */
static void start_stuck(struct job *job, const char *count) {
        int pid;

        JOB_RUN(job, "--name", "web", "--cpus", "1", "--disk-image", A, "--disk-io", "350kB/s",
                "--", "diskvm", "write", "{disk.0}", "1024", count);
        job_wait_out(job, "ready");
        pid = pid_of("web");
        need(wait_until(is_stuck, &pid, 3000));
}

static void a_broker_killed_in_a_step_is_followed_by_one_that_thaws(void) {
        char *freeze, *max, *events;
        struct house house;
        struct job job, resize;
        int pid;

        disks_open(&house, CONF, NULL);
        start_stuck(&job, "1");
        freeze = file_of("web", "cgroup.freeze");
        events = file_of("web", "cgroup.events");
        max = file_of("web", "io.max");
        pid = pid_of("web");
        expect_int(SHELL(&resize, "provium", "resize", "web", "--disk-io", "2MB/s"), 0);
        need(wait_until(reads_one, freeze, 4000));
        house_kill(&house);
        expect(reads_one(freeze));
        house_start(&house);
        /* What was promised comes into force, and the VM goes on. */
        wait_rate(max, 2 * MB, 8000);
        expect(wait_until(is_thawed, events, 2000));
        expect(!reads_one(freeze));
        /* Whoever wrote it, and whenever. */
        house_kill(&house);
        need_int(file_put(freeze, "1"), 0);
        house_start(&house);
        expect(wait_until(is_thawed, events, 2000));
        expect(!reads_one(freeze));
        kill(pid, SIGUSR1);
        expect_int(kill(pid, 0), 0);
        free(freeze);
        free(events);
        free(max);
        house_close(&house);
}

static void a_broker_that_stops_in_a_step_leaves_nothing_frozen(void) {
        struct house house;
        struct job job, resize;
        char *freeze;

        disks_open(&house, CONF, NULL);
        start_stuck(&job, "1");
        freeze = file_of("web", "cgroup.freeze");
        expect_int(SHELL(&resize, "provium", "resize", "web", "--disk-io", "2MB/s"), 0);
        need(wait_until(reads_one, freeze, 4000));
        house_stop(&house);
        expect(!reads_one(freeze));
        free(freeze);
        house_start(&house);
        house_close(&house);
}

/* 30 changes of the rate under the writer: the longest that one took, and that he waited. */
static void change_often(struct job *job, int pid, const char *max, uint64_t *slowest_msp,
                         uint64_t *gap_usp) {
        static const char *const rates[] = {"8MB/s", "3MB/s", "6MB/s"};
        static const uint64_t wanted[] = {8, 3, 6};

        *slowest_msp = *gap_usp = 0;
        ask_writer(job, pid, NULL, NULL);
        for (int i = 0; i < 30; i++) {
                struct job resize;
                uint64_t ms, gap;

                expect_int(SHELL(&resize, "provium", "resize", "web", "--disk-io", rates[i % 3]),
                           0);
                ms = wait_rate(max, wanted[i % 3] * MB, 4000);
                *slowest_msp = ms > *slowest_msp ? ms : *slowest_msp;
                /* Somewhere in what the last change left. */
                poll(NULL, 0, 20 + i * 7 % 90);
                ask_writer(job, pid, NULL, &gap);
                *gap_usp = gap > *gap_usp ? gap : *gap_usp;
        }
        unit_note("30 changes: in force %ju ms after the answer at most, longest gap %ju ms",
                  (uintmax_t)*slowest_msp, (uintmax_t)*gap_usp / 1000);
}

static void a_resize_under_load_is_in_force_soon_and_stalls_nobody(void) {
        uint64_t slowest = 0, gap = UINT64_MAX;
        struct house house;
        struct job job;
        char *max, *stat;
        int pid;

        disks_open(&house, CONF, NULL);
        JOB_RUN(&job, "--name", "web", "--cpus", "1", "--disk-image", A, "--disk-io", "4MB/s", "--",
                "diskvm", "write", "{disk.0}", "64");
        job_wait_out(&job, "ready");
        max = file_of("web", "io.max");
        stat = file_of("web", "io.stat");
        pid = pid_of("web");
        /* A change beneath waiting requests stalls for seconds, and nearly always; a machine with
         * other work may hold up anybody, once. */
        for (int try = 0; try < 2 && gap >= 500000; try++) {
                change_often(&job, pid, max, &slowest, &gap);
                expect(slowest < 2000);
                expect(gap < 2000000);
        }
        expect(gap < 500000);
        expect_rate("then", stat, 2000, 6e6);
        expect_int(sold_of("vda"), 6 * MB);
        free(max);
        free(stat);
        house_close(&house);
}

static void what_is_given_up_is_sold_only_when_it_is_in_force(void) {
        struct house house;
        struct job job, other, resize;
        char *max, text[1024];

        disks_open(&house, CONF_OF("BurstBy=none\n[Broker]\nDataDirectory=/run/d0\n"), NULL);
        expect_int(run_claim("most", B, NULL, "19650kB/s"), 0);
        start_stuck(&job, "1");
        max = file_of("web", "io.max");
        expect_int(SHELL(&resize, "provium", "resize", "web", "--disk-io", "150kB/s"), 0);
        expect_int(sold_of("vda"), 20 * MB);
        expect_int(run_claim("no", B, NULL, "100kB/s"), 75);
        JOB_RUN(&other, "--name", "other", "--disk-image", B, "--disk-io", "200kB/s", "--", "vm",
                "rest");
        job_wait_out(&other, "ready");
        file_get(max, text, sizeof(text));
        expect_in(text, "wbps=150000 ");
        expect_int(sold_of("vda"), 20 * MB);
        free(max);
        house_close(&house);
}

/* ---- by whom ---- */

static void what_qemu_is_told_is_the_claim_and_its_burst(void) {
        struct house house;
        struct job job;
        char text[96];

        disks_open(&house, CONF, NULL);
        expect_int(SHELL(&job, RUN("--disk-image", A, "--disk-image", C, "--disk-io", "2MB/s", "--",
                                   "echo", "{disk.0.throttle}", "{disk.1.throttle}")),
                   0);
        expect_str(job.out, "throttling.bps-read=2000000,throttling.bps-write=2000000,"
                            "throttling.group=pv-vda throttling.bps-read=2000000,"
                            "throttling.bps-write=2000000,throttling.group=pv-vdb\n");
        expect_int(SHELL(&job, REST("none", A, "2MB/s")), 0);
        expect_io_max("none", "vda", both(2 * MB, text));
        house_end_all(&house);
        house_conf(CONF_OF("BurstBy=hypervisor\nBurst=3\nBurstTime=5s\n"));
        house_reload(&house);
        expect_int(SHELL(&job, RUN("--disk-image", A, "--disk-io", "2MB/s", "--disk-iops", "100",
                                   "--", "echo", "{disk.0.throttle}")),
                   0);
        expect_str(job.out, "throttling.bps-read=2000000,throttling.bps-write=2000000,"
                            "throttling.iops-read=100,throttling.iops-write=100,"
                            "throttling.bps-read-max=6000000,throttling.bps-write-max=6000000,"
                            "throttling.bps-read-max-length=3,throttling.bps-write-max-length=3,"
                            "throttling.group=pv-vda\n");
        expect_int(SHELL(&job, REST("wall", A, "2MB/s")), 0);
        expect_io_max("wall", "vda", both(6 * MB, text));
        /* It stays there, also with the next broker. */
        house_kill(&house);
        house_start(&house);
        expect_io_max("wall", "vda", both(6 * MB, text));
        house_close(&house);
}

static void what_cannot_be_limited_is_refused_unless_best_effort_is_enough(void) {
        struct house house;
        struct job job;

        disks_open(&house, CONF, NULL);
        sh("mkdir -p /run/tm; mountpoint -q /run/tm || mount -t tmpfs t /run/tm; "
           "truncate -s 1M /run/tm/t.img");
        expect_int(SHELL(&job, RUN("--disk-image", "/run/tm/t.img", "--disk-io", "1MB/s", "--",
                                   "vm", "exit", "0")),
                   77);
        expect_in(job.err, "disk 0 (/run/tm/t.img)");
        expect_in(job.err, "cannot be limited");
        expect_in(job.err, "tmpfs");
        expect_int(count_vms(), 0);
        house_conf(CONF BEST);
        house_reload(&house);
        expect_int(SHELL(&job, REST("best", "/run/tm/t.img", "1MB/s")), 0);
        expect(noted("best", "disk_io: not enforced"));
        expect(noted("best", "tmpfs"));
        expect_io_max("best", "", "");
        house_close(&house);
}

/* ---- which file ---- */

static const char *identity(const char *path, char text[64]) {
        struct stat st;

        need_int(stat(path, &st), 0);
        snprintf(text, 64, "%ju %ju\n", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
        return text;
}

static void a_name_that_changes_its_meaning_while_a_claim_waits_changes_nothing(void) {
        struct house house;
        struct job hog, job, other;
        char text[64], limits[96];

        disks_open(&house, CONF, NULL);
        sh("ln -sf " A " /run/link.img");
        JOB_RUN(&hog, "--name", "hog", "--cpus", "4", "--", "vm", "rest");
        job_wait_out(&hog, "ready");
        JOB_RUN(&job, "--name", "look", "--disk-image", "/run/link.img", "--disk-image", C,
                "--disk-io", "1MB/s", "--", "sh", "-c",
                "diskvm look {disk.0}; diskvm look {disk.1}");
        JOB_RUN(&other, "--name", "other", "--disk-image", "/run/link.img", "--disk-io", "1MB/s",
                "--", "vm", "rest");
        for (int i = 0; i < 400 && count_waiting() < 2; i++)
                poll(NULL, 0, 10);
        need_int(count_waiting(), 2);
        sh("ln -sfn " C " /run/link.img");
        end("hog");
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 0);
        expect_in(job.out, identity(A, text));
        expect_in(job.out, identity(C, text));
        job_wait_out(&other, "ready");
        expect_io_max("other", "vda", both(MB, limits));
        house_close(&house);
}

static void a_disk_that_vanishes_while_a_claim_waits_is_refused_clearly(void) {
        struct house house;
        struct job hog, job;

        disks_open(&house, CONF, NULL);
        for (int i = 0; i < 2; i++) {
                sh("losetup /dev/loop1 " C);
                JOB_RUN(&hog, "--name", "hog", "--cpus", "4", "--", "vm", "rest");
                job_wait_out(&hog, "ready");
                JOB_RUN(&job, "--name", "lost", "--disk-image", "/dev/loop1", "--disk-io", "1MB/s",
                        "--", "vm", "exit", "0");
                for (int n = 0; n < 400 && count_waiting() < 1; n++)
                        poll(NULL, 0, 10);
                need_int(count_waiting(), 1);
                /* Gone; or there again, on another disk. */
                sh("losetup -d /dev/loop1");
                if (i == 1)
                        sh("losetup /dev/loop1 " A);
                end("hog");
                expect_int(job_wait(&job, HOUSE_WAIT_MS), 125);
                expect_in(job.err, i ? "other disks" : "no file is behind loop1");
                expect_int(count_vms(), 0);
                expect_int(sold_of("vda"), -1);
                expect_int(sold_of("vdb"), -1);
                expect_int(allocated("disk_io"), 0);
        }
        sh("losetup -d /dev/loop1");
        house_close(&house);
}

/* ---- strangers, and the broker's own life ---- */

static void io_max_that_somebody_else_changes_is_put_back_and_told(void) {
        static const char *const harms[] = {"wbps=max", "rbps=max wbps=max riops=max wiops=max",
                                            "riops=10"};
        struct house house;
        struct job job;
        struct news news;
        char *max, dev[16], line[96];

        disks_open(&house, CONF, NULL);
        JOB_RUN(&job, "--name", "web", "--cpus", "1", "--disk-image", A, "--disk-io", "2MB/s", "--",
                "diskvm", "write", "{disk.0}", "64");
        job_wait_out(&job, "ready");
        max = file_of("web", "io.max");
        for (size_t i = 0; i < 3; i++) {
                news_open(&news);
                snprintf(line, sizeof(line), "%s %s", dev_of("vda", dev), harms[i]);
                need_int(file_put(max, line), 0);
                expect_that(drift_is_told(&news, "vm", "web"), "'%s' is told", harms[i]);
                wait_rate(max, 2 * MB, 4000);
                news_close(&news);
        }
        free(max);
        house_close(&house);
}

static void an_upgrade_keeps_disks_and_the_claims_that_wait_for_them(void) {
        struct house house;
        struct job hog, job, upgrade;
        char text[64], limits[96];

        disks_open(&house, CONF_OF("Burst=2\nBurstTime=60s\n"), NULL);
        expect_int(run_claim("old", C, NULL, "1MB/s"), 0);
        sh("ln -sf " A " /run/link.img");
        JOB_RUN(&hog, "--name", "hog", "--cpus", "3.9", "--", "vm", "rest");
        job_wait_out(&hog, "ready");
        JOB_RUN(&job, "--name", "next", "--disk-image", "/run/link.img", "--disk-io", "1MB/s", "--",
                "sh", "-c", "diskvm look {disk.0}; exec vm rest");
        for (int n = 0; n < 400 && count_waiting() < 1; n++)
                poll(NULL, 0, 10);
        need_int(count_waiting(), 1);
        expect_int(SHELL(&upgrade, "provium", "upgrade"), 0);
        need_int(count_waiting(), 1);
        sh("rm /run/link.img");
        end("hog");
        job_wait_out(&job, "ready");
        expect_in(job.out, identity(A, text));
        expect_io_max("next", "vda", both(2 * MB, limits));
        expect_int(sold_of("vda"), MB);
        expect_int(sold_of("vdb"), MB);
        expect_io_max("old", "vdb", both(2 * MB, limits));
        house_close(&house);
}

/* ---- the space ---- */

static json_int_t share_of(const char *name) {
        json_int_t bytes = -1;

        for (int i = 0; i < 1000 && bytes < 0; i++) {
                json_t *reply = ask("Resources", NULL);
                const json_t *shares = json_object_get(
                        json_object_get(json_object_get(reply, "parameters"), "resources"),
                        "disk_breakdown");

                if (shares)
                        bytes = json_integer_value(json_object_get(shares, name));
                json_decref(reply);
                if (bytes < 0)
                        poll(NULL, 0, 10);
        }
        return bytes;
}

static void the_breakdown_counts_blocks_and_each_file_once(void) {
        struct house house;
        struct job job;

        disks_open(
                &house,
                CONF_OF("BurstBy=none\nMinFree=50MB\nMaxImageStorage=0.5\nImages=/run/d1/images\n"
                        "Volumes=/run/d1/volumes\n[Broker]\nDataDirectory=/run/d1\n"),
                NULL);
        house_stop(&house);
        sh("rm -rf /run/d1/images /run/d1/volumes; mkdir -p /run/d1/images/sub /run/d1/volumes;"
           "cd /run/d1/images; dd if=/dev/zero of=sub/one bs=1M count=8 status=none;"
           "ln sub/one two; ln sub/one sub/three; truncate -s 4G sparse; ln -s " C " elsewhere;"
           "dd if=/dev/zero of=../volumes/v bs=1M count=4 status=none; sync");
        house_start(&house);
        /* 8 MiB, and a few blocks of directories. */
        expect_within(share_of("images_bytes"), 8 << 20, (8 << 20) + 65536);
        expect_within(share_of("volumes_bytes"), 4 << 20, (4 << 20) + 65536);
        expect_int(share_of("overlays_bytes"), 0);
        expect_int(SHELL(&job, "provium", "image-check", "10M"), 0);
        expect_in(job.out, "allowed");
        expect_int(SHELL(&job, "provium", "image-check", "300M"), 75);
        expect_in(job.out, "MaxImageStorage=");
        expect_int(SHELL(&job, "provium", "image-check", "2G"), 75);
        expect_in(job.out, "MinFree=");
        sh("rm -rf /run/d1/images /run/d1/volumes");
        house_close(&house);
}

UNIT_MAIN(TEST(a_vm_reads_and_writes_at_its_claim_after_the_burst),
          TEST(operations_reads_and_writes_have_limits_of_their_own),
          TEST(io_max_has_all_four_keys_for_exactly_the_whole_disks),
          TEST(images_on_one_disk_share_a_limit_and_each_vm_has_its_own),
          TEST(each_disk_is_limited_and_charged_by_itself),
          TEST(a_slice_has_a_limit_on_its_own_group),
          TEST(a_slices_limit_follows_the_policy_and_is_put_back_under_load),
          TEST(a_burst_lasts_until_the_bucket_is_empty_and_comes_back_after_quiet),
          TEST(a_burst_of_operations_ends_too),
          TEST(an_upgrade_in_a_burst_loses_nothing_of_the_bucket),
          TEST(a_broker_killed_in_a_burst_is_followed_by_one_that_ends_it),
          TEST(a_reload_changes_the_bursts_of_those_who_run_and_wait),
          TEST(a_broker_killed_in_a_step_is_followed_by_one_that_thaws),
          TEST(a_broker_that_stops_in_a_step_leaves_nothing_frozen),
          TEST(a_resize_under_load_is_in_force_soon_and_stalls_nobody),
          TEST(what_is_given_up_is_sold_only_when_it_is_in_force),
          TEST(what_qemu_is_told_is_the_claim_and_its_burst),
          TEST(what_cannot_be_limited_is_refused_unless_best_effort_is_enough),
          TEST(a_name_that_changes_its_meaning_while_a_claim_waits_changes_nothing),
          TEST(a_disk_that_vanishes_while_a_claim_waits_is_refused_clearly),
          TEST(io_max_that_somebody_else_changes_is_put_back_and_told),
          TEST(an_upgrade_keeps_disks_and_the_claims_that_wait_for_them),
          TEST(the_breakdown_counts_blocks_and_each_file_once), )
