/* SPDX-License-Identifier: MIT */
/* rig: --mem 1G --disk 400M --disk 400M --disk 400M --timeout 200 */
/*
 * The frozen step: how its news comes, what a group that cannot stop does to it, and a hundred
 * changes of io.max under load of which none is lost and none stalls the reader.
 */
#include <base/fd.h>
#include <base/file.h>
#include <base/why.h>
#include <cgroup/cgroup.h>
#include <cgroup/freeze.h>
#include <cgroup/iomax.h>
#include <cgroup/watch.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "stacks.h"
#include "unit.h"

#define CHANGES 100
#define SLOW UINT64_C(4000000)
#define FAST UINT64_C(16000000)
#define MIDDLE 8e6 /* a tenth of a second of the slow rate is six requests: no finer than this */
#define FREEZE_USEC 3000000

static struct why why;

static void fresh(void) {
        need_disks();
        stacks_down();
        why = (struct why){};
}

static dev_t vda(void) {
        struct stat st;

        need_int(stat("/dev/vda", &st), 0);
        return st.st_rdev;
}

static struct progress *progress_new(void) {
        struct progress *progress;

        progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                        -1, 0);
        need(progress != MAP_FAILED);
        return progress;
}

static void an_empty_group_is_frozen_at_once(void) {
        bool frozen = false;
        int fd;

        fresh();
        fd = group_open("f");
        expect_int(freeze_end(fd, &why), 0);
        expect_int(freeze_begin(fd, &why), 0);
        expect_int(freeze_begin(fd, &why), 0);
        expect_int(freeze_is_frozen(fd, &frozen, &why), 0);
        expect(frozen);
        expect_int(freeze_end(fd, &why), 0);
        expect_int(freeze_is_frozen(fd, &frozen, &why), 0);
        expect(!frozen);
        rmdir("/sys/fs/cgroup/io/f");
        expect_int(freeze_begin(fd, &why), CGROUP_E_GONE);
        expect_int(freeze_is_frozen(fd, &frozen, &why), CGROUP_E_GONE);
        expect_int(freeze_end(fd, &why), CGROUP_E_GONE);
        expect_int(freeze_wait(fd, 1000, &why), CGROUP_E_GONE);
        close(fd);
}

static void note_events(void *userdata, int id, enum watch_news news, const char *file) {
        unsigned *np = userdata;

        if (news == WATCH_MODIFIED && strcmp(file, "cgroup.events") == 0)
                (*np)++;
}

static void the_watch_tells_that_all_has_stopped(void) {
        struct progress *progress = progress_new();
        struct watch watch = WATCH_NULL;
        int fd, id, held[WATCH_HELD];
        bool frozen = false;
        unsigned events = 0;
        uint64_t start;
        pid_t pid;

        fresh();
        fd = group_open("f");
        pid = job_start(fd, "/dev/vda", READ_DIRECT, 0, progress);
        while (progress->bytes == 0)
                sleep_usec(1000);
        need_int(watch_open(&watch), 0);
        need_int(watch_add(&watch, fd, false, &id, &why), 0);
        need_int(watch_hold(fd, held, &why), 0);

        start = now_usec();
        need_int(freeze_begin(fd, &why), 0);
        while (!frozen && now_usec() - start < 5000000) {
                struct pollfd pollfd = {.fd = watch.fd, .events = POLLIN};

                need_int(freeze_is_frozen(fd, &frozen, &why), 0);
                if (frozen)
                        break;
                need_int(poll(&pollfd, 1, 5000), 1);
                need_int(watch_read(&watch, note_events, &events), 0);
        }
        expect(frozen);
        unit_note("frozen after %llu us", (unsigned long long)(now_usec() - start));
        /* The news comes whether or not we waited for it. */
        for (unsigned i = 0; i < 100 && events == 0; i++) {
                sleep_usec(1000);
                need_int(watch_read(&watch, note_events, &events), 0);
        }
        expect(events > 0);
        fd_close_many(held, WATCH_HELD);
        watch_close(&watch);
        /* A frozen group can be killed. */
        job_end(pid);
        group_close(fd, "f");
}

static void a_group_that_does_not_stop_in_time_runs_on(void) {
        const struct io_limit narrow = {4096, 4096, IO_NO_LIMIT, IO_NO_LIMIT};
        const struct io_limit none = IO_UNLIMITED;
        uint64_t start, frozen_flag = 1;
        pid_t pid;
        int fd;

        fresh();
        fd = group_open("f");
        need_int(iomax_apply(fd, vda(), &narrow, &why), 0);
        pid = job_start(fd, "/dev/vda", READ_DIRECT, 0, NULL);
        sleep_usec(500000);
        start = now_usec();
        expect_int(freeze_wait(fd, 300000, &why), CGROUP_E_BUSY);
        expect_within(now_usec() - start, 300000, 600000);
        expect_int(file_read_u64_at(fd, "cgroup.freeze", &frozen_flag), 0);
        expect_uint(frozen_flag, 0);
        expect_int(iomax_apply(fd, vda(), &none, &why), 0);
        job_end(pid);
        group_close(fd, "f");
}

static uint64_t change(int fd, uint64_t rate) {
        const struct io_limit limit = {rate, rate, IO_NO_LIMIT, IO_NO_LIMIT};
        uint64_t start = now_usec();

        need_that(freeze_wait(fd, FREEZE_USEC, &why) == 0, "%s", why.text);
        expect_that(iomax_apply(fd, vda(), &limit, &why) == 0, "%s", why.text);
        need_that(freeze_end(fd, &why) == 0, "%s", why.text);
        return now_usec() - start;
}

static bool rate_is(const struct progress *progress, uint64_t rate, uint64_t usec) {
        uint64_t bytes = progress->bytes, start = now_usec();
        double got;

        sleep_usec(usec);
        got = (double)(progress->bytes - bytes) * 1e6 / (double)(now_usec() - start);
        return (got < MIDDLE) == (rate == SLOW) && got < 1.5 * (double)FAST;
}

/* A process outside the group that reads a block of another disk now and then: what it waits for,
 * the machine took. */
static pid_t clock_start(struct progress *clock) {
        static char block[4096] __attribute__((aligned(4096)));
        pid_t pid = fork();

        if (pid == 0) {
                int fd = open("/dev/vdb", O_RDONLY | O_DIRECT | O_CLOEXEC);

                prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;) {
                        uint64_t start = now_usec();

                        sleep_usec(2000);
                        if (pread(fd, block, sizeof(block), 0) != sizeof(block))
                                _exit(1);
                        clock->gap_max_usec = max_u64(clock->gap_max_usec, now_usec() - start);
                }
        }
        need(pid > 0);
        return pid;
}

/* A limit that is lost stays so. One that is in force may look too slow for a while, on a machine
 * that others use (a window of a writer without any limit has moved nothing at all, too). */
static bool rate_becomes(const struct progress *progress, uint64_t rate) {
        for (unsigned i = 0; i < 20; i++)
                if (rate_is(progress, rate, 500000))
                        return true;
        return false;
}

/* The first tenth of a second is the old limit's: what it has let through already, or holds. */
static void a_hundred_changes_under_load(enum job job, const char *path) {
        struct progress *progress = progress_new(), *clock = progress_new();
        unsigned late = 0, lost = 0;
        pid_t pid, clock_pid;
        uint64_t step_max = 0;
        int fd;

        fd = group_open("f");
        change(fd, SLOW);
        pid = job_start(fd, path, job, 0, progress);
        clock_pid = clock_start(clock);
        sleep_usec(300000);
        progress->gap_max_usec = 0;
        for (unsigned i = 0; i < CHANGES; i++) {
                uint64_t rate = i % 2 ? SLOW : FAST;

                step_max = max_u64(step_max, change(fd, rate));
                sleep_usec(100000);
                if (rate_is(progress, rate, 250000))
                        continue;
                late++;
                lost += !rate_becomes(progress, rate);
        }
        job_end(pid);
        job_end(clock_pid);
        unit_note("%s: %d changes, %u late, %u lost; step at most %llu us; between requests at "
                  "most %llu us, of a disk beside it %llu us",
                  job_names[job], CHANGES, late, lost, (unsigned long long)step_max,
                  (unsigned long long)progress->gap_max_usec,
                  (unsigned long long)clock->gap_max_usec);
        unit_note("requests within 1/2/5/10/50/100/500 ms and above: %llu %llu %llu %llu %llu %llu "
                  "%llu %llu",
                  (unsigned long long)progress->gaps[0], (unsigned long long)progress->gaps[1],
                  (unsigned long long)progress->gaps[2], (unsigned long long)progress->gaps[3],
                  (unsigned long long)progress->gaps[4], (unsigned long long)progress->gaps[5],
                  (unsigned long long)progress->gaps[6], (unsigned long long)progress->gaps[7]);
        expect_uint(lost, 0);
        expect_within(progress->gap_max_usec, 0, 500000 + clock->gap_max_usec);
        group_close(fd, "f");
}

static void a_hundred_changes_under_a_reader_none_is_lost(void) {
        fresh();
        a_hundred_changes_under_load(READ_DIRECT, "/dev/vda");
}

static void a_hundred_changes_under_a_writer_none_is_lost(void) {
        fresh();
        a_hundred_changes_under_load(WRITE_DIRECT, "/dev/vda");
}

/* What the page cache still has to write does not stop with the group, and goes out in strokes. */
static void changes_under_buffered_writes_come_into_force(void) {
        uint64_t step_max = 0;
        pid_t pid;
        int fd;

        fresh();
        shell("ext4 /dev/vda a");
        fd = group_open("f");
        change(fd, SLOW);
        pid = job_start(fd, "/m/a/own", WRITE_BUFFERED, 0, NULL);
        sleep_usec(3000000);
        for (unsigned i = 0; i < 6; i++) {
                uint64_t rate = i % 2 ? SLOW : FAST, bytes, start, took;
                double got;

                took = change(fd, rate);
                step_max = max_u64(step_max, took);
                sleep_usec(1000000);
                start = now_usec();
                bytes = device_bytes("vda", true);
                sleep_usec(3000000);
                got = (double)(device_bytes("vda", true) - bytes) * 1e6 /
                      (double)(now_usec() - start);
                expect_that((got < MIDDLE) == (rate == SLOW), "change %u: %.2f MB/s, wanted %.2f",
                            i, got / 1e6, (double)rate / 1e6);
        }
        unit_note("step at most %llu us", (unsigned long long)step_max);
        job_end(pid);
        change(fd, IO_NO_LIMIT);
        group_close(fd, "f");
        stacks_down();
}

UNIT_MAIN(TEST(an_empty_group_is_frozen_at_once), TEST(the_watch_tells_that_all_has_stopped),
          TEST(a_group_that_does_not_stop_in_time_runs_on),
          TEST(a_hundred_changes_under_a_reader_none_is_lost),
          TEST(a_hundred_changes_under_a_writer_none_is_lost),
          TEST(changes_under_buffered_writes_come_into_force), )
