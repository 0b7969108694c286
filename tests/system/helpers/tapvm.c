/* SPDX-License-Identifier: MIT */
/*
 * A "VM" that looks at its taps, without a network stack behind them: static, so that it starts in
 * a few milliseconds and fits into the smallest claim.
 *
 *     tapvm report [WORD...]     tells its words and what each descriptor it has is, and rests
 *     tapvm send FD COUNT        sends COUNT frames of 1,000 bytes to everybody, and rests
 */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define FDS_MAX 4096
#define FRAME 1000

static void rest(void) {
        for (;;)
                pause();
}

static void tell_fd(int fd) {
        struct ifreq request = {};
        char path[64], target[256];
        ssize_t n;

        if (ioctl(fd, TUNGETIFF, &request) == 0) {
                printf("fd %d tap %s%s%s%s\n", fd, request.ifr_name,
                       request.ifr_flags & IFF_VNET_HDR ? " vnet_hdr" : "",
                       request.ifr_flags & IFF_MULTI_QUEUE ? " multi_queue" : "",
                       request.ifr_flags & IFF_PERSIST ? " persistent" : "");
                return;
        }
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        n = readlink(path, target, sizeof(target) - 1);
        target[n > 0 ? n : 0] = '\0';
        printf("fd %d %s\n", fd, target);
}

static void report(int argc, char **argv) {
        printf("words");
        for (int i = 0; i < argc; i++)
                printf(" %s", argv[i]);
        printf("\n");
        for (int fd = 3; fd < FDS_MAX; fd++)
                if (fcntl(fd, F_GETFD) >= 0)
                        tell_fd(fd);
        printf("ready\n");
        fflush(stdout);
}

/* Ethernet's own type for local experiments: nothing answers it. */
static void send_frames(int fd, long count) {
        static unsigned char frame[sizeof(struct virtio_net_hdr) + FRAME];
        unsigned char *at = frame + sizeof(struct virtio_net_hdr);

        memset(at, 0xff, 6);
        memcpy(at + 6, (unsigned char[]){2, 0, 0, 0, 0, 1}, 6);
        memcpy(at + 12, (unsigned char[]){0x88, 0xb5}, 2);
        for (long i = 0; i < count; i++) {
                struct pollfd out = {fd, POLLOUT, 0};

                if (write(fd, frame, sizeof(frame)) < 0)
                        poll(&out, 1, 10);
        }
}

int main(int argc, char **argv) {
        const char *mode = argc > 1 ? argv[1] : "";

        /* Whoever listened to it may have left. */
        signal(SIGPIPE, SIG_IGN);
        if (strcmp(mode, "report") == 0) {
                report(argc - 2, argv + 2);
                rest();
        }
        if (strcmp(mode, "send") == 0 && argc == 4) {
                send_frames(atoi(argv[2]), atol(argv[3]));
                printf("ready\n");
                fflush(stdout);
                rest();
        }
        fprintf(stderr, "usage: tapvm report [WORD...] | send FD COUNT\n");
        return 64;
}
