/* SPDX-License-Identifier: MIT */
/*
 * What it costs to hold one VM's disk I/O, for whoever waits for its start.
 *
 *   ours   cgroup/ as the broker calls it: resolve_fd of the VM's file, down to whole disks, and
 *          iomax_apply, which reads back and compares
 *   bare   the least that can set the same: open io.max, write the line, read it back; it has been
 *          told the disk
 *
 *   hold_us      resolve and apply
 *   apply_us     apply alone
 *
 * Each in a new group of its own, made and removed outside of the clock, in turn.
 *
 *     bench-disk FILE ROUNDS     FILE on a disk; groups are made below /sys/fs/cgroup/bench-disk
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/why.h>
#include <bench/sample.h>
#include <cgroup/iomax.h>
#include <cgroup/resolve.h>

#define ROOT "/sys/fs/cgroup/bench-disk"
#define RATE UINT64_C(100000000)
#define WARM_UP 5

static const struct resolve_host host = RESOLVE_HOST_HERE;
static const struct io_limit limit = {RATE, RATE, IO_NO_LIMIT, IO_NO_LIMIT};

static int group_make(void) {
        int fd;

        if (mkdir(ROOT "/one", 0755) < 0)
                err(1, "cannot make " ROOT "/one");
        fd = open(ROOT "/one", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                err(1, "cannot open " ROOT "/one");
        return fd;
}

static void group_remove(int fd) {
        close(fd);
        if (rmdir(ROOT "/one") < 0)
                err(1, "cannot remove " ROOT "/one");
}

static double usec_since(uint64_t begin_ns) {
        return (double)(sample_now_ns() - begin_ns) / 1000;
}

/* Returns the time of resolve; *appliedp: of the rest. */
static double ours(int group_fd, int file_fd, double *appliedp) {
        struct disks disks = {};
        struct why why = {};
        uint64_t begin = sample_now_ns();
        double resolved;

        if (resolve_fd(&disks, file_fd, &host, &why))
                errx(1, "%s", why.text);
        resolved = usec_since(begin);
        begin = sample_now_ns();
        for (size_t i = 0; i < disks.n; i++)
                if (iomax_apply(group_fd, disks.disk[i].dev, &limit, &why))
                        errx(1, "%s", why.text);
        *appliedp = usec_since(begin);
        return resolved;
}

static double bare(int group_fd, dev_t dev) {
        char line[128], is[128];
        uint64_t begin;
        int fd, n;

        begin = sample_now_ns();
        n = snprintf(line, sizeof(line), "%u:%u rbps=%llu wbps=%llu riops=max wiops=max",
                     major(dev), minor(dev), (unsigned long long)RATE, (unsigned long long)RATE);
        fd = openat(group_fd, "io.max", O_RDWR | O_CLOEXEC);
        if (fd < 0 || write(fd, line, (size_t)n) != n || pread(fd, is, sizeof(is), 0) < n ||
            memcmp(line, is, (size_t)n) != 0)
                err(1, "io.max");
        close(fd);
        return usec_since(begin);
}

int main(int argc, char **argv) {
        static struct sample hold, apply, least;
        struct disks disks = {};
        struct why why = {};
        int file_fd, rounds;

        if (argc != 3)
                errx(64, "usage: bench-disk FILE ROUNDS");
        file_fd = open(argv[1], O_PATH | O_CLOEXEC);
        if (file_fd < 0)
                err(1, "cannot open %s", argv[1]);
        if (resolve_fd(&disks, file_fd, &host, &why))
                errx(1, "%s", why.text);
        if (disks.n != 1)
                errx(1, "%s lies on %zu disks; one is wanted", argv[1], disks.n);
        rounds = atoi(argv[2]);
        for (int i = -WARM_UP; i < rounds; i++) {
                double resolved, applied, bared;
                int fd = group_make();

                resolved = ours(fd, file_fd, &applied);
                group_remove(fd);
                fd = group_make();
                bared = bare(fd, disks.disk[0].dev);
                group_remove(fd);
                if (i < 0)
                        continue;
                sample_add(&hold, resolved + applied);
                sample_add(&apply, applied);
                sample_add(&least, bared);
        }
        sample_report("disk", "hold_us", 0.5, &hold, "bare", &least, "");
        sample_report("disk", "apply_us", 0.5, &apply, "bare", &least, "");
        close(file_fd);
        return 0;
}
