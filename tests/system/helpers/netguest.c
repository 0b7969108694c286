/* SPDX-License-Identifier: MIT */
/*
 * Process 1 of a Linux guest that does nothing but move bytes, and the only file of its initramfs
 * beside the modules of its network card (/m/00, /m/01, ... in the order of need).
 *
 * On the kernel's command line: net.address=A.B.C.D (a /24), net.peer=A.B.C.D:PORT and
 * net.seconds=N. It sends for so long, then receives for so long (it asks with one byte: 'U', 'D'),
 * and tells on its console what went through; again and again, until its peer takes no more calls.
 * Then it switches the machine off.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MODULES_MAX 32
#define CARD_WAIT_MS 30000

static char command_line[2048], block[64 * 1024];

static uint64_t now_ms(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static _Noreturn void leave(void) {
        fflush(stdout);
        sync();
        reboot(RB_POWER_OFF);
        _exit(1); /* the kernel panics, and the hypervisor leaves with an error */
}

static void need(bool ok, const char *what) {
        if (ok)
                return;
        printf("guest: %s: %m\n", what);
        leave();
}

static void insert_modules(void) {
        for (int i = 0; i < MODULES_MAX; i++) {
                char path[32];
                int fd;

                snprintf(path, sizeof(path), "/m/%02d", i);
                fd = open(path, O_RDONLY | O_CLOEXEC);
                if (fd < 0)
                        break;
                if (syscall(SYS_finit_module, fd, "", 0) < 0)
                        printf("guest: %s: %m\n", path);
                close(fd);
        }
}

static void read_command_line(void) {
        int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd >= 0 ? read(fd, command_line, sizeof(command_line) - 1) : -1;

        need(n > 0, "/proc/cmdline");
        close(fd);
}

/* The word after @key. */
static const char *word(const char *key, char *text, size_t size) {
        const char *at = strstr(command_line, key);

        need(at != NULL, key);
        at += strlen(key);
        snprintf(text, size, "%.*s", (int)strcspn(at, " \n"), at);
        return text;
}

static void set_address(int fd, struct ifreq *request, unsigned long what, const char *text) {
        struct sockaddr_in *address = (struct sockaddr_in *)&request->ifr_addr;

        *address = (struct sockaddr_in){.sin_family = AF_INET};
        need(inet_pton(AF_INET, text, &address->sin_addr) == 1, text);
        need(ioctl(fd, what, request) == 0, "the card's address");
}

static void bring_card_up(void) {
        struct ifreq request = {.ifr_name = "eth0"};
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        uint64_t until = now_ms() + CARD_WAIT_MS;
        char address[32];

        while (ioctl(fd, SIOCGIFFLAGS, &request) < 0 && now_ms() < until)
                ;
        set_address(fd, &request, SIOCSIFADDR, word("net.address=", address, sizeof(address)));
        set_address(fd, &request, SIOCSIFNETMASK, "255.255.255.0");
        need(ioctl(fd, SIOCGIFFLAGS, &request) == 0, "eth0");
        request.ifr_flags |= IFF_UP;
        need(ioctl(fd, SIOCSIFFLAGS, &request) == 0, "eth0 up");
        close(fd);
}

static int call(char letter) {
        struct sockaddr_in peer = {.sin_family = AF_INET};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char text[64], *port;

        word("net.peer=", text, sizeof(text));
        port = strchr(text, ':');
        need(port != NULL, "net.peer");
        *port++ = '\0';
        peer.sin_port = htons((uint16_t)atoi(port));
        need(inet_pton(AF_INET, text, &peer.sin_addr) == 1, text);
        if (connect(fd, (struct sockaddr *)&peer, sizeof(peer)) < 0 || write(fd, &letter, 1) != 1)
                leave();
        return fd;
}

static void move(char letter, unsigned seconds) {
        int fd = call(letter);
        uint64_t begin = now_ms(), end = begin + seconds * UINT64_C(1000), bytes = 0;

        while (now_ms() < end) {
                ssize_t n = letter == 'U' ? write(fd, block, sizeof(block))
                                          : read(fd, block, sizeof(block));

                if (n <= 0)
                        break;
                bytes += (uint64_t)n;
        }
        printf("guest: %s %llu bytes in %llu ms\n", letter == 'U' ? "sent" : "received",
               (unsigned long long)bytes, (unsigned long long)(now_ms() - begin));
        close(fd);
}

int main(void) {
        char seconds[16];
        int fd;

        fd = open("/dev/console", O_RDWR);
        for (int to = 0; fd >= 0 && to < 3; to++)
                dup2(fd, to);
        setvbuf(stdout, NULL, _IOLBF, 0);
        mkdir("/proc", 0755);
        mount("proc", "/proc", "proc", 0, NULL);
        read_command_line();
        insert_modules();
        bring_card_up();
        word("net.seconds=", seconds, sizeof(seconds));
        printf("guest: up after %llu ms\n", (unsigned long long)now_ms());
        for (;;) {
                move('U', (unsigned)atoi(seconds));
                move('D', (unsigned)atoi(seconds));
        }
}
