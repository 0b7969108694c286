/* SPDX-License-Identifier: MIT */
/* rig: --disk 16M --swap 32M --env RIG_TEST=a=b */
/*
 * What the other kernel tests take for granted in the rig's guest; and the wall between the guest
 * and the host's files, climbed as root with a second, writable mount of the share.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/magic.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "unit.h"

#define SHARE "/tmp/rig-share"

static void file_text(const char *path, char *text, size_t size) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = 0;

        if (fd >= 0) {
                n = read(fd, text, size - 1);
                close(fd);
        }
        text[n > 0 ? n : 0] = '\0';
}

static void need_rig(void) {
        const char *rig = getenv("PROVIUM_RIG");

        if (!rig || strcmp(rig, "guest") != 0)
                unit_skip("this does not run in the rig");
}

static void every_controller_is_in_version_two(void) {
        static const char *const names[] = { "cpuset", "cpu", "io", "memory", "hugetlb", "pids" };
        char text[256];
        struct statfs st;

        need_int(statfs("/sys/fs/cgroup", &st), 0);
        expect_int(st.f_type, CGROUP2_SUPER_MAGIC);
        file_text("/sys/fs/cgroup/cgroup.controllers", text, sizeof(text));
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                expect_in(text, names[i]);
        file_text("/sys/fs/cgroup/cgroup.subtree_control", text, sizeof(text));
        expect_str(text, "");
}

static void a_cgroup_directory_takes_trusted_attributes(void) {
        char text[8] = "";

        need_int(mkdir("/sys/fs/cgroup/rig-xattr", 0755), 0);
        expect_int(setxattr("/sys/fs/cgroup/rig-xattr", "trusted.provium.t", "yes", 3, 0), 0);
        expect_int(getxattr("/sys/fs/cgroup/rig-xattr", "trusted.provium.t", text, 7), 3);
        expect_str(text, "yes");
        expect_int(rmdir("/sys/fs/cgroup/rig-xattr"), 0);
}

static void pressure_is_readable(void) {
        char text[256];

        file_text("/proc/pressure/memory", text, sizeof(text));
        expect_in(text, "full avg10=");
}

static void a_tap_can_be_made_and_the_loopback_is_up(void) {
        struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI, .ifr_name = "rigtap" };
        struct ifreq lo = { .ifr_name = "lo" };
        int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
        int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        need(fd >= 0 && s >= 0);
        expect_int(ioctl(fd, TUNSETIFF, &r), 0);
        expect_int(ioctl(s, SIOCGIFFLAGS, &lo), 0);
        expect(lo.ifr_flags & IFF_UP);
        close(fd);
        close(s);
}

static void no_other_hypervisor_is_offered(void) {
        expect_int(access("/dev/kvm", F_OK), -1);
}

static void a_module_outside_our_lists_can_be_inserted(void) {
        expect_int(system("modprobe sch_netem"), 0);
        expect_int(access("/sys/module/sch_netem", F_OK), 0);
}

static void options_of_the_source_file_arrive(void) {
        char text[512];

        expect_str(getenv("RIG_TEST"), "a=b");
        expect_str(getenv("RIG_DISKS"), "/dev/vda");
        expect_int(access("/dev/vda", R_OK | W_OK), 0);
        file_text("/proc/swaps", text, sizeof(text));
        expect_in(text, "/dev/vdb");
}

static void our_layer_is_writable(void) {
        static const char *const paths[] = { "/etc/rig-test", "/run/rig-test", "/tmp/rig-test",
                                             "/usr/lib/rig-test" };

        for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
                int fd = open(paths[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

                expect_that(fd >= 0, "%s: %s", paths[i], strerror(errno));
                close(fd);
        }
        /* A file of the host is copied up: changed here, the same as ever there. */
        expect_int(chmod("/etc/passwd", 0600), 0);
}

/* Each attempt names what it did if it succeeded; ./rig.sh looks at the host's side. */
static void the_hosts_files_cannot_be_changed(void) {
        const char *source = getenv("PROVIUM_SOURCE");
        char path[512];

        need(source != NULL);
        need(mkdir(SHARE, 0700) == 0 || errno == EEXIST);
        need_that(mount("host", SHARE, "virtiofs", 0, NULL) == 0, "mount: %s", strerror(errno));
        snprintf(path, sizeof(path), SHARE "%s/rig-was-here", source);

#define REFUSED(call)                                                                   \
        do {                                                                            \
                errno = 0;                                                              \
                expect_that((call) < 0 && errno == EROFS, "%s: errno is %d (%s)", #call, \
                            errno, strerror(errno));                                    \
        } while (0)
        REFUSED(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
        REFUSED(mkdir(path, 0755));
        REFUSED(mknod(path, S_IFCHR | 0600, makedev(1, 3)));
        REFUSED(symlink("/etc/passwd", path));
        REFUSED(open(SHARE "/etc/passwd", O_WRONLY | O_APPEND | O_CLOEXEC));
        REFUSED(chmod(SHARE "/etc/passwd", 0666));
        REFUSED(chown(SHARE "/etc/passwd", 1, 1));
        REFUSED(unlink(SHARE "/etc/passwd"));
        REFUSED(rename(SHARE "/etc/passwd", SHARE "/etc/passwd.rig"));
        REFUSED(link(SHARE "/etc/passwd", path));
        REFUSED(truncate(SHARE "/etc/passwd", 0));
        REFUSED(rmdir(SHARE "/tmp"));
#undef REFUSED
        expect_int(access(SHARE "/proc/1", F_OK), -1);
        expect_int(access(SHARE "/sys/kernel", F_OK), -1);
        umount(SHARE);
}

static void the_command_has_no_terminal(void) {
        expect(!isatty(STDOUT_FILENO));
        expect(!isatty(STDIN_FILENO));
}

static void with_rig(void (*test)(void)) {
        need_rig();
        test();
}

#define IN_RIG(name) static void in_rig_##name(void) { with_rig(name); }
IN_RIG(every_controller_is_in_version_two)
IN_RIG(a_cgroup_directory_takes_trusted_attributes)
IN_RIG(pressure_is_readable)
IN_RIG(a_tap_can_be_made_and_the_loopback_is_up)
IN_RIG(no_other_hypervisor_is_offered)
IN_RIG(a_module_outside_our_lists_can_be_inserted)
IN_RIG(options_of_the_source_file_arrive)
IN_RIG(our_layer_is_writable)
IN_RIG(the_hosts_files_cannot_be_changed)
IN_RIG(the_command_has_no_terminal)

UNIT_MAIN(
        TEST(in_rig_every_controller_is_in_version_two),
        TEST(in_rig_a_cgroup_directory_takes_trusted_attributes),
        TEST(in_rig_pressure_is_readable),
        TEST(in_rig_a_tap_can_be_made_and_the_loopback_is_up),
        TEST(in_rig_no_other_hypervisor_is_offered),
        TEST(in_rig_a_module_outside_our_lists_can_be_inserted),
        TEST(in_rig_options_of_the_source_file_arrive),
        TEST(in_rig_our_layer_is_writable),
        TEST(in_rig_the_hosts_files_cannot_be_changed),
        TEST(in_rig_the_command_has_no_terminal),
)
