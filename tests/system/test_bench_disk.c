/* SPDX-License-Identifier: MIT */
/* rig: --mem 1G --disk 512M --timeout 300 */
/*
 * `provium bench disk` on a disk with a file system of its own: its figures beside those of an own
 * run of fio, and that nothing of it stays, however it ends. Free space that is missing afterwards
 * is a file that somebody still has, with a name or without.
 */
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <base/fd.h>

#include "house.h"
#include "links.h"

#define DIR_ "/run/b0"
#define CONFIG "/run/b0.etc"
#define BENCH_WAIT_MS 60000 /* four phases, and fio's own start, which takes a second each here */
#define BENCH(...) "provium", "bench", "disk", "--config-dir", CONFIG, __VA_ARGS__

/* SHELL() with the patience that a measurement wants. */
static int run_long(struct job *job, const char *const *words) {
        job_start(job, words);
        return job_wait(job, BENCH_WAIT_MS);
}
#define LONG(job, ...) run_long(job, (const char *const[]){__VA_ARGS__, NULL})

static void disk_open(void) {
        const char *disks = getenv("RIG_DISKS");

        if (!disks || !*disks)
                unit_skip("the rig has no disk");
        sh("set -e; exec 2>&1; export PATH=$PATH:/sbin:/usr/sbin; mkdir -p " DIR_ " " CONFIG ";"
           "if ! mountpoint -q " DIR_ "; then set -- $RIG_DISKS; mkfs.ext4 -qF $1; mount $1 " DIR_
           "; fi; rm -rf " CONFIG "/*");
}

/* ---- what is left ---- */

static uint64_t free_bytes(void) {
        struct statfs fs;

        sync();
        need_int(statfs(DIR_, &fs), 0);
        return fs.f_bfree * (uint64_t)fs.f_bsize;
}

static unsigned count_names(void) {
        DIR *dir = opendir(DIR_);
        struct dirent *entry;
        unsigned n = 0;

        need(dir != NULL);
        while ((entry = readdir(dir)))
                n += entry->d_name[0] != '.' || entry->d_name[1] > '.';
        closedir(dir);
        return n;
}

static uint64_t bytes_wanted;

static bool bytes_are_back(void *userdata) {
        return free_bytes() == bytes_wanted;
}

/* The kernel takes a file without a name away after its last descriptor, not at once. */
static void expect_nothing_left(uint64_t bytes, unsigned names) {
        bytes_wanted = bytes;
        expect_that(wait_until(bytes_are_back, NULL, 5000), "%ju bytes were free, and %ju are now",
                    (uintmax_t)bytes, (uintmax_t)free_bytes());
        expect_int(count_names(), names);
}

/* ---- fio below it ---- */

/* The child of @parent that is fio and measures, a pidfd; -1: none. */
static int fio_of(pid_t parent) {
        char path[64], line[64], *end;
        int n = 0;
        long child;
        DIR *dir;

        snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
        file_get(path, line, sizeof(line));
        child = strtol(line, &end, 10);
        if (child <= 0)
                return -1;
        snprintf(path, sizeof(path), "/proc/%ld/cmdline", child);
        file_get(path, line, sizeof(line)); /* ends at its first word's end, for us */
        snprintf(path, sizeof(path), "/proc/%ld/task", child);
        dir = opendir(path);
        while (dir && readdir(dir))
                n++;
        if (dir)
                closedir(dir);
        /* "." and "..", itself, and the thread that measures. */
        return strncmp(line, "fio", 3) == 0 && n >= 4 ? (int)syscall(SYS_pidfd_open, child, 0) : -1;
}

struct awaited {
        pid_t parent;
        int pidfd;
};

static bool fio_measures(void *userdata) {
        struct awaited *awaited = userdata;

        awaited->pidfd = fio_of(awaited->parent);
        return awaited->pidfd >= 0;
}

/* Starts a long measurement and waits until fio is at it. */
static int start_long(struct job *job) {
        struct awaited awaited = {.pidfd = -1};

        JOB(job, BENCH("--time", "60", "--size", "16M", DIR_));
        job_wait_err(job, "fully loaded meanwhile");
        awaited.parent = job->pid;
        need_that(wait_until(fio_measures, &awaited, 20000), "fio measures: %s", job->err);
        return awaited.pidfd;
}

/* ---- the figures ---- */

static json_t *measure(const char *seconds, const char *dir) {
        struct job job;
        json_t *report;
        int status;

        status = LONG(&job, BENCH("--json", "--time", seconds, "--size", "32M", dir));
        need_that(status == 0, "status %d: %s", status, job.err);
        expect_in(job.err, "the disk is fully loaded meanwhile");
        report = json_loads(job.out, 0, NULL);
        need_that(report != NULL, "an object: %s", job.out);
        return report;
}

static uint64_t figure(const json_t *report, const char *phase, const char *key) {
        return (uint64_t)json_integer_value(json_object_get(json_object_get(report, phase), key));
}

/* Bytes per second of a run of our own, over a file with a name. */
static double fio_alone(const char *rw, const char *block, const char *way) {
        json_t *report = sh_json(
                "fio --name=own --filename=" DIR_ "/own --size=32M --rw=%s --bs=%s --direct=1 "
                "--ioengine=libaio --iodepth=16 --time_based --runtime=2 --overwrite=1 "
                "--output-format=json 2>/dev/null",
                rw, block);
        double rate;

        rate = json_number_value(json_object_get(
                json_object_get(json_array_get(json_object_get(report, "jobs"), 0), way),
                "bw_bytes"));
        json_decref(report);
        return rate;
}

static void figures_are_those_of_fio_alone(void) {
        static const struct {
                const char *phase, *rw, *block, *way;
        } rows[] = {
                {"sequential_write", "write", "1M", "write"},
                {"sequential_read", "read", "1M", "read"},
                {"random_write", "randwrite", "4k", "write"},
                {"random_read", "randread", "4k", "read"},
        };
        uint64_t bytes, least, disk_io;
        unsigned names;
        json_t *report;

        disk_open();
        bytes = free_bytes();
        names = count_names();
        report = measure("2", DIR_);
        expect_nothing_left(bytes, names);
        for (size_t i = 0; i < 4; i++) {
                double alone = fio_alone(rows[i].rw, rows[i].block, rows[i].way);
                uint64_t is = figure(report, rows[i].phase, "bytes_per_s");

                unit_note("%s: %.1f MB/s, fio alone %.1f, median %ju us, p99 %ju us", rows[i].phase,
                          (double)is / 1e6, alone / 1e6,
                          (uintmax_t)figure(report, rows[i].phase, "latency_median_ns") / 1000,
                          (uintmax_t)figure(report, rows[i].phase, "latency_p99_ns") / 1000);
                /* Two runs on a machine that others use: of one order, no more. */
                expect_within((double)is, alone / 6, alone * 6);
                expect_within((double)figure(report, rows[i].phase, "iops"),
                              (double)is / (rows[i].block[0] == '1' ? 1048576 : 4096) * 0.9,
                              (double)is / (rows[i].block[0] == '1' ? 1048576 : 4096) * 1.1);
                expect(figure(report, rows[i].phase, "latency_median_ns") > 0);
                expect(figure(report, rows[i].phase, "latency_median_ns") <=
                       figure(report, rows[i].phase, "latency_p99_ns"));
        }
        sh("rm " DIR_ "/own");
        least = figure(report, "sequential_write", "bytes_per_s");
        if (figure(report, "sequential_read", "bytes_per_s") < least)
                least = figure(report, "sequential_read", "bytes_per_s");
        disk_io = (uint64_t)json_integer_value(json_object_get(report, "disk_io_bytes_per_s"));
        expect_within((double)disk_io, 0.9 * (double)least, (double)least);
        expect_str(json_string_value(json_object_get(report, "engine")), "libaio");
        json_decref(report);
}

/* What the kernel itself saw pass: at 4 MB/s the disk carries no more, in none of the phases. */
static void a_slow_disk_is_measured_as_slow_as_it_is(void) {
        char dev[16], path[64] = "/sys/fs/cgroup/slow";
        struct job job;
        json_t *report;

        disk_open();
        file_get("/sys/class/block/vda/dev", dev, sizeof(dev));
        dev[strcspn(dev, "\n")] = '\0';
        sh("set -e; echo +io >/sys/fs/cgroup/cgroup.subtree_control; mkdir %s;"
           "echo '%s rbps=20000000 wbps=10000000' >%s/io.max",
           path, dev, path);
        expect_int(LONG(&job, "sh", "-c",
                        "echo $$ >/sys/fs/cgroup/slow/cgroup.procs; exec provium bench disk "
                        "--config-dir " CONFIG " --json --time 3 --size 16M " DIR_),
                   0);
        report = json_loads(job.out, 0, NULL);
        need(report != NULL);
        expect_within((double)figure(report, "sequential_read", "bytes_per_s"), 15e6, 23e6);
        expect_within((double)figure(report, "sequential_write", "bytes_per_s"), 7e6, 12e6);
        expect_within((double)json_integer_value(json_object_get(report, "disk_io_bytes_per_s")),
                      7e6, 12e6);
        unit_note("of 10 MB/s written %.2f, of 20 read %.2f",
                  (double)figure(report, "sequential_write", "bytes_per_s") / 1e6,
                  (double)figure(report, "sequential_read", "bytes_per_s") / 1e6);
        json_decref(report);
        sh("rmdir %s", path);
}

static void without_asynchronous_io_it_measures_one_request_at_a_time(void) {
        char was[32];
        json_t *report;

        disk_open();
        file_get("/proc/sys/fs/aio-max-nr", was, sizeof(was));
        need_int(file_put("/proc/sys/fs/aio-max-nr", "0"), 0);
        report = measure("1", DIR_);
        expect_int(file_put("/proc/sys/fs/aio-max-nr", was), 0);
        expect_str(json_string_value(json_object_get(report, "engine")), "psync");
        expect_int(json_integer_value(json_object_get(report, "depth")), 1);
        expect(figure(report, "random_read", "iops") > 0);
        json_decref(report);
}

static void the_default_is_the_data_directory_or_its_nearest_parent(void) {
        struct job job;

        disk_open();
        sh("printf '[Broker]\\nDataDirectory=" DIR_ "/not/yet\\n' >" CONFIG "/broker.conf");
        expect_int(LONG(&job, BENCH("--time", "1", "--size", "16M")), 0);
        expect_in(job.err, "at " DIR_ ",");
        expect_in(job.out, "random read, 4k");
        expect_in(job.out, "\n[Capacity]\nDiskIO=");
        sh("echo nonsense >" CONFIG "/broker.conf");
        expect_int(SHELL(&job, BENCH("--time", "1")), 78);
        expect_in(job.err, "name a directory");
}

/* ---- nothing stays ---- */

static void the_file_has_no_name_while_it_is_measured(void) {
        uint64_t bytes;
        unsigned names;
        struct job job;

        disk_open();
        bytes = free_bytes();
        names = count_names();
        fd_close(start_long(&job));
        expect_int(count_names(), names);
        expect(free_bytes() + (16 << 20) <= bytes);
        job_kill(&job, SIGTERM);
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 128 + SIGTERM);
        expect_nothing_left(bytes, names);
}

static void a_signal_ends_fio_too(void) {
        static const int signals[] = {SIGINT, SIGHUP, SIGKILL};

        disk_open();
        for (size_t i = 0; i < 3; i++) {
                uint64_t bytes = free_bytes();
                unsigned names = count_names();
                struct job job;
                int pidfd;

                pidfd = start_long(&job);
                job_kill(&job, signals[i]);
                expect_int(job_wait(&job, HOUSE_WAIT_MS), 128 + signals[i]);
                expect_that(pidfd_wait(pidfd, HOUSE_WAIT_MS), "fio ends after signal %d",
                            signals[i]);
                fd_close(pidfd);
                expect_nothing_left(bytes, names);
        }
}

static void a_kill_while_the_file_is_written_leaves_nothing(void) {
        uint64_t bytes;
        unsigned names;
        struct job job;

        disk_open();
        bytes = free_bytes();
        names = count_names();
        JOB(&job, BENCH("--size", "40M", DIR_));
        job_wait_err(&job, "fully loaded meanwhile");
        job_kill(&job, SIGKILL);
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 128 + SIGKILL);
        expect_nothing_left(bytes, names);
}

/* overlayfs of this kernel has no O_TMPFILE: the name is taken away at once. */
static void a_file_system_without_nameless_files_will_do(void) {
        json_t *report;

        disk_open();
        sh("set -e; cd " DIR_ "; mkdir -p lower upper work merged; mount -t overlay -o "
           "lowerdir=lower,upperdir=upper,workdir=work overlay merged");
        report = measure("1", DIR_ "/merged");
        expect(figure(report, "sequential_read", "bytes_per_s") > 0);
        json_decref(report);
        sh("set -e; cd " DIR_ "; test -z \"$(ls -A merged)$(ls -A upper)\"; umount merged;"
           "rm -rf lower upper work merged");
}

/* ---- what cannot be ---- */

static void what_stands_in_the_way_is_told(void) {
        char program[512];
        struct job job;

        disk_open();
        expect_int(SHELL(&job, BENCH("/dev/shm")), 64);
        expect_in(job.err, "is in memory (tmpfs)");
        expect_int(SHELL(&job, BENCH("--size", "400M", DIR_)), 75);
        expect_in(job.err, "more than a tenth of the ");
        snprintf(program, sizeof(program), "%s/provium", getenv("PROVIUM_BUILD"));
        expect_int(SHELL(&job, "env", "PATH=/nowhere", program, "bench", "disk", DIR_), 66);
        expect_in(job.err, "Debian's package 'fio'");
        sh("mount -o remount,ro " DIR_);
        expect_int(SHELL(&job, BENCH(DIR_)), 77);
        expect_in(job.err, "Read-only file system");
        sh("mount -o remount,rw " DIR_);
        expect_int(SHELL(&job, "setpriv", "--reuid=65534", "--clear-groups", BENCH(DIR_)), 77);
        expect_in(job.err, "Permission denied");
}

/* ---- the policy ---- */

static void what_is_saved_is_the_capacity_after_a_reload(void) {
        struct house house;
        json_t *resources, *report;
        json_int_t wanted, is;
        char *text;
        struct job job;

        disk_open();
        house_open(&house, HOUSE_CONF, NULL);
        expect_int(LONG(&job, "provium", "bench", "disk", "--config-dir", HOUSE_ETC, "--save",
                        "--json", "--time", "1", "--size", "16M", DIR_),
                   0);
        report = json_loads(job.out, 0, NULL);
        wanted = json_integer_value(json_object_get(report, "disk_io_bytes_per_s"));
        expect(json_is_true(json_object_get(report, "saved")));
        json_decref(report);
        text = sh_text("ls -A " HOUSE_ETC "/broker.conf.d");
        expect_str(text, "50-disk-io.conf\n");
        free(text);
        expect_int(SHELL(&job, "provium", "policy", "check", HOUSE_ETC), 0);
        expect_int(SHELL(&job, "provium", "policy", "reload"), 0);
        resources = ask("Resources", NULL);
        text = json_dumps(resources, 0);
        is = json_integer_value(json_object_get(
                json_object_get(
                        json_object_get(json_object_get(resources, "parameters"), "resources"),
                        "disk_io"),
                "capacity"));
        json_decref(resources);
        expect_that(is == wanted && is > 0, "capacity %jd, wanted %jd: %s", (intmax_t)is,
                    (intmax_t)wanted, text);
        free(text);
        /* A later one wins, and that is said. */
        sh("printf '[Capacity]\\nDiskIO=1MB/s\\n' >" HOUSE_ETC "/broker.conf.d/90-own.conf");
        expect_int(LONG(&job, "provium", "bench", "disk", "--config-dir", HOUSE_ETC, "--save",
                        "--time", "1", "--size", "16M", DIR_),
                   0);
        expect_in(job.err, "another drop-in sets DiskIO= too");
        expect_in(job.out, "50-disk-io.conf; 'provium policy reload' puts it in force");
        house_close(&house);
}

UNIT_MAIN(TEST(figures_are_those_of_fio_alone), TEST(a_slow_disk_is_measured_as_slow_as_it_is),
          TEST(without_asynchronous_io_it_measures_one_request_at_a_time),
          TEST(the_default_is_the_data_directory_or_its_nearest_parent),
          TEST(the_file_has_no_name_while_it_is_measured), TEST(a_signal_ends_fio_too),
          TEST(a_kill_while_the_file_is_written_leaves_nothing),
          TEST(a_file_system_without_nameless_files_will_do), TEST(what_stands_in_the_way_is_told),
          TEST(what_is_saved_is_the_capacity_after_a_reload))
