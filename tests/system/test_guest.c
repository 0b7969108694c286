/* SPDX-License-Identifier: MIT */
/* rig: --mem 1G --smp 1 --timeout 280 */
/*
 * The real thing: QEMU with a Linux guest and virtio-net on a tap of the broker's. The guest
 * (helpers/netguest) sends to a server of ours and then receives from it; what is counted is what
 * the server's TCP has received, and what the guest's has acknowledged, after the burst.
 *
 * A busy machine can only take from what arrives, so the best of a few runs counts.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <base/macro.h>

#include "guest.h"
#include "house.h"

#define CONF                                                                                       \
        "[Capacity]\nCPU=64\nMemory=800M\nDisk=1G\nNetwork=10Gbps\n[Ratio]\nCPU=1\nNetwork=1\n"    \
        "[Claim]\nCPU=0.1\nMemory=16M\nDiskIO=0\nNetwork=0\n[Enforce]\nMemoryOverhead=64M\n"       \
        "[Network]\nUploadCeil=1\nDownloadBucket=1\nBridge=guest0\nAddress=10.77.0.1/24\n"
#define PORT 5300
#define RATE_MBIT 2.0
#define RATE "2Mbps"
#define LEAST (0.93 * RATE_MBIT)
#define MOST (1.02 * RATE_MBIT)
#define SECONDS "16"
#define BURST_MS 3000 /* 128 KiB at this rate are half a second */
#define WINDOW_MS 10000
#define RUNS_MAX 3
#define BOOT_MS 180000

static int take_call(int server, struct job *job, char wanted) {
        struct pollfd in = {server, POLLIN, 0};
        uint64_t until = now_ms() + BOOT_MS;
        char letter = 0;
        int fd;

        while (poll(&in, 1, 1000) == 0 && now_ms() < until && !pidfd_wait(job->pidfd, 0))
                job_drain(job);
        job_drain(job);
        need_that(in.revents & POLLIN, "the guest calls; it said %s %s", job->out, job->err);
        fd = accept(server, NULL, NULL);
        need_int(recv(fd, &letter, 1, 0), 1);
        need_int(letter, wanted);
        return fd;
}

/* Bytes that passed: received by us, or acknowledged by the guest. */
static uint64_t passed(int fd, bool upload) {
        struct tcp_info info = {};
        socklen_t size = sizeof(info);

        need_int(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
        return upload ? info.tcpi_bytes_received : info.tcpi_bytes_acked;
}

/*
 * Mbit/s in the window after the burst, or -1 if the guest ended before. The time is looked at
 * every 100 ms: a socket that is sent on is writable only when a third of its buffer is free, which
 * can be a second and more at this rate.
 */
static double measure(int fd, bool upload) {
        static char block[65536];
        uint64_t begin = now_us(), from = 0, from_us = 0, now;

        for (;;) {
                struct pollfd ready = {fd, upload ? POLLIN : POLLOUT, 0};
                ssize_t n = 1;

                if (poll(&ready, 1, 100) > 0)
                        n = upload ? recv(fd, block, sizeof(block), MSG_DONTWAIT)
                                   : send(fd, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL);
                now = now_us();
                if (from_us == 0 && now - begin > BURST_MS * 1000) {
                        from = passed(fd, upload);
                        from_us = now;
                }
                if (from_us && now - from_us > WINDOW_MS * 1000)
                        return (double)(passed(fd, upload) - from) * 8 / (double)(now - from_us);
                if (n == 0 || (n < 0 && errno != EAGAIN))
                        return -1;
        }
}

/* The call that the guest makes next, to its end. */
static double measure_call(int server, struct job *job, bool upload) {
        static char block[65536];
        int fd = take_call(server, job, upload ? 'U' : 'D');
        double mbit = measure(fd, upload);

        /* The guest goes on to its end. */
        while (upload && recv(fd, block, sizeof(block), 0) > 0)
                ;
        while (!upload && send(fd, block, sizeof(block), MSG_NOSIGNAL) > 0)
                ;
        close(fd);
        return mbit;
}

static void a_linux_guest_in_qemu_is_held_to_its_claim_each_way(void) {
        char kernel[256], append[256];
        const char *accel;
        struct house house;
        double up = 0, down = 0;
        struct job job;
        int server;

        guest_kernel(kernel, sizeof(kernel));
        accel = guest_accel();
        unit_note("-accel %s", accel);
        house_open(&house, CONF, NULL);
        snprintf(append, sizeof(append),
                 GUEST_APPEND " net.address=10.77.0.11 net.peer=10.77.0.1:5300 net.seconds=%s",
                 SECONDS);
        server = guest_serve(PORT);
        JOB_RUN(&job, "--name", "linux", "--cpus", "2", "--mem", "256M", "--net", "guest0",
                "--download", RATE, "--upload", RATE, "--", "qemu-system-x86_64", "-M", "pc",
                "-accel", accel, "-cpu", "qemu64,+rdrand", "-m", "160M", "-kernel", kernel,
                "-initrd", guest_pack("netguest", "virtio_pci virtio_net"), "-append", append,
                "-display", "none", "-nodefaults", "-no-user-config", "-no-reboot", "-serial",
                "stdio", "-netdev", "tap,id=n0,fd={tap.fd},vhost=off", "-device",
                "virtio-net-pci,netdev=n0,mac={mac},romfile=");
        for (unsigned round = 0; round < RUNS_MAX && (up < LEAST || down < LEAST); round++) {
                double now;

                now = measure_call(server, &job, true);
                up = now > up ? now : up;
                now = measure_call(server, &job, false);
                down = now > down ? now : down;
        }
        close(server);
        unit_note("upload %.3f, download %.3f of %.0f Mbit/s", up, down, RATE_MBIT);
        expect_int(job_wait(&job, HOUSE_WAIT_MS), 0);
        for (char *line = strtok(job.out, "\r\n"); line; line = strtok(NULL, "\r\n"))
                unit_note("%s", line);
        expect_within(up, LEAST, MOST);
        expect_within(down, LEAST, MOST);
        house_close(&house);
}

UNIT_MAIN(TEST(a_linux_guest_in_qemu_is_held_to_its_claim_each_way), )
