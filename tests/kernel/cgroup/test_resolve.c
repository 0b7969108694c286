/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 1G --disk 400M --disk 400M --disk 400M --timeout 200 */
/*
 * From a file to its disks on every stack that this kernel can make of three disks: what is
 * answered, what is refused and with which words, what happens when the file or a device changes
 * beneath us.
 */
#include <base/fd.h>
#include <base/why.h>
#include <cgroup/resolve.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/loop.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stacks.h"
#include "unit.h"

static const struct resolve_host host = RESOLVE_HOST_HERE;
static struct why why;
static struct disks disks;

static void fresh(void) {
        need_disks();
        stacks_down();
        why = (struct why){};
        disks = (struct disks){};
}

static int resolve(int fd) {
        why.text[0] = '\0';
        return resolve_fd(&disks, fd, &host, &why);
}

static int resolve_path(const char *path) {
        int fd = open(path, O_PATH | O_CLOEXEC), r;

        need_that(fd >= 0, "open %s: %s", path, strerror(errno));
        r = resolve(fd);
        close(fd);
        return r;
}

static bool wanted_has(const char *wanted, const struct disk *disk) {
        char word[RESOLVE_NAME_SIZE + 8], all[256];

        snprintf(word, sizeof(word), " %s%s ", disk->name, disk->through ? "+" : "");
        snprintf(all, sizeof(all), " %s ", wanted);
        return strstr(all, word) != NULL;
}

static void check(const struct stack *stack, int fd) {
        size_t words = 1;
        int r = resolve(fd);

        if (!stack->wanted) {
                expect_that(r == RESOLVE_E_NONE, "%s: answer %d (%s)", stack->name, r, why.text);
                expect_that(strstr(why.text, stack->why) != NULL, "%s: '%s' lacks '%s'",
                            stack->name, why.text, stack->why);
                expect_that(disks.n == 0, "%s: something was added", stack->name);
                unit_note("%-30s refused: %s", stack->name, why.text);
                return;
        }
        expect_that(r == 0, "%s: answer %d (%s)", stack->name, r, why.text);
        for (const char *at = stack->wanted; (at = strchr(at, ' ')); at++)
                words++;
        expect_that(disks.n == words, "%s: %zu devices, wanted %s", stack->name, disks.n,
                    stack->wanted);
        for (size_t i = 0; i < disks.n; i++)
                expect_that(wanted_has(stack->wanted, &disks.disk[i]), "%s: %s%s is not of %s",
                            stack->name, disks.disk[i].name, disks.disk[i].through ? "+" : "",
                            stack->wanted);
        unit_note("%-30s %s", stack->name, stack->wanted);
}

static void every_stack_has_its_answer(void) {
        for (size_t i = 0; i < n_stacks; i++) {
                int fd;

                fresh();
                fd = stack_up(&stacks[i]);
                check(&stacks[i], fd);
                close(fd);
        }
        stacks_down();
}

static void the_rigs_own_root_is_refused(void) {
        fresh();
        expect_int(resolve_path("/"), RESOLVE_E_NONE);
        unit_note("/: %s", why.text);
}

static void files_add_up_without_repeats(void) {
        fresh();
        shell("ext4 /dev/vda a; ext4 /dev/vdb c; touch /m/a/1 /m/a/2 /m/c/3");
        expect_int(resolve_path("/m/a/1"), 0);
        expect_int(resolve_path("/m/a/2"), 0);
        expect_uint(disks.n, 1);
        expect_int(resolve_path("/m/c/3"), 0);
        expect_int(resolve_path("/dev/vda"), 0);
        expect_uint(disks.n, 2);
        expect(disks_find(&disks, makedev(1, 1)) == NULL);
        /* A refusal adds nothing. */
        expect_int(resolve_path("/m"), RESOLVE_E_NONE);
        expect_uint(disks.n, 2);
        stacks_down();
}

static void what_was_opened_counts_and_not_the_name(void) {
        int fd;

        fresh();
        shell("ext4 /dev/vda a; ext4 /dev/vdb c; touch /m/a/image /m/c/image;"
              "ln -sfn /m/a/image /m/link");
        fd = open("/m/link", O_PATH | O_CLOEXEC);
        need(fd >= 0);
        shell("ln -sfn /m/c/image /m/link; rm /m/a/image");
        expect_int(resolve(fd), 0);
        need_uint(disks.n, 1);
        expect_str(disks.disk[0].name, "vda");
        close(fd);
        unlink("/m/link");
        stacks_down();
}

static void a_loop_device_that_is_detached_is_gone_and_not_made_anew(void) {
        struct stat st;
        int fd;

        fresh();
        shell("ext4 /dev/vda a; truncate -s 64M /m/a/image; losetup /dev/loop0 /m/a/image");
        fd = open("/dev/loop0", O_PATH | O_CLOEXEC);
        need(fd >= 0);
        expect_int(resolve(fd), 0);
        shell("losetup -d /dev/loop0");
        expect_int(resolve(fd), RESOLVE_E_GONE);
        unit_note("detached: %s", why.text);
        close(fd);

        /* A node for a device that is not there. */
        need_int(mknod("/m/absent", S_IFBLK | 0600, makedev(7, 77)), 0);
        expect_int(resolve_path("/m/absent"), RESOLVE_E_GONE);
        unit_note("absent: %s", why.text);
        expect(stat("/sys/block/loop77", &st) < 0);
        unlink("/m/absent");
        stacks_down();
}

static void a_device_that_vanishes_below_a_mount_is_gone(void) {
        int fd;

        fresh();
        shell("linear /dev/vda /dev/vdb");
        fd = open("/dev/mapper/lin", O_PATH | O_CLOEXEC);
        need(fd >= 0);
        expect_int(resolve(fd), 0);
        shell("dmsetup remove --noudevsync lin");
        expect_int(resolve(fd), RESOLVE_E_GONE);
        unit_note("removed: %s", why.text);
        close(fd);

        disks = (struct disks){};
        shell("crypt /dev/vda; ext4 /dev/mapper/cry a; dmsetup suspend --noflush --nolockfs cry;"
              "dmsetup load cry --table '0 700000 error'; dmsetup resume --noudevsync cry");
        /* Nothing is beneath it any more: it is a device of its own. */
        expect_int(resolve_path("/m/a"), 0);
        expect_uint(disks.n, 1);
        expect(!disks.disk[0].through);
        stacks_down();
}

/* The driver lets go of the disk, as when it is pulled. */
static void a_disk_that_is_pulled_is_gone(void) {
        int fd;

        fresh();
        shell("ext4 /dev/vdc a; touch /m/a/image");
        fd = open("/m/a/image", O_PATH | O_CLOEXEC);
        need(fd >= 0);
        expect_int(resolve(fd), 0);
        shell("d=$(readlink -f /sys/block/vdc/device); d=${d##*/}; cd /sys/bus/virtio/drivers;"
              "echo $d >virtio_blk/unbind; echo $d >/tmp/pulled");
        expect_int(resolve(fd), RESOLVE_E_GONE);
        unit_note("pulled: %s", why.text);
        close(fd);
        shell("umount /m/a; cd /sys/bus/virtio/drivers; echo $(cat /tmp/pulled) >virtio_blk/bind;"
              "test -b /dev/vdc");
        stacks_down();
}

static void a_name_that_is_another_file_now_is_not_followed(void) {
        fresh();
        /* The loop's file is on btrfs, whose st_dev is no device: only the name leads there. */
        shell("modprobe btrfs; mkfs.btrfs -q -f /dev/vda; mkdir -p /m/a; mount /dev/vda /m/a;"
              "truncate -s 64M /m/a/image; losetup /dev/loop0 /m/a/image");
        expect_int(resolve_path("/dev/loop0"), 0);
        expect_uint(disks.n, 2);
        disks = (struct disks){};
        shell("mv /m/a/image /m/a/other; ext4 /dev/vdb c; truncate -s 64M /m/c/image;"
              "ln -s /m/c/image /m/a/image");
        /* The kernel shows the new name of the very file. */
        expect_int(resolve_path("/dev/loop0"), 0);
        expect_that(disks.n == 2 && !disks_find(&disks, makedev(254, 16)), "%zu", disks.n);
        disks = (struct disks){};
        shell("rm /m/a/other; truncate -s 64M '/m/a/other (deleted)'");
        expect_int(resolve_path("/dev/loop0"), RESOLVE_E_NONE);
        unit_note("%s", why.text);
        stacks_down();
}

static void a_mount_of_another_namespace_is_refused(void) {
        char text[64] = "";
        int in[2], out[2];
        pid_t pid;
        int fd;

        fresh();
        need_int(pipe(in), 0);
        need_int(pipe(out), 0);
        pid = fork();
        if (pid == 0) {
                close(out[0]);
                close(in[1]);
                dup2(in[0], 0);
                dup2(out[1], 1);
                execlp("unshare", "unshare", "-m", "sh", "-c",
                       "mkdir -p /m/o; mount -t tmpfs t /m/o; mkdir /m/o/l /m/o/u /m/o/w /m/o/o;"
                       "mount -t overlay -o lowerdir=/m/o/l,upperdir=/m/o/u,workdir=/m/o/w o "
                       "/m/o/o; echo ready; read x",
                       NULL);
                _exit(127);
        }
        close(out[1]);
        need(read(out[0], text, sizeof(text)) > 0);
        snprintf(text, sizeof(text), "/proc/%d/root/m/o/o", pid);
        fd = open(text, O_PATH | O_CLOEXEC);
        need(fd >= 0);
        expect_int(resolve(fd), RESOLVE_E_NONE);
        expect_in(why.text, "namespace");
        close(fd);
        close(in[0]);
        close(in[1]);
        close(out[0]);
        stacks_down();
}

/* In a namespace of its own, in which nothing of the stack is mounted. */
static int resolve_away(int fd, const struct resolve_host *from) {
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            umount2("/m", MNT_DETACH) < 0)
                return -1;
        return resolve_fd(&disks, fd, from, &why);
}

static void the_hosts_mounts_are_seen_from_a_namespace_of_ones_own(void) {
        char dev_dir[32];
        struct resolve_host lent = RESOLVE_HOST_HERE;
        int fd, dev_fd, status = -1;
        pid_t pid;

        fresh();
        fd = stack_up(stack_find("overlay-of-disks"));
        dev_fd = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
        snprintf(dev_dir, sizeof(dev_dir), "/proc/self/fd/%d", dev_fd);
        lent.dev_dir = dev_dir;
        lent.mountinfo_fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
        need(dev_fd >= 0 && lent.mountinfo_fd >= 0);
        for (int borrowed = 0; borrowed < 2; borrowed++) {
                pid = fork();
                if (pid == 0) {
                        int r = resolve_away(fd, borrowed ? &lent : &host);

                        if (r)
                                unit_note("alone: %s", why.text);
                        /* Twice: it is read from its beginning. */
                        if (r == 0 && borrowed)
                                r = resolve_fd(&disks, fd, &lent, &why);
                        fflush(stdout);
                        _exit(r ? 10 + r : (int)disks.n);
                }
                need(pid > 0);
                need_int(waitpid(pid, &status, 0), pid);
                expect_int(status, W_EXITCODE(borrowed ? 2 : 10 + RESOLVE_E_NONE, 0));
        }
        close(lent.mountinfo_fd);
        close(dev_fd);
        close(fd);
        stacks_down();
}

/* Without the capabilities that let root read everybody's files. */
static int resolve_as_stranger(int fd) {
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
        char path[32];

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (syscall(SYS_capset, &header, data) < 0 || open(path, O_RDONLY | O_CLOEXEC) >= 0)
                return -1;
        return resolve(fd);
}

static void btrfs_tells_of_a_file_that_one_may_not_read(void) {
        int fd, status = -1;
        pid_t pid;

        fresh();
        shell("modprobe btrfs; mkfs.btrfs -q -f /dev/vda; mkdir -p /m/a; mount /dev/vda /m/a;"
              "touch /m/a/image; chown 1000:1000 /m/a/image; chmod 600 /m/a/image");
        fd = open("/m/a/image", O_PATH | O_CLOEXEC);
        need(fd >= 0);
        pid = fork();
        if (pid == 0) {
                int r = resolve_as_stranger(fd);

                _exit(r ? 10 + r : (int)disks.n);
        }
        need(pid > 0);
        need_int(waitpid(pid, &status, 0), pid);
        expect_int(status, W_EXITCODE(1, 0));
        close(fd);
        stacks_down();
}

static void loop_attach(int i, const char *backing) {
        int fd, file_fd = open(backing, O_RDWR | O_CLOEXEC);
        char path[32];

        snprintf(path, sizeof(path), "/dev/loop%d", i);
        (void)mknod(path, S_IFBLK | 0600, makedev(7, (unsigned)i));
        fd = open(path, O_RDWR | O_CLOEXEC);
        need_that(ioctl(fd, LOOP_SET_FD, file_fd) == 0, "%s: %s", path, strerror(errno));
        close(file_fd);
        close(fd);
}

static void a_deep_stack_of_loops_ends(void) {
        char path[32];

        fresh();
        shell("ext4 /dev/vda a; truncate -s 4M /m/a/i");
        loop_attach(0, "/m/a/i");
        for (int i = 1; i <= 40; i++) {
                snprintf(path, sizeof(path), "/dev/loop%d", i - 1);
                loop_attach(i, path);
        }
        expect_int(resolve_path("/dev/loop40"), RESOLVE_E_MANY);
        unit_note("%s", why.text);
        expect_uint(disks.n, 0);
        expect_int(resolve_path("/dev/loop20"), 0);
        expect_uint(disks.n, 22);
        stacks_down();
}

static void nothing_stays_open(void) {
        int before, after;

        fresh();
        shell("ext4 /dev/vda a; truncate -s 64M /m/a/image; losetup /dev/loop0 /m/a/image;"
              "ext4 /dev/loop0 c");
        before = dup(0);
        close(before);
        for (unsigned i = 0; i < 50; i++)
                expect_int(resolve_path("/m/c"), 0);
        expect_int(resolve_path("/m"), RESOLVE_E_NONE);
        after = dup(0);
        close(after);
        expect_int(after, before);
        stacks_down();
}

UNIT_MAIN(TEST(every_stack_has_its_answer), TEST(the_rigs_own_root_is_refused),
          TEST(files_add_up_without_repeats), TEST(what_was_opened_counts_and_not_the_name),
          TEST(a_loop_device_that_is_detached_is_gone_and_not_made_anew),
          TEST(a_device_that_vanishes_below_a_mount_is_gone), TEST(a_disk_that_is_pulled_is_gone),
          TEST(a_name_that_is_another_file_now_is_not_followed),
          TEST(a_mount_of_another_namespace_is_refused),
          TEST(the_hosts_mounts_are_seen_from_a_namespace_of_ones_own),
          TEST(btrfs_tells_of_a_file_that_one_may_not_read), TEST(a_deep_stack_of_loops_ends),
          TEST(nothing_stays_open), )
