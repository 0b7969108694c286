/* SPDX-License-Identifier: MIT */
/*
 * A "VM" with a TCP/IP stack: a network namespace behind the taps it is given.
 *
 *     netvm [-m MTU] FD[+FD...] ADDRESSES[+ADDRESSES...] [GATEWAYS [NAME [COMMAND [ARG...]]]]
 *
 * FD is a tap's descriptor, as {tap.fd} names it; ADDRESSES and GATEWAYS are lists with commas, and
 * "-" is none. For each FD a tap of its own in a new namespace is the guest's network card (eth0,
 * eth1, ...), and one process for each direction carries frames between the two, with their virtio
 * headers: segments of 64 KiB pass as they are, as with a real hypervisor. With NAME the namespace
 * is also found as /run/netns/NAME (nsenter --net=/run/netns/NAME ...); whoever asked for that
 * unmounts it. Prints "up"; runs COMMAND in the namespace and ends with its status; without one, or
 * with "-", it stays until it is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FRAME_MAX (70 * 1024)
#define CARDS_MAX 8

static void need(bool ok, const char *what) {
        if (ok)
                return;
        perror(what);
        exit(1);
}

/* A card that has no room makes us wait, as it makes a hypervisor; one that is down takes nothing,
 * and the frame is lost, as on a wire. */
static void put(int to, const char *frame, size_t size) {
        while (write(to, frame, size) < 0 && (errno == EAGAIN || errno == EINTR)) {
                struct pollfd out = {to, POLLOUT, 0};

                poll(&out, 1, 100);
        }
}

static void carry(int from, int to) {
        static char frame[FRAME_MAX];

        for (;;) {
                struct pollfd in = {from, POLLIN, 0};
                ssize_t n;

                if (poll(&in, 1, -1) < 0)
                        _exit(1);
                while ((n = read(from, frame, sizeof(frame))) > 0)
                        put(to, frame, (size_t)n);
        }
}

static void spawn_carrier(int from, int to) {
        pid_t pid = fork();

        need(pid >= 0, "fork");
        if (pid > 0)
                return;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        carry(from, to);
}

static void take_offloads(int fd) {
        need(ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) == 0, "offload");
}

static int open_card(unsigned i) {
        struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
        int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

        snprintf(request.ifr_name, sizeof(request.ifr_name), "eth%u", i);
        need(fd >= 0 && ioctl(fd, TUNSETIFF, &request) == 0, "card");
        take_offloads(fd);
        return fd;
}

/* What one `ip` is to do: starting it is what takes long under emulation. */
static void configure(FILE *batch, unsigned i, char *addresses, const char *mtu) {
        for (char *at, *word = strtok_r(addresses, ",", &at); word; word = strtok_r(NULL, ",", &at))
                if (strcmp(word, "-") != 0)
                        fprintf(batch, "address add %s dev eth%u%s\n", word, i,
                                strchr(word, ':') ? " nodad" : "");
        fprintf(batch, "link set eth%u%s%s up\n", i, mtu ? " mtu " : "", mtu ?: "");
}

static void give_name(const char *name) {
        char path[256];
        int fd;

        mkdir("/run/netns", 0755);
        snprintf(path, sizeof(path), "/run/netns/%s", name);
        fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
        need(fd >= 0, path);
        close(fd);
        need(mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL) == 0, path);
}

/* The cards, each with its carriers. */
static void bring_up(char *fds, char *addresses, char *gateways, const char *mtu) {
        int taps[CARDS_MAX], cards[CARDS_MAX];
        char *at_fd, *at_address, *at;
        unsigned n = 0;
        FILE *batch;

        for (char *word = strtok_r(fds, "+", &at_fd); word && n < CARDS_MAX;
             word = strtok_r(NULL, "+", &at_fd)) {
                taps[n] = atoi(word);
                take_offloads(taps[n]);
                n++;
        }
        need(unshare(CLONE_NEWNET) == 0, "unshare");
        for (unsigned i = 0; i < n; i++)
                cards[i] = open_card(i);
        batch = popen("ip -batch -", "we");
        need(batch != NULL, "ip");
        fprintf(batch, "link set lo up\n");
        for (unsigned i = 0; i < n; i++) {
                char *word = strtok_r(i ? NULL : addresses, "+", &at_address);

                configure(batch, i, word, mtu);
        }
        for (char *word = gateways ? strtok_r(gateways, ",", &at) : NULL; word;
             word = strtok_r(NULL, ",", &at))
                if (strcmp(word, "-") != 0)
                        fprintf(batch, "route add default via %s\n", word);
        need(pclose(batch) == 0, "ip");
        for (unsigned i = 0; i < n; i++) {
                spawn_carrier(taps[i], cards[i]);
                spawn_carrier(cards[i], taps[i]);
        }
}

static int run_in(char **words) {
        int status = 0;
        pid_t pid = fork();

        need(pid >= 0, "fork");
        if (pid == 0) {
                execvp(words[0], words);
                perror(words[0]);
                _exit(127);
        }
        need(waitpid(pid, &status, 0) == pid, "waitpid");
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv) {
        const char *mtu = NULL;

        if (argc > 2 && strcmp(argv[1], "-m") == 0) {
                mtu = argv[2];
                argc -= 2;
                argv += 2;
        }
        if (argc < 3) {
                fprintf(stderr, "usage: netvm [-m MTU] FD[+...] ADDRESS[,...][+...] "
                                "[GATEWAY[,...] [NAME [COMMAND...]]]\n");
                return 64;
        }
        bring_up(argv[1], argv[2], argc > 3 ? argv[3] : NULL, mtu);
        if (argc > 4 && strcmp(argv[4], "-") != 0)
                give_name(argv[4]);
        printf("up\n");
        fflush(stdout);
        if (argc > 5 && strcmp(argv[5], "-") != 0)
                return run_in(argv + 5);
        for (;;)
                pause();
}
