/* SPDX-License-Identifier: MIT */
#include "stacks.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/blkpg.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <linux/raid/md_u.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"

#define GROUPS "/sys/fs/cgroup/io"
#define BLOCK ((size_t)65536)

/* /m is a tmpfs, so that places to mount on are there. */
static const char prelude[] =
        "set -e; exec >/tmp/stack.log 2>&1; set -x;"
        "ext4() { mkfs.ext4 -q -F -N 64 -J size=4 -E nodiscard,lazy_itable_init=1 $1; mkdir -p "
        "/m/$2;"
        "         mount -o noinit_itable$3 $1 /m/$2; };"
        "xfs() { modprobe xfs; mkfs.xfs -q -f -K $1; mkdir -p /m/$2; mount $1 /m/$2; };"
        "linear() { echo \"0 400000 linear $1 0\n400000 400000 linear $2 0\" |"
        "           dmsetup create --noudevsync lin; dmsetup mknodes; };"
        "crypt() { modprobe dm-crypt; dmsetup create --noudevsync cry --table \"0 700000 crypt "
        "          aes-xts-plain64 $(printf %064d 7) 0 $1 0\"; dmsetup mknodes; };";

const struct stack stacks[] = {
        {"disk", "", "/dev/vda", "vda", NULL, NULL},
        {"partition", "addpart /dev/vda 1 2048 700000", "/dev/vda1", "vda", NULL, NULL},
        {"ext4", "ext4 /dev/vda a", "/m/a", "vda", NULL, NULL},
        {"ext4-partition", "addpart /dev/vda 1 2048 700000; ext4 /dev/vda1 a", "/m/a", "vda", NULL,
         NULL},
        {"xfs", "xfs /dev/vda a", "/m/a", "vda", NULL, NULL},
        {"btrfs",
         "modprobe btrfs; mkfs.btrfs -q -f -K -d raid0 /dev/vda /dev/vdb; mkdir -p /m/a;"
         "mount -o device=/dev/vda,device=/dev/vdb /dev/vda /m/a",
         "/m/a", "vda vdb", NULL, NULL},
        {"loop", "ext4 /dev/vda a; truncate -s 200M /m/a/image; losetup /dev/loop0 /m/a/image",
         "/dev/loop0", "loop0+ vda", NULL, "loop0"},
        {"loop-direct",
         "ext4 /dev/vda a; truncate -s 200M /m/a/image;"
         "losetup --direct-io=on /dev/loop0 /m/a/image",
         "/dev/loop0", "loop0+ vda", NULL, "loop0"},
        {"ext4-loop",
         "ext4 /dev/vda a; truncate -s 200M /m/a/image; losetup /dev/loop0 /m/a/image;"
         "ext4 /dev/loop0 c",
         "/m/c", "loop0+ vda", NULL, "loop0"},
        {"ext4-loop-deleted",
         "ext4 /dev/vda a; truncate -s 200M /m/a/image; losetup /dev/loop0 /m/a/image;"
         "rm /m/a/image; ext4 /dev/loop0 c",
         "/m/c", "loop0+ vda", NULL, "loop0"},
        {"loop-disk", "losetup /dev/loop0 /dev/vda", "/dev/loop0", "loop0+ vda", NULL, "loop0"},
        {"dm-linear", "linear /dev/vda /dev/vdb", "/dev/mapper/lin", "dm-0+ vda vdb", NULL, "dm-0"},
        {"ext4-dm-linear", "linear /dev/vda /dev/vdb; ext4 /dev/mapper/lin a", "/m/a",
         "dm-0+ vda vdb", NULL, "dm-0"},
        {"dm-crypt", "crypt /dev/vda", "/dev/mapper/cry", "dm-0+ vda", NULL, "dm-0"},
        {"ext4-dm-crypt", "crypt /dev/vda; ext4 /dev/mapper/cry a", "/m/a", "dm-0+ vda", NULL,
         "dm-0"},
        {"xfs-dm-crypt-linear-partition",
         "addpart /dev/vda 1 2048 700000; linear /dev/vda1 /dev/vdb; crypt /dev/mapper/lin;"
         "xfs /dev/mapper/cry a",
         "/m/a", "dm-1+ dm-0+ vda vdb", NULL, "dm-1"},
        {"raid0", "modprobe raid0 # md 0", "/dev/md0", "md0+ vda vdb", NULL, "md0"},
        {"raid1", "modprobe raid1 # md 1", "/dev/md0", "md0+ vda vdb", NULL, "md0"},
        {"raid5", "modprobe raid456 # md 5", "/dev/md0", "md0+ vda vdb vdc", NULL, "md0", true},
        {"overlay",
         "ext4 /dev/vda a; mkdir -p /m/a/l /m/a/u /m/a/w /m/o;"
         "mount -t overlay -o lowerdir=/m/a/l,upperdir=/m/a/u,workdir=/m/a/w overlay /m/o",
         "/m/o", "vda", NULL, NULL},
        {"overlay-of-disks",
         "ext4 /dev/vda a; ext4 /dev/vdb c; mkdir -p '/m/a/l 1,2' '/m/a/l:3' /m/c/u /m/c/w /m/o;"
         "mount -t overlay -o 'lowerdir=/m/a/l 1\\,2:/m/a/l\\:3,upperdir=/m/c/u,workdir=/m/c/w'"
         " overlay /m/o",
         "/m/o", "vda vdb", NULL, NULL},
        {"bind", "ext4 /dev/vda a; mkdir -p /m/a/d /m/b; mount --bind /m/a/d /m/b", "/m/b", "vda",
         NULL, NULL},

        {"tmpfs", "mkdir -p /m/t; mount -t tmpfs tmpfs /m/t", "/m/t", NULL, "tmpfs", NULL},
        {"ramfs", "mkdir -p /m/t; mount -t ramfs ramfs /m/t", "/m/t", NULL, "ramfs", NULL},
        {"virtiofs", "mkdir -p /m/t; mount -t virtiofs host /m/t", "/m/t", NULL, "virtiofs", NULL},
        {"vfat",
         "modprobe vfat; modprobe nls_cp437; modprobe nls_ascii; mkfs.fat /dev/vda; mkdir -p /m/a;"
         "mount -o iocharset=ascii /dev/vda /m/a",
         "/m/a", NULL, "FAT", NULL},
        {"ext4-data-journal", "ext4 /dev/vda a ,data=journal", "/m/a", NULL, "data=journal", NULL},
        {"loop-on-tmpfs",
         "mkdir -p /m/t; mount -t tmpfs tmpfs /m/t; truncate -s 64M /m/t/image;"
         "losetup /dev/loop0 /m/t/image",
         "/dev/loop0", NULL, "tmpfs", NULL},
        {"overlay-on-tmpfs",
         "mkdir -p /m/t; mount -t tmpfs tmpfs /m/t; ext4 /dev/vda a; mkdir -p /m/a/l /m/t/u /m/t/w "
         "/m/o; mount -t overlay -o lowerdir=/m/a/l,upperdir=/m/t/u,workdir=/m/t/w overlay /m/o",
         "/m/o", NULL, "tmpfs", NULL},
        {"overlay-of-relative-names",
         "ext4 /dev/vda a; mkdir -p /m/a/l /m/a/u /m/a/w /m/o; cd /m/a;"
         "mount -t overlay -o lowerdir=l,upperdir=u,workdir=w overlay /m/o",
         "/m/o", NULL, "absolute", NULL},
        {"proc", "", "/proc/self", NULL, "file system", NULL},
        {"character-device", "", "/dev/null", NULL, "not a file", NULL},
};
const size_t n_stacks = sizeof(stacks) / sizeof(stacks[0]);

const char *const job_names[_JOB_N] = {"direct read", "direct write", "buffered read",
                                       "buffered write"};

const struct stack *stack_find(const char *name) {
        for (size_t i = 0; i < n_stacks; i++)
                if (strcmp(stacks[i].name, name) == 0)
                        return &stacks[i];
        abort();
}

void need_disks(void) {
        const char *disks = getenv("RIG_DISKS");

        if (!disks || strcmp(disks, "/dev/vda /dev/vdb /dev/vdc") != 0)
                unit_skip("this does not run in the rig, or without three disks");
        if (access("/m", F_OK) < 0) {
                need_int(system("mkdir /m && mount -t tmpfs tmpfs /m && modprobe dm-mod"), 0);
                need_int(system("exec 2>/dev/null; mkdir /sys/fs/cgroup/io && cd /sys/fs/cgroup &&"
                                "echo +io +memory +cpu > cgroup.subtree_control &&"
                                "echo +io +memory +cpu > io/cgroup.subtree_control"),
                         0);
        }
}

void shell(const char *format, ...) {
        char command[4096];
        va_list args;
        size_t used;
        int r;

        used = (size_t)snprintf(command, sizeof(command), "%s", prelude);
        va_start(args, format);
        used += (size_t)vsnprintf(command + used, sizeof(command) - used, format, args);
        va_end(args);
        need(used < sizeof(command));
        r = system(command);
        if (r != 0) {
                r = system("tail -20 /tmp/stack.log");
                need_that(false, "the shell failed: %s (%d)", command + strlen(prelude), r);
        }
}

/* ---- md: an array without superblocks, by ioctl as mdadm does it --------------------------------
 */

static void md_up(int level) {
        int n = level == 5 ? 3 : 2, fd;
        mdu_array_info_t array = {.level = level,
                                  .minor_version = 90,
                                  .size = level == 0 ? 0 : 350 * 1024,
                                  .nr_disks = n,
                                  .raid_disks = n,
                                  .active_disks = n,
                                  .working_disks = n,
                                  .not_persistent = 1,
                                  .state = 1 << 0 /* MD_SB_CLEAN */,
                                  .layout = level == 5 ? 2 : 0,
                                  .chunk_size = level == 1 ? 0 : 65536};

        (void)mknod("/dev/md0", S_IFBLK | 0600, makedev(MD_MAJOR, 0));
        fd = open("/dev/md0", O_RDWR | O_CLOEXEC);
        need_that(fd >= 0, "open md0: %s", strerror(errno));
        need_that(ioctl(fd, SET_ARRAY_INFO, &array) == 0, "SET_ARRAY_INFO: %s", strerror(errno));
        for (int i = 0; i < n; i++) {
                mdu_disk_info_t disk = {.number = i, .raid_disk = i, .state = 1 << 1 | 1 << 2};
                char path[16];
                struct stat st;

                snprintf(path, sizeof(path), "/dev/vd%c", 'a' + i);
                need_int(stat(path, &st), 0);
                disk.major = (int)major(st.st_rdev);
                disk.minor = (int)minor(st.st_rdev);
                need_that(ioctl(fd, ADD_NEW_DISK, &disk) == 0, "ADD_NEW_DISK: %s", strerror(errno));
        }
        need_that(ioctl(fd, RUN_ARRAY, NULL) == 0, "RUN_ARRAY: %s", strerror(errno));
        close(fd);
}

static void md_down(void) {
        struct pollfd nothing = {.fd = -1};

        for (unsigned i = 0; i < 100; i++) {
                int fd = open("/dev/md0", O_RDONLY | O_CLOEXEC), r;

                if (fd < 0)
                        return;
                r = ioctl(fd, STOP_ARRAY, NULL);
                close(fd);
                if (r == 0 || errno != EBUSY)
                        break;
                (void)poll(&nothing, 0, 20);
        }
        unlink("/dev/md0");
}

int stack_up(const struct stack *stack) {
        const char *md = strstr(stack->up, "# md ");
        int fd;

        shell("%s", stack->up);
        if (md)
                md_up(atoi(md + 5));
        fd = open(stack->path, O_PATH | O_CLOEXEC);
        need_that(fd >= 0, "open %s: %s", stack->path, strerror(errno));
        return fd;
}

/* In the order of /proc/mounts backwards; what is still busy is for the next round. */
static void unmount_all(void) {
        char line[1024], path[64][128];
        FILE *file = fopen("/proc/mounts", "re");
        size_t n = 0;

        need(file != NULL);
        while (n < 64 && fgets(line, sizeof(line), file))
                if (sscanf(line, "%*s %127s", path[n]) == 1 && strncmp(path[n], "/m/", 3) == 0)
                        n++;
        fclose(file);
        while (n > 0)
                umount2(path[--n], 0);
}

/* Backwards, as loops may stand on loops. */
static void detach_loops(void) {
        for (int i = 63; i >= 0; i--) {
                char path[64];
                int fd;

                snprintf(path, sizeof(path), "/sys/block/loop%d/loop", i);
                if (access(path, F_OK) < 0)
                        continue;
                snprintf(path, sizeof(path), "/dev/loop%d", i);
                fd = open(path, O_RDONLY | O_CLOEXEC);
                ioctl(fd, LOOP_CLR_FD, 0);
                close(fd);
        }
}

static void wipe_disks(void) {
        static const char zeros[1 << 20];

        for (int i = 0; i < 3; i++) {
                struct blkpg_partition part = {.pno = 1};
                struct blkpg_ioctl_arg arg = {
                        .op = BLKPG_DEL_PARTITION, .datalen = sizeof(part), .data = &part};
                char path[16];
                int fd;

                snprintf(path, sizeof(path), "/dev/vd%c", 'a' + i);
                fd = open(path, O_WRONLY | O_CLOEXEC);
                need_that(fd >= 0, "open %s: %s", path, strerror(errno));
                ioctl(fd, BLKPG, &arg);
                need_int(write(fd, zeros, sizeof(zeros)), sizeof(zeros));
                close(fd);
        }
}

void stacks_down(void) {
        for (unsigned i = 0; i < 3; i++) {
                unmount_all();
                if (access("/sys/block/dm-0", F_OK) == 0)
                        shell("dmsetup remove_all --noudevsync || :");
                detach_loops();
        }
        if (access("/dev/md0", F_OK) == 0)
                md_down();
        wipe_disks();
}

/* ---- jobs --------------------------------------------------------------------------------------
 */

uint64_t now_usec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

void sleep_usec(uint64_t usec) {
        struct timespec ts = {.tv_sec = (time_t)(usec / 1000000),
                              .tv_nsec = (long)(usec % 1000000) * 1000};

        nanosleep(&ts, NULL);
}

void job_file(const struct stack *stack, char path[256]) {
        static char block[1 << 20] __attribute__((aligned(4096)));
        struct stat st;
        int fd;

        need_int(stat(stack->path, &st), 0);
        snprintf(path, 256, "%s%s", stack->path, S_ISDIR(st.st_mode) ? "/data" : "");
        fd = open(path, O_WRONLY | O_DIRECT | O_CLOEXEC | (S_ISDIR(st.st_mode) ? O_CREAT : 0),
                  0600);
        need_that(fd >= 0, "open %s: %s", path, strerror(errno));
        memset(block, 'x', sizeof(block));
        for (uint64_t at = 0; at < JOB_BYTES; at += sizeof(block))
                need_int(write(fd, block, sizeof(block)), sizeof(block));
        fsync(fd);
        close(fd);
}

int group_open(const char *name) {
        char path[128];
        FILE *file;
        int fd;

        snprintf(path, sizeof(path), GROUPS "/%s", name);
        need_that(mkdir(path, 0755) == 0, "mkdir %s: %s", path, strerror(errno));
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        need(fd >= 0);
        snprintf(path, sizeof(path), GROUPS "/%s/memory.max", name);
        file = fopen(path, "w");
        need(file != NULL);
        fputs("64M", file);
        need_int(fclose(file), 0);
        return fd;
}

void group_close(int fd, const char *name) {
        char path[128];
        int r = -1;

        close(fd);
        snprintf(path, sizeof(path), GROUPS "/%s", name);
        for (unsigned i = 0; i < 200 && (r = rmdir(path)) < 0; i++)
                sleep_usec(20000);
        expect_that(r == 0, "rmdir %s: %s", path, strerror(errno));
}

static void progress_note(struct progress *progress, uint64_t *lastp) {
        static const uint64_t edges[] = {1000, 2000, 5000, 10000, 50000, 100000, 500000};
        uint64_t now = now_usec(), gap = now - *lastp;
        size_t i = 0;

        while (i < 7 && gap >= edges[i])
                i++;
        progress->gaps[i]++;
        if (gap > progress->gap_max_usec)
                progress->gap_max_usec = gap;
        progress->bytes += BLOCK;
        *lastp = now;
}

static void __attribute__((noreturn))
job_run(const char *path, enum job job, unsigned nth, struct progress *progress) {
        static char block[65536] __attribute__((aligned(4096)));
        bool writes = job == WRITE_DIRECT || job == WRITE_BUFFERED;
        bool direct = job == READ_DIRECT || job == WRITE_DIRECT;
        uint64_t at = nth * (JOB_BYTES / 2), last;
        int fd;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        fd = open(path,
                  (writes ? O_WRONLY : O_RDONLY) | (direct ? O_DIRECT : 0) | O_CREAT | O_CLOEXEC,
                  0600);
        if (fd < 0)
                _exit(2);
        memset(block, 'y', sizeof(block));
        if (job == READ_BUFFERED)
                posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        last = now_usec();
        for (;; at += BLOCK) {
                ssize_t n;

                if (at >= JOB_BYTES) {
                        at = 0;
                        if (job == READ_BUFFERED)
                                posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
                }
                n = writes ? pwrite(fd, block, BLOCK, (off_t)at)
                           : pread(fd, block, BLOCK, (off_t)at);
                if (n != (ssize_t)BLOCK)
                        _exit(3);
                if (progress)
                        progress_note(progress, &last);
        }
}

pid_t job_start(int group_fd, const char *path, enum job job, unsigned nth,
                struct progress *progress) {
        pid_t pid = fork();

        if (pid == 0) {
                int fd = openat(group_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);

                if (fd < 0 || write(fd, "0", 1) != 1)
                        _exit(1);
                close(fd);
                job_run(path, job, nth, progress);
        }
        need(pid > 0);
        return pid;
}

void job_end(pid_t pid) {
        int status = -1;

        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        expect_that(WIFSIGNALED(status), "the job ended by itself: status 0x%x", status);
}

uint64_t device_bytes(const char *name, bool written) {
        unsigned long long v[7] = {};
        char path[128];
        FILE *file;

        snprintf(path, sizeof(path), "/sys/block/%s/stat", name);
        file = fopen(path, "re");
        need_that(file != NULL, "%s: %s", path, strerror(errno));
        need_int(fscanf(file, "%llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3],
                        &v[4], &v[5], &v[6]),
                 7);
        fclose(file);
        return v[written ? 6 : 2] * 512;
}
