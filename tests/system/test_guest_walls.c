/* SPDX-License-Identifier: MIT */
/* rig: --mem 1G --smp 1 --disk 256M --timeout 200 --beside */
/*
 * The real thing behind all walls: QEMU as an unprivileged user, under the list that is shipped for
 * it, with a Linux guest whose disk and tap came as descriptors, and no other way to the network.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <base/macro.h>

#include "guest.h"
#include "house.h"
#include "links.h"

#define CONF                                                                                       \
        "[Capacity]\nCPU=64\nMemory=800M\nDisk=1G\nNetwork=10Gbps\n[Ratio]\nCPU=1\nNetwork=1\n"    \
        "[Claim]\nCPU=0.1\nMemory=16M\nDiskIO=10MB/s\nNetwork=0\n[Enforce]\nMemoryOverhead=64M\n"  \
        "[Network]\nUploadCeil=1\nBridge=guest0\nAddress=10.77.0.1/24\n"
#define SLICE "[Access]\nUsers=*\n[Sandbox]\nSeccomp=qemu\nPrivateTmp=yes\nReadOnlyRoot=yes\n"
#define PORT 5300
#define BOOT_MS 120000
#define IMAGE "/run/d/disk.img"

/* Bytes that the guest sends over its tap, a million at least. */
static void take_bytes(int server, struct job *job) {
        struct pollfd in = {server, POLLIN, 0};
        uint64_t until = now_ms() + BOOT_MS;
        static char block[65536];
        size_t sum = 0;
        ssize_t n = 1;
        int fd;

        while (poll(&in, 1, 1000) == 0 && now_ms() < until && !pidfd_wait(job->pidfd, 0))
                job_drain(job);
        job_drain(job);
        need_that(in.revents & POLLIN, "the guest calls; it said %s %s", job->out, job->err);
        fd = accept(server, NULL, NULL);
        while (sum < 1000000 && (n = recv(fd, block, sizeof(block), 0)) > 0)
                sum += (size_t)n;
        unit_note("%zu bytes came from the guest", sum);
        expect(sum >= 1000000);
        close(fd);
}

static bool same_namespace(int pid, const char *name) {
        char mine[64], its[64];
        struct stat a, b;

        snprintf(mine, sizeof(mine), "/proc/self/ns/%s", name);
        snprintf(its, sizeof(its), "/proc/%d/ns/%s", pid, name);
        return stat(mine, &a) == 0 && stat(its, &b) == 0 && a.st_ino == b.st_ino;
}

static void expect_walled(int pid) {
        static const char *const namespaces[] = {"mnt", "pid", "ipc", "uts", "cgroup", "net"};
        static const char *const lines[] = {
                "\nUid:\t1000\t1000\t1000\t1000\n",
                "\nCapEff:\t0000000000000000\n",
                "\nCapBnd:\t0000000000000000\n",
                "\nCapPrm:\t0000000000000000\n",
                "\nNoNewPrivs:\t1\n",
                "\nSeccomp:\t2\n",
        };
        char path[64], status[8192];

        snprintf(path, sizeof(path), "/proc/%d/status", pid);
        file_get(path, status, sizeof(status));
        strcat(status, "\n");
        for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
                expect_in(status, lines[i]);
        for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++)
                expect_that(!same_namespace(pid, namespaces[i]), "its own namespace: %s",
                            namespaces[i]);
}

static void qemu_boots_a_guest_behind_all_walls(void) {
        char kernel[256], append[256], path[300];
        const char *accel, *disks = getenv("RIG_DISKS");
        struct house house;
        struct job job;
        json_t *reply;
        int server;

        if (!disks || !*disks)
                unit_skip("the rig has no disk");
        guest_kernel(kernel, sizeof(kernel));
        accel = guest_accel();
        unit_note("-accel %s", accel);
        need_int(chdir("/"), 0);
        sh("set -e; exec 2>&1; export PATH=$PATH:/sbin:/usr/sbin; mkdir -p /run/d " HOUSE_DIR
           "/vendor; cp -r $PROVIUM_SOURCE/policies/etc/seccomp " HOUSE_DIR "/vendor;"
           "mkfs.ext4 -qF $RIG_DISKS; mount $RIG_DISKS /run/d; truncate -s 16M " IMAGE
           "; chown 1000 " IMAGE "; test ! -e /dev/kvm || chmod 666 /dev/kvm; cp %s /run/kernel;"
           "chmod 644 /run/kernel",
           kernel);
        house_open(&house, CONF, SLICE);
        snprintf(append, sizeof(append),
                 GUEST_APPEND " net.address=10.77.0.11 net.peer=10.77.0.1:5300 net.seconds=8");
        server = guest_serve(PORT);
        snprintf(path, sizeof(path), "%s", guest_pack("netguest", "virtio_pci virtio_net"));
        sh("chmod 644 %s", path);
        JOB(&job, "setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "provium", "run",
            "--slice", "t", "--name", "linux", "--cpus", "2", "--mem", "256M", "--net", "guest0",
            "--download", "10Mbps", "--upload", "10Mbps", "--disk-image", IMAGE, "--",
            "qemu-system-x86_64", "-M", "pc", "-accel", accel, "-cpu", "qemu64,+rdrand", "-m",
            "160M", "-kernel", "/run/kernel", "-initrd", path, "-append", append, "-display",
            "none", "-nodefaults", "-no-user-config", "-no-reboot", "-serial", "stdio", "-drive",
            "if=virtio,format=raw,file={disk.0},cache=none,aio=threads", "-netdev",
            "tap,id=n0,fd={tap.fd},vhost=off", "-device",
            "virtio-net-pci,netdev=n0,mac={mac},romfile=");
        take_bytes(server, &job);
        reply = ask("Show", json_pack("{s:s}", "vm", "linux"));
        expect_walled((int)json_integer_value(json_object_get(
                json_object_get(json_object_get(reply, "parameters"), "vm"), "pid")));
        json_decref(reply);
        close(server);
        house_end_all(&house);
        sh("umount /run/d");
        house_close(&house);
}

UNIT_MAIN(TEST(qemu_boots_a_guest_behind_all_walls), )
