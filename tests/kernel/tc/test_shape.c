/* SPDX-License-Identifier: MIT */
/* rig: --mem 768M --timeout 280 */
/*
 * Shaping, proven by moving bytes. A "guest" is a network namespace with a tap of its own and a
 * relay that carries frames between that tap and the host's, as a hypervisor does; iperf3 talks
 * across. The bridge, the IFB and the shaping are made with tc/; what stands there is read with
 * iproute2.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/why.h>
#include <tc/link.h>
#include <tc/shape.h>

#include "unit.h"

#define BRIDGE "pvtestbr"
#define IFB "pvtestifb"
#define MAJOR 0x8001
#define FRAME_MAX 70000
#define MBIT UINT64_C(125000)

struct guest {
        pid_t pid; /* of the relay, inside the namespace */
        int number;
        int fd; /* the host's tap; closed after the relay has it */
        struct shape shape;
        char name[IF_NAMESIZE];
};

struct bench {
        struct netlink netlink;
        int bridge, ifb;
        struct why why;
};

static int run(const char *format, ...) _printf_(1, 2);
static int run(const char *format, ...) {
        char command[1024];
        va_list args;

        va_start(args, format);
        vsnprintf(command, sizeof(command), format, args);
        va_end(args);
        return system(command);
}

/* The output of a command, bounded. */
static char *output(const char *format, ...) _printf_(1, 2);
static char *output(const char *format, ...) {
        char command[1024], *text = calloc(1, 65536);
        size_t used = 0, n;
        va_list args;
        FILE *pipe;

        va_start(args, format);
        vsnprintf(command, sizeof(command), format, args);
        va_end(args);
        pipe = popen(command, "r");
        while (pipe && (n = fread(text + used, 1, 65535 - used, pipe)) > 0)
                used += n;
        if (pipe)
                pclose(pipe);
        return text;
}

static void bench_up(struct bench *bench) {
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
        struct link link;

        *bench = (struct bench){.netlink = NETLINK_NULL};
        need_int(netlink_open(&bench->netlink, &bench->why), 0);
        link_add_bridge(&batch, BRIDGE, LINK_MARK "test bridge");
        link_add_ifb(&batch, IFB, LINK_MARK "test ifb");
        need_int(netlink_commit(&bench->netlink, &batch, NULL, NULL, NULL, &bench->why), 0);
        batch_deinit(&batch);
        need_int(link_get(&bench->netlink, BRIDGE, 0, &link, &bench->why), 0);
        bench->bridge = link.ifindex;
        need_int(link_get(&bench->netlink, IFB, 0, &link, &bench->why), 0);
        bench->ifb = link.ifindex;
        expect_int(strcmp(link.kind, "ifb"), 0);
        shape_add_root(&batch, bench->ifb, MAJOR, 1000 * MBIT);
        link_add_up(&batch, bench->ifb);
        link_add_up(&batch, bench->bridge);
        need_int(netlink_commit(&bench->netlink, &batch, NULL, NULL, NULL, &bench->why), 0);
        need_int(run("ip addr add 10.9.0.1/24 dev " BRIDGE), 0);
        need_int(run("ip addr add fd09::1/64 dev " BRIDGE " nodad"), 0);
}

static void bench_down(struct bench *bench) {
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;

        link_add_removal(&batch, bench->ifb);
        link_add_removal(&batch, bench->bridge);
        expect_int(netlink_commit(&bench->netlink, &batch, NULL, NULL, NULL, &bench->why), 0);
        netlink_close(&bench->netlink);
}

/* Carries frames with their virtio headers until it is killed. */
static _Noreturn void relay(int host_fd, int guest_fd) {
        struct pollfd ends[2] = {{host_fd, POLLIN, 0}, {guest_fd, POLLIN, 0}};
        static char frame[FRAME_MAX];

        for (;;) {
                if (poll(ends, 2, -1) < 0)
                        _exit(1);
                for (int i = 0; i < 2; i++) {
                        ssize_t n;

                        while ((n = read(ends[i].fd, frame, sizeof(frame))) > 0)
                                while (write(ends[!i].fd, frame, (size_t)n) < 0 &&
                                       errno == EAGAIN) {
                                        struct pollfd out = {ends[!i].fd, POLLOUT, 0};

                                        poll(&out, 1, 100);
                                }
                }
        }
}

static void guest_start(struct guest *guest) {
        int ready[2];
        char byte;

        need(pipe(ready) == 0);
        guest->pid = fork();
        if (guest->pid == 0) {
                int fd, ifindex;

                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (unshare(CLONE_NEWNET) < 0 ||
                    link_open_tap("eth0", false, LINK_NO_OWNER, &fd, &ifindex, NULL) ||
                    run("ip link set lo up && ip addr add 10.9.0.%d/24 dev eth0 && "
                        "ip addr add fd09::%d/64 dev eth0 nodad && ip link set eth0 up",
                        10 + guest->number, 10 + guest->number))
                        _exit(1);
                close(ready[0]);
                byte = '1';
                if (write(ready[1], &byte, 1) != 1)
                        _exit(1);
                relay(guest->fd, fd);
        }
        close(ready[1]);
        need(read(ready[0], &byte, 1) == 1);
        close(ready[0]);
        guest->fd = fd_close(guest->fd);
}

/* The VM's whole network, in one batch, confirmed by the kernel. */
static void guest_up(struct bench *bench, struct guest *guest, int number, uint64_t download,
                     uint64_t rate, uint64_t ceil) {
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
        struct shape_check check = {.shape = &guest->shape, .why = &bench->why};
        unsigned char mac[6];
        char id[32];
        int ifindex;

        snprintf(id, sizeof(id), "guest%d", number);
        *guest = (struct guest){.number = number, .fd = -1};
        link_tap_name(guest->name, id, 0);
        need_int(
                link_open_tap(guest->name, false, LINK_NO_OWNER, &guest->fd, &ifindex, &bench->why),
                0);
        guest->shape = (struct shape){
                .n_taps = 1,
                .taps = {ifindex},
                .ifb_ifindex = bench->ifb,
                .major = MAJOR,
                .minor = (uint16_t)(0x10 + number),
                .download_bytes_per_s = download,
                .upload_rate_bytes_per_s = rate,
                .upload_ceil_bytes_per_s = ceil,
        };
        need_int(shape_add(&batch, &guest->shape, &bench->why), 0);
        link_mac(mac, id, 0);
        link_mac_host(mac, mac);
        link_add_tap(&batch, ifindex, LINK_MARK "test", mac, bench->bridge, false);
        need_int(netlink_commit(&bench->netlink, &batch, shape_echo, &check, NULL, &bench->why), 0);
        need_int(shape_confirmed(&check), 0);
        guest_start(guest);
}

static void guest_down(struct bench *bench, struct guest *guest) {
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
        struct link link;

        kill(guest->pid, SIGKILL);
        waitpid(guest->pid, NULL, 0);
        shape_add_removal(&batch, &guest->shape);
        expect_int(netlink_commit(&bench->netlink, &batch, NULL, NULL, NULL, &bench->why), 0);
        /* The tap went with its last descriptor. */
        expect_int(link_get(&bench->netlink, NULL, guest->shape.taps[0], &link, NULL),
                   NETLINK_E_GONE);
}

/* A server for one test, which listens when this returns. */
static FILE *serve(const char *where, unsigned port) {
        char command[256], line[256];
        FILE *server;

        snprintf(command, sizeof(command), "exec %s iperf3 -s -1 -p %u --forceflush 2>&1", where,
                 port);
        server = popen(command, "r");
        while (server && fgets(line, sizeof(line), server))
                if (strstr(line, "listening"))
                        return server;
        need(!"iperf3 serves");
        return NULL;
}

/* Mbit/s that arrived, from iperf3's own report of the receiver. */
static double flow(const char *server_ns, const char *client_ns, const char *address,
                   const char *options) {
        FILE *server = serve(server_ns, 5201);
        char *text;
        double bits;

        text = output("%s iperf3 -c %s -J %s | jq -r '.error // .end.sum_received.bits_per_second'",
                      client_ns, address, options);
        bits = atof(text);
        if (bits <= 0)
                printf("# iperf3 says: %s\n", text);
        free(text);
        pclose(server);
        return bits / 1e6;
}

static const char *ns(char *buffer, size_t size, const struct guest *guest) {
        snprintf(buffer, size, "nsenter -t %d -n", guest->pid);
        return buffer;
}

/* Goodput of TCP within -7 % / +2 % of the rate, once the bucket is spent: the first seconds are
 * left out. */
static void expect_goodput(const char *what, double got, double wanted) {
        printf("# %s: %.2f Mbit/s at a limit of %.0f\n", what, got, wanted);
        expect(got >= wanted * 0.93);
        expect(got <= wanted * 1.02);
}

/* Throughput measured on a machine that others keep busy is theirs, not ours: asked for by name. */
static void need_quiet(void) {
        if (!getenv("PROVIUM_FLOWS"))
                unit_skip("flows are measured on a quiet machine only: PROVIUM_FLOWS=1");
}

static void downloads_and_uploads_keep_to_their_rates(void) {
        static const unsigned rates[] = {1, 10, 25};
        char guest_ns[64], what[64];
        struct bench bench;
        struct guest guest;

        need_quiet();
        bench_up(&bench);
        for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
                uint64_t rate = rates[i] * MBIT;
                const char *options = rates[i] == 1 ? "-t 20 -O 8" : "-t 5 -O 2";

                guest_up(&bench, &guest, 1, rate, rate, rate);
                ns(guest_ns, sizeof(guest_ns), &guest);
                snprintf(what, sizeof(what), "download, IPv4, %u", rates[i]);
                expect_goodput(what, flow(guest_ns, "", "10.9.0.11", options), rates[i]);
                snprintf(what, sizeof(what), "upload, IPv4, %u", rates[i]);
                expect_goodput(what, flow("", guest_ns, "10.9.0.1", options), rates[i]);
                if (rates[i] == 10) {
                        expect_goodput("download, IPv6, 10",
                                       flow(guest_ns, "", "fd09::11", options), 10);
                        expect_goodput("upload, IPv6, 10", flow("", guest_ns, "fd09::1", options),
                                       10);
                }
                guest_down(&bench, &guest);
        }
        bench_down(&bench);
}

static void iproute2_sees_exactly_what_was_made_and_nothing_afterwards(void) {
        struct bench bench;
        struct guest guest;
        char *text;

        bench_up(&bench);
        guest_up(&bench, &guest, 2, UINT64_C(12500000000), 5 * MBIT, UINT64_C(20000000000));
        text = output("tc -d qdisc show dev %s; tc -d filter show dev %s ingress; "
                      "tc -d class show dev " IFB "; tc qdisc show dev " IFB
                      "; ip -d link show dev %s",
                      guest.name, guest.name, guest.name);
        puts(text);
        expect(strstr(text, "qdisc tbf 1: root") != NULL);
        expect(strstr(text, "rate 100Gbit") != NULL);
        expect(strstr(text, "qdisc clsact") != NULL);
        expect(strstr(text, "matchall") != NULL);
        expect(strstr(text, "skbedit  priority 8001:12 pipe") != NULL);
        expect(strstr(text, "Egress Redirect to device " IFB) != NULL);
        expect(strstr(text, "class htb 8001:12 parent 8001:1 leaf 12:") != NULL);
        expect(strstr(text, "rate 5Mbit ceil 160Gbit") != NULL);
        expect(strstr(text, "fq_codel 12: parent 8001:12") != NULL);
        expect(strstr(text, "alias provium:test") != NULL);
        expect(strstr(text, "master " BRIDGE) != NULL);
        free(text);
        guest_down(&bench, &guest);
        text = output("tc class show dev " IFB " | grep -c 8001:12; ip link show dev %s 2>&1",
                      guest.name);
        expect(strncmp(text, "0\n", 2) == 0);
        expect(strstr(text, "does not exist") != NULL);
        free(text);
        bench_down(&bench);
}

static void the_kernels_own_words_come_with_a_refusal(void) {
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
        struct bench bench;
        struct shape shape = {.n_taps = 1,
                              .taps = {999999},
                              .ifb_ifindex = 0,
                              .major = MAJOR,
                              .minor = 0x20,
                              .download_bytes_per_s = MBIT,
                              .upload_rate_bytes_per_s = MBIT,
                              .upload_ceil_bytes_per_s = MBIT};
        size_t failed = 99;

        bench_up(&bench);
        shape.ifb_ifindex = bench.ifb;
        expect_int(shape_add(&batch, &shape, &bench.why), 0);
        expect_int(netlink_commit(&bench.netlink, &batch, NULL, NULL, &failed, &bench.why),
                   NETLINK_E_GONE);
        expect_int(failed, 2);
        printf("# %s\n", bench.why.text);
        expect(strstr(bench.why.text, "the download limit") != NULL);
        expect_int(bench.why.errnum, ENODEV);
        batch_deinit(&batch);
        shape.download_bytes_per_s = 10;
        expect_int(shape_add(&batch, &shape, &bench.why), SHAPE_E_RANGE);
        bench_down(&bench);
}

static void two_that_contend_get_their_shares_and_borrow_up_to_their_ceil(void) {
        struct bench bench;
        struct guest one, two;
        char one_ns[64], two_ns[64];
        FILE *first, *second;
        double alone;
        char *text;
        double a = 0, b = 0;

        need_quiet();
        bench_up(&bench);
        /* An uplink of 8 Mbit/s sold as 2 and 6: little enough that an emulated machine carries it
         * with ease. */
        run("tc class change dev " IFB
            " parent 8001: classid 8001:1 htb rate 8mbit ceil 8mbit burst 64k cburst 64k");
        guest_up(&bench, &one, 1, 100 * MBIT, 2 * MBIT, 7 * MBIT);
        guest_up(&bench, &two, 2, 100 * MBIT, 6 * MBIT, 8 * MBIT);
        ns(one_ns, sizeof(one_ns), &one);
        ns(two_ns, sizeof(two_ns), &two);
        alone = flow("", one_ns, "10.9.0.1", "-t 5 -O 2");
        expect_goodput("alone, up to its ceil", alone, 7);
        first = serve("", 5301);
        second = serve("", 5302);
        text = output("%s iperf3 -c 10.9.0.1 -p 5301 -t 10 -O 3 -J | jq "
                      ".end.sum_received.bits_per_second & "
                      "%s iperf3 -c 10.9.0.1 -p 5302 -t 10 -O 3 -J | jq "
                      ".end.sum_received.bits_per_second "
                      "| sed s/^/B/; wait",
                      one_ns, two_ns);
        pclose(first);
        pclose(second);
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
                if (line[0] == 'B')
                        b = atof(line + 1) / 1e6;
                else
                        a = atof(line) / 1e6;
        }
        free(text);
        printf("# contending: %.2f and %.2f Mbit/s of 8, guaranteed 2 and 6\n", a, b);
        expect(a > 2 * 0.9 * 0.95 && a < 2 * 1.1);
        expect(b > 6 * 0.9 * 0.95 && b < 6 * 1.1);
        guest_down(&bench, &one);
        guest_down(&bench, &two);
        bench_down(&bench);
}

UNIT_MAIN(TEST(iproute2_sees_exactly_what_was_made_and_nothing_afterwards),
          TEST(the_kernels_own_words_come_with_a_refusal),
          TEST(downloads_and_uploads_keep_to_their_rates),
          TEST(two_that_contend_get_their_shares_and_borrow_up_to_their_ceil), )
