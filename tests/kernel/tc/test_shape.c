/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 768M --timeout 280 */
/*
 * Shaping, as iproute2 sees it and proven by moving bytes.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "unit.h"

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

                guest_up(&bench, &guest, 1, 1, rate, rate, rate);
                guest_start(&guest);
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
        static const char *const words[] = {
                "qdisc tbf 1: root",
                "rate 100Gbit",
                "qdisc fq_codel 2: parent 1:1 limit 1024p flows 256",
                "qdisc clsact",
                "matchall",
                "skbedit  priority 7056:20 pipe",
                "Egress Redirect to device " IFB,
                "class htb 7056:1 root rate 1Gbit ceil 1Gbit",
                "class htb 7056:2 root leaf 2: prio 0 quantum 1514 rate 8Kbit ceil 8Kbit",
                "class htb 7056:20 parent 7056:1 leaf 20:",
                "rate 5Mbit ceil 160Gbit",
                "default 0x2",
                "bfifo 2: parent 7056:2 limit 16Kb",
                "fq_codel 20: parent 7056:20",
                "link/ether fe:",
                "master " BRIDGE,
                "alias provium:test",
        };
        char command[512], *text;
        struct bench bench;
        struct guest guest;

        bench_up(&bench);
        guest_up(&bench, &guest, 2, 1, UINT64_C(12500000000), 5 * MBIT, UINT64_C(20000000000));
        snprintf(command, sizeof(command),
                 "tc -d qdisc show dev %s; tc -d filter show dev %s ingress; "
                 "tc -d class show dev " IFB "; tc qdisc show dev " IFB "; ip -d link show dev %s",
                 guest.names[0], guest.names[0], guest.names[0]);
        expect_output(command, words, ARRAY_SIZE(words));
        text = output("tc filter show dev %s egress", guest.names[0]);
        expect_str(text, "");
        free(text);
        guest_down(&bench, &guest);
        text = output("tc class show dev " IFB " | grep -c 7056:20; ip link show dev %s 2>&1",
                      guest.names[0]);
        expect(strncmp(text, "0\n", 2) == 0);
        expect_in(text, "does not exist");
        free(text);
        bench_down(&bench);
}

static void several_taps_have_one_class_each_way(void) {
        static const char *const words[] = {
                "class htb 7056:30 parent 7056:1 leaf 30:",
                "class htb 7056:38 root leaf 38:",
                "rate 24Mbit ceil 24Mbit",
                "fq_codel 38: parent 7056:38",
        };
        static const char *const tap_words[] = {
                "skbedit  priority 7056:30 pipe",
                "skbedit  priority 7056:38 pipe",
                "Egress Redirect to device " IFB,
                "qdisc tbf 1: root refcnt 2 rate 24Mbit",
        };
        struct shape_state state;
        char command[512], *text;
        struct bench bench;
        struct guest guest;

        bench_up(&bench);
        guest_up(&bench, &guest, 3, SHAPE_TAPS_MAX, 24 * MBIT, 5 * MBIT, 20 * MBIT);
        expect_output("tc -d class show dev " IFB "; tc qdisc show dev " IFB, words,
                      ARRAY_SIZE(words));
        for (size_t i = 0; i < SHAPE_TAPS_MAX; i += SHAPE_TAPS_MAX - 1) {
                snprintf(command, sizeof(command),
                         "tc filter show dev %s ingress; tc filter show dev %s egress; "
                         "tc qdisc show dev %s",
                         guest.names[i], guest.names[i], guest.names[i]);
                expect_output(command, tap_words, ARRAY_SIZE(tap_words));
        }
        text = output("ip -d link show dev %s", guest.names[1]);
        expect_in(text, "isolated on");
        expect_in(text, ",UP");
        free(text);
        need_int(shape_read(&bench.netlink, &guest.shape, &state, &bench.why), 0);
        expect_int(shape_differs(&guest.shape, &state, &bench.why), 0);
        expect(state.taps[SHAPE_TAPS_MAX - 1].egress);
        guest_down(&bench, &guest);
        text = output("tc class show dev " IFB);
        expect(!strstr(text, "7056:3"));
        free(text);
        bench_down(&bench);
}

static void rates_read_back_exactly_over_seven_decades(void) {
        static const uint64_t rates[] = {
                1000,      1001,       125000,     1250000,     99999999,    125000000,
                537000000, 4294967294, 4294967295, 4294967296u, 12500000000, 20000000000,
        };
        struct bench bench;
        struct guest guest;

        bench_up(&bench);
        guest_up(&bench, &guest, 1, 2, MBIT, MBIT, MBIT);
        for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
                _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
                struct shape_check check = {.shape = &guest.shape, .why = &bench.why};
                struct shape_state state;
                uint64_t capacity = 0;
                uint16_t major = 0;

                guest.shape.download_bytes_per_s = rates[i];
                guest.shape.download_bucket_bytes = i % 2 ? 0 : rates[i] / 4;
                guest.shape.upload_rate_bytes_per_s = rates[i];
                guest.shape.upload_ceil_bytes_per_s = rates[ARRAY_SIZE(rates) - 1 - i];
                need_int(shape_change(&batch, &guest.shape, &bench.why), 0);
                shape_change_root(&batch, bench.ifb, MAJOR, rates[i]);
                need_int(netlink_commit(&bench.netlink, &batch, shape_echo, &check, NULL,
                                        &bench.why),
                         0);
                expect_that(shape_confirmed(&check) == 0, "%llu: %s", (unsigned long long)rates[i],
                            bench.why.text);
                need_int(shape_read(&bench.netlink, &guest.shape, &state, &bench.why), 0);
                expect_that(shape_differs(&guest.shape, &state, &bench.why) == 0, "%llu: %s",
                            (unsigned long long)rates[i], bench.why.text);
                expect_uint(state.taps[1].rate_bytes_per_s, rates[i]);
                expect_uint(state.upload.ceil_bytes_per_s, guest.shape.upload_ceil_bytes_per_s);
                expect_uint(state.download.rate_bytes_per_s, rates[i]);
                need_int(shape_find_root(&bench.netlink, bench.ifb, &major, &capacity, &bench.why),
                         0);
                expect_uint(major, MAJOR);
                expect_uint(capacity, rates[i]);
        }
        guest_down(&bench, &guest);
        bench_down(&bench);
}

struct classes {
        unsigned n;
        uint16_t minors[8];
};

static void take_class(void *userdata, uint16_t minor) {
        struct classes *classes = userdata;

        if (classes->n < ARRAY_SIZE(classes->minors))
                classes->minors[classes->n] = minor;
        classes->n++;
}

static void a_root_is_found_again_with_its_classes(void) {
        struct classes classes = {};
        uint64_t capacity = 0;
        uint16_t major = 0;
        struct bench bench;
        struct guest guest;
        bool has = false;

        bench_up(&bench);
        guest_up(&bench, &guest, 3, 2, 24 * MBIT, 5 * MBIT, 20 * MBIT);
        /* fq_codel shows flows as classes of its own: give it one. */
        run("bash -c 'echo x >/dev/udp/10.9.0.77/9'");
        need_int(shape_each_class(&bench.netlink, bench.ifb, take_class, &classes, &bench.why), 0);
        expect_int(classes.n, 2);
        expect_uint(classes.minors[0], 0x30);
        expect_uint(classes.minors[1], 0x38);
        need_int(shape_has_fq_codel(&bench.netlink, bench.ifb, MAJOR, &has, &bench.why), 0);
        expect(has);
        expect_output("tc qdisc show dev " IFB,
                      (const char *const[]){"bfifo 2: parent 7056:2 limit 16Kb"}, 1);
        /* 0x7056 is taken; 0x7057 could be no class's leaf. */
        need_int(shape_free_major(&bench.netlink, &major, &bench.why), 0);
        expect_uint(major, 0x7057);
        expect_int(
                shape_find_root(&bench.netlink, guest.shape.taps[0], &major, &capacity, &bench.why),
                NETLINK_E_GONE);
        guest_down(&bench, &guest);
        need_int(run("tc qdisc del dev " IFB " root"), 0);
        expect_int(shape_find_root(&bench.netlink, bench.ifb, &major, &capacity, &bench.why),
                   NETLINK_E_GONE);
        expect_uint(major, 0x7057);
        need_int(shape_free_major(&bench.netlink, &major, &bench.why), 0);
        expect_uint(major, 0x7056);
        bench_down(&bench);
}

/* A frame as a hypervisor hands it over: the virtio header, then from somebody to everybody. */
static void send_frame(const struct guest *guest, size_t tap) {
        unsigned char frame[10 + 200] = {};

        memset(frame + 10, 0xff, 6);
        frame[16] = 2;
        frame[22] = 0x88;
        frame[23] = 0xb5;
        expect_int(write(guest->fds[tap], frame, sizeof(frame)), sizeof(frame));
}

static unsigned strays(void) {
        char *text = output("tc -s class show dev " IFB
                            " | sed -n '/ 7056:2 /{n;s/.*bytes //;s/ pkt.*//p}'");
        unsigned n = (unsigned)atoi(text);

        free(text);
        return n;
}

static void frames_of_a_class_that_is_gone_are_strays(void) {
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
        struct shape_state state;
        struct bench bench;
        struct guest guest;
        unsigned before;

        bench_up(&bench);
        guest_up(&bench, &guest, 1, 2, MBIT, MBIT, MBIT);
        need_int(shape_read(&bench.netlink, &guest.shape, &state, &bench.why), 0);
        expect_uint(state.upload.count.packets, 0);
        send_frame(&guest, 0);
        send_frame(&guest, 1);
        need_int(shape_read(&bench.netlink, &guest.shape, &state, &bench.why), 0);
        expect_uint(state.upload.count.packets, 2);
        expect_uint(state.upload.count.bytes, 400);
        expect_uint(state.taps[1].upload.packets, 1);
        expect_uint(state.taps[1].upload.bytes, 200);
        /* Others come as well: what the bridge and the IFB themselves say of IPv6. */
        shape_add_removal(&batch, &guest.shape);
        need_int(netlink_commit(&bench.netlink, &batch, NULL, NULL, NULL, &bench.why), 0);
        before = strays();
        for (unsigned i = 0; i < 20; i++)
                send_frame(&guest, 0);
        expect(strays() >= before + 20);
        expect_output("tc -s qdisc show dev " IFB, (const char *const[]){"direct_packets_stat 0"},
                      1);
        need_int(shape_repair(&bench.netlink, &guest.shape, &bench.why), 0);
        guest_down(&bench, &guest);
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
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
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
        shape_change_root(&batch, bench.ifb, MAJOR, 8 * MBIT);
        need_int(netlink_commit(&bench.netlink, &batch, NULL, NULL, NULL, &bench.why), 0);
        guest_up(&bench, &one, 1, 1, 100 * MBIT, 2 * MBIT, 7 * MBIT);
        guest_up(&bench, &two, 2, 1, 100 * MBIT, 6 * MBIT, 8 * MBIT);
        guest_start(&one);
        guest_start(&two);
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

/* Both at once, in Mbit/s. */
static double flow_twice(const char *server_ns, const char *client_ns, const char *one,
                         const char *other) {
        FILE *first = serve(server_ns, 5301), *second = serve(server_ns, 5302);
        double sum = 0;
        char *text;

        text = output("for at in '%s -p 5301' '%s -p 5302'; do %s iperf3 -c $at -t 8 -O 3 -J | "
                      "jq .end.sum_received.bits_per_second & done; wait",
                      one, other, client_ns);
        pclose(first);
        pclose(second);
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
                printf("# one of two taps: %.2f Mbit/s\n", atof(line) / 1e6);
                sum += atof(line) / 1e6;
        }
        free(text);
        return sum;
}

static void the_sum_of_two_taps_keeps_to_the_claim(void) {
        struct shape_state state;
        struct bench bench;
        struct guest guest;
        char guest_ns[64];

        need_quiet();
        bench_up(&bench);
        guest_up(&bench, &guest, 1, 2, 5 * MBIT, 5 * MBIT, 5 * MBIT);
        guest_start(&guest);
        ns(guest_ns, sizeof(guest_ns), &guest);
        expect_goodput("download of one of two taps", flow(guest_ns, "", "10.9.1.11", "-t 8 -O 3"),
                       5);
        expect_goodput("sum of downloads", flow_twice(guest_ns, "", "10.9.0.11", "10.9.1.11"), 5);
        expect_goodput("sum of uploads",
                       flow_twice("", guest_ns, "10.9.0.1 -B 10.9.0.11", "10.9.1.1 -B 10.9.1.11"),
                       5);
        need_int(shape_read(&bench.netlink, &guest.shape, &state, &bench.why), 0);
        expect_int(shape_differs(&guest.shape, &state, &bench.why), 0);
        for (size_t i = 0; i < 2; i++) {
                expect(state.taps[i].upload.bytes > 1000000);
                expect(state.taps[i].download.bytes > 1000000);
        }
        guest_down(&bench, &guest);
        bench_down(&bench);
}

/* A frame from one VM with several taps to another passes the IFB twice. */
static void two_vms_of_two_taps_reach_each_other(void) {
        char one_ns[64], two_ns[64];
        struct guest one, two;
        struct bench bench;

        need_quiet();
        bench_up(&bench);
        guest_up(&bench, &one, 1, 2, 100 * MBIT, 8 * MBIT, 8 * MBIT);
        guest_up(&bench, &two, 2, 2, 100 * MBIT, 100 * MBIT, 100 * MBIT);
        guest_start(&one);
        guest_start(&two);
        ns(one_ns, sizeof(one_ns), &one);
        ns(two_ns, sizeof(two_ns), &two);
        expect_goodput("from VM to VM", flow(two_ns, one_ns, "10.9.0.12", "-t 5 -O 2"), 8);
        guest_down(&bench, &one);
        guest_down(&bench, &two);
        bench_down(&bench);
}

UNIT_MAIN(TEST(iproute2_sees_exactly_what_was_made_and_nothing_afterwards),
          TEST(several_taps_have_one_class_each_way),
          TEST(rates_read_back_exactly_over_seven_decades),
          TEST(a_root_is_found_again_with_its_classes),
          TEST(frames_of_a_class_that_is_gone_are_strays),
          TEST(the_kernels_own_words_come_with_a_refusal),
          TEST(downloads_and_uploads_keep_to_their_rates),
          TEST(two_that_contend_get_their_shares_and_borrow_up_to_their_ceil),
          TEST(the_sum_of_two_taps_keeps_to_the_claim),
          TEST(two_vms_of_two_taps_reach_each_other), )
