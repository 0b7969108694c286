/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <base/fd.h>

#include "bench.h"
#include "unit.h"

#define FRAME_MAX 70000
#define OUTPUT_MAX 262144

int run(const char *format, ...) {
        char command[1024];
        va_list args;

        va_start(args, format);
        vsnprintf(command, sizeof(command), format, args);
        va_end(args);
        return system(command);
}

char *output(const char *format, ...) {
        char command[1024], *text = calloc(1, OUTPUT_MAX);
        size_t used = 0, n;
        va_list args;
        FILE *pipe;

        va_start(args, format);
        vsnprintf(command, sizeof(command), format, args);
        va_end(args);
        pipe = popen(command, "r");
        while (pipe && (n = fread(text + used, 1, OUTPUT_MAX - 1 - used, pipe)) > 0)
                used += n;
        if (pipe)
                pclose(pipe);
        return text;
}

void expect_output(const char *command, const char *const *words, size_t n_words) {
        char *text = output("%s", command);
        bool all = true;

        for (size_t i = 0; i < n_words; i++)
                all &= expect_that(strstr(text, words[i]) != NULL,
                                   "'%s' is not in the output of %s", words[i], command);
        if (!all)
                puts(text);
        free(text);
}

void bench_up(struct bench *bench) {
        static const unsigned char v4[4] = {10, 9, 0, 1}, other_v4[4] = {10, 9, 1, 1};
        static const unsigned char v6[16] = {0xfd, 0x09, [15] = 1};
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
        struct link link;

        *bench = (struct bench){.netlink = NETLINK_NULL};
        need_int(netlink_open(&bench->netlink, &bench->why), 0);
        link_add_bridge(&batch, BRIDGE, LINK_MARK "test bridge");
        link_add_up_by_name(&batch, BRIDGE);
        link_add_ifb(&batch, IFB, LINK_MARK "test ifb");
        need_int(netlink_commit(&bench->netlink, &batch, NULL, NULL, NULL, &bench->why), 0);
        batch_deinit(&batch);
        need_int(link_get(&bench->netlink, BRIDGE, 0, &link, &bench->why), 0);
        bench->bridge = link.ifindex;
        expect_str(link.alias, LINK_MARK "test bridge");
        need_int(link_get(&bench->netlink, IFB, 0, &link, &bench->why), 0);
        bench->ifb = link.ifindex;
        expect_str(link.kind, "ifb");
        shape_add_root(&batch, bench->ifb, MAJOR, 1000 * MBIT);
        link_add_up(&batch, bench->ifb);
        link_add_address(&batch, bench->bridge, AF_INET, v4, 24);
        link_add_address(&batch, bench->bridge, AF_INET, v4, 24);
        link_add_address(&batch, bench->bridge, AF_INET, other_v4, 24);
        link_add_address(&batch, bench->bridge, AF_INET6, v6, 64);
        need_int(netlink_commit(&bench->netlink, &batch, NULL, NULL, NULL, &bench->why), 0);
}

void bench_down(struct bench *bench) {
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;

        link_add_removal(&batch, bench->ifb);
        link_add_removal(&batch, bench->bridge);
        expect_int(netlink_commit(&bench->netlink, &batch, NULL, NULL, NULL, &bench->why), 0);
        netlink_close(&bench->netlink);
}

/* Carries frames with their virtio headers until it is killed. */
static _Noreturn void relay(const int *host_fds, const int *guest_fds, size_t n) {
        struct pollfd ends[2 * SHAPE_TAPS_MAX];
        static char frame[FRAME_MAX];

        for (size_t i = 0; i < n; i++) {
                ends[2 * i] = (struct pollfd){host_fds[i], POLLIN, 0};
                ends[2 * i + 1] = (struct pollfd){guest_fds[i], POLLIN, 0};
        }
        for (;;) {
                if (poll(ends, 2 * n, -1) < 0)
                        _exit(1);
                for (size_t i = 0; i < 2 * n; i++) {
                        ssize_t length;

                        while ((length = read(ends[i].fd, frame, sizeof(frame))) > 0)
                                while (write(ends[i ^ 1].fd, frame, (size_t)length) < 0 &&
                                       errno == EAGAIN) {
                                        struct pollfd out = {ends[i ^ 1].fd, POLLOUT, 0};

                                        poll(&out, 1, 100);
                                }
                }
        }
}

static int guest_system(const struct guest *guest, int *fds) {
        /* Both taps are in one bridge: each answers for its own address only. */
        if (unshare(CLONE_NEWNET) < 0 ||
            run("ip link set lo up; echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore"))
                return 1;
        for (size_t i = 0; i < guest->shape.n_taps; i++) {
                char name[IF_NAMESIZE], id[32];
                unsigned char mac[6];
                int ifindex;

                snprintf(name, sizeof(name), "eth%d", (int)(i % SHAPE_TAPS_MAX));
                /* A VM has the same address in each of its lives: the host remembers it. */
                snprintf(id, sizeof(id), "guest%d", guest->number);
                link_mac(mac, id, (unsigned)i);
                if (link_open_tap(NULL, "/dev", name, false, LINK_NO_OWNER, &fds[i], &ifindex,
                                  NULL) ||
                    run("ip link set %s address %02x:%02x:%02x:%02x:%02x:%02x && "
                        "ip addr add 10.9.%zu.%d/24 dev %s && "
                        "ip addr add fd09:%zx::%d/64 dev %s nodad && ip link set %s up",
                        name, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], i, 10 + guest->number,
                        name, i, 10 + guest->number, name, name))
                        return 1;
        }
        return 0;
}

void guest_start(struct guest *guest) {
        int ready[2];
        char byte;

        need(pipe(ready) == 0);
        guest->pid = fork();
        if (guest->pid == 0) {
                int fds[SHAPE_TAPS_MAX];

                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (guest_system(guest, fds))
                        _exit(1);
                close(ready[0]);
                byte = '1';
                if (write(ready[1], &byte, 1) != 1)
                        _exit(1);
                relay(guest->fds, fds, guest->shape.n_taps);
        }
        close(ready[1]);
        need(read(ready[0], &byte, 1) == 1);
        close(ready[0]);
        fd_close_many(guest->fds, guest->shape.n_taps);
}

void guest_up(struct bench *bench, struct guest *guest, int number, size_t n_taps,
              uint64_t download, uint64_t rate, uint64_t ceil) {
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
        struct shape_check check = {.shape = &guest->shape, .why = &bench->why};
        unsigned char mac[SHAPE_TAPS_MAX][6];
        char id[32];

        snprintf(id, sizeof(id), "guest%d", number);
        *guest = (struct guest){.number = number};
        guest->shape = (struct shape){
                .ifb_ifindex = bench->ifb,
                .major = MAJOR,
                .minor = (uint16_t)(0x10 * number),
                .download_minor = n_taps > 1 ? (uint16_t)(0x10 * number + 8) : 0,
                .download_bytes_per_s = download,
                .upload_rate_bytes_per_s = rate,
                .upload_ceil_bytes_per_s = ceil,
                .n_taps = n_taps,
        };
        for (size_t i = 0; i < n_taps; i++) {
                link_tap_name(guest->names[i], id, (unsigned)i);
                need_int(link_open_tap(&bench->netlink, "/dev", guest->names[i], false,
                                       LINK_NO_OWNER, &guest->fds[i], &guest->shape.taps[i],
                                       &bench->why),
                         0);
                link_mac(mac[i], id, (unsigned)i);
                link_mac_host(mac[i], mac[i]);
        }
        need_int(shape_add(&batch, &guest->shape, &bench->why), 0);
        for (size_t i = 0; i < n_taps; i++)
                link_add_tap(&batch, guest->shape.taps[i], LINK_MARK "test", mac[i],
                             &(struct link){.ifindex = bench->bridge}, i == 1);
        need_int(netlink_commit(&bench->netlink, &batch, shape_echo, &check, NULL, &bench->why), 0);
        need_int(shape_confirmed(&check), 0);
}

void guest_down(struct bench *bench, struct guest *guest) {
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
        struct link link;

        if (guest->pid > 0) {
                kill(guest->pid, SIGKILL);
                waitpid(guest->pid, NULL, 0);
        } else {
                fd_close_many(guest->fds, guest->shape.n_taps);
        }
        shape_add_removal(&batch, &guest->shape);
        expect_int(netlink_commit(&bench->netlink, &batch, NULL, NULL, NULL, &bench->why), 0);
        /* The taps went with their last descriptors. */
        for (size_t i = 0; i < guest->shape.n_taps; i++)
                expect_int(link_get(&bench->netlink, NULL, guest->shape.taps[i], &link, NULL),
                           NETLINK_E_GONE);
}
