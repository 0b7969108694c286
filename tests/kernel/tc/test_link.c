/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 768M --timeout 200 */
/*
 * Links and the netlink session itself: lists, news, slow ends.
 */
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <base/fd.h>
#include <tc/discard.h>

#include "bench.h"
#include "unit.h"

#define PORTS 130

static double now_ms(void) {
        struct timespec time;

        clock_gettime(CLOCK_MONOTONIC, &time);
        return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static bool is_there(struct bench *bench, int ifindex) {
        struct link link;

        return link_get(&bench->netlink, NULL, ifindex, &link, NULL) == 0;
}

struct found {
        unsigned n, up, in_bridge;
        int bridge;
};

static void take_link(void *userdata, const struct link *link) {
        struct found *found = userdata;

        found->n++;
        found->up += link->up;
        found->in_bridge += link->master == found->bridge && link->mac[0] == 0xfe &&
                            strcmp(link->kind, "tun") == 0;
}

static void a_hundred_and_thirty_ports_are_made_found_and_gone(void) {
        static int fds[PORTS], indexes[PORTS];
        struct found found = {};
        struct bench bench;
        char *text, *mac;
        double start;

        bench_up(&bench);
        found.bridge = bench.bridge;
        mac = output("cat /sys/class/net/" BRIDGE "/address");
        start = now_ms();
        for (int i = 0; i < PORTS; i++) {
                _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
                unsigned char address[6];
                char name[IF_NAMESIZE], alias[LINK_ALIAS_MAX];

                snprintf(name, sizeof(name), "pvport%d", i);
                snprintf(alias, sizeof(alias), LINK_MARK "port:%d", i);
                need_int(link_open_tap(&bench.netlink, "/dev", name, false, LINK_NO_OWNER, &fds[i],
                                       &indexes[i], &bench.why),
                         0);
                link_mac(address, name, 0);
                link_mac_host(address, address);
                link_add_tap(&batch, indexes[i], alias, address,
                             &(struct link){.ifindex = bench.bridge}, i % 2);
                need_int(netlink_commit(&bench.netlink, &batch, NULL, NULL, NULL, &bench.why), 0);
        }
        printf("# %d ports: %.1f ms each\n", PORTS, (now_ms() - start) / PORTS);
        start = now_ms();
        need_int(link_each_marked(&bench.netlink, LINK_MARK "port:", take_link, &found, &bench.why),
                 0);
        printf("# found in %.1f ms\n", now_ms() - start);
        expect_int(found.n, PORTS);
        expect_int(found.up, PORTS);
        expect_int(found.in_bridge, PORTS);
        found.n = 0;
        need_int(link_each_marked(&bench.netlink, LINK_MARK "test", take_link, &found, &bench.why),
                 0);
        expect_int(found.n, 2);
        text = output("cat /sys/class/net/" BRIDGE "/address");
        expect_str(text, mac);
        free(text);
        text = output("ip -d link show pvport0; ip -d link show pvport1");
        expect_in(text, "isolated off");
        expect_in(text, "isolated on");
        free(text);
        free(mac);
        /* Handing them over is quick, whatever the end takes. */
        start = now_ms();
        discard(fds, PORTS, NULL, 0);
        expect(now_ms() - start < 100);
        discard_wait();
        printf("# gone after %.1f ms each\n", (now_ms() - start) / PORTS);
        for (int i = 0; i < PORTS; i++)
                expect(!is_there(&bench, indexes[i]));
        bench_down(&bench);
}

static void only_what_carries_the_alias_is_removed(void) {
        struct discard_link links[3] = {{.alias = LINK_MARK "mine"},
                                        {.alias = LINK_MARK "another"},
                                        {.ifindex = 999999, .alias = LINK_MARK "mine"}};
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
        struct bench bench;
        struct link link;
        int fd, ifindex;

        bench_up(&bench);
        link_add_ifb(&batch, "pvone", LINK_MARK "mine");
        link_add_ifb(&batch, "pvtwo", LINK_MARK "mine");
        need_int(netlink_commit(&bench.netlink, &batch, NULL, NULL, NULL, &bench.why), 0);
        for (size_t i = 0; i < 2; i++) {
                need_int(link_get(&bench.netlink, i ? "pvtwo" : "pvone", 0, &link, &bench.why), 0);
                links[i].ifindex = link.ifindex;
        }
        need_int(link_open_tap(&bench.netlink, "/dev", "pvthree", false, LINK_NO_OWNER, &fd,
                               &ifindex, &bench.why),
                 0);
        discard(&fd, 1, links, 3);
        discard(NULL, 0, NULL, 0);
        discard_wait();
        expect(!is_there(&bench, ifindex));
        expect(!is_there(&bench, links[0].ifindex));
        expect(is_there(&bench, links[1].ifindex));
        expect_int(fcntl(fd, F_GETFD), -1);
        strcpy(links[1].alias, LINK_MARK "mine");
        discard(NULL, 0, &links[1], 1);
        discard_wait();
        expect(!is_there(&bench, links[1].ifindex));
        bench_down(&bench);
}

static void queues_belong_to_one_tap_and_an_owner_may_open_them(void) {
        struct bench bench;
        int fds[3], ifindex;
        char *text;

        bench_up(&bench);
        need_int(link_open_tap(&bench.netlink, "/dev", "pvmq", true, 65534, &fds[0], &ifindex,
                               &bench.why),
                 0);
        expect_int(link_open_tap(&bench.netlink, "/dev", "pvmq", true, 65534, &fds[1], &ifindex,
                                 &bench.why),
                   NETLINK_E_EXISTS);
        need_int(link_open_queue("/dev", "pvmq", &fds[1], &bench.why), 0);
        need_int(link_open_queue("/dev", "pvmq", &fds[2], &bench.why), 0);
        text = output("ip -d -j link show pvmq | jq -c '.[0].linkinfo.info_data | "
                      "[.user, .vnet_hdr, .multi_queue, .numqueues, .pi]'; "
                      "cat /sys/class/net/pvmq/owner");
        puts(text);
        expect_in(text, "65534");
        expect_in(text, "true,true");
        free(text);
        fd_close(fds[0]);
        expect(is_there(&bench, ifindex));
        fd_close(fds[1]);
        fd_close(fds[2]);
        expect(!is_there(&bench, ifindex));
        bench_down(&bench);
}

static void count_news(void *userdata, const struct nlmsghdr *message) {
        const struct tcmsg *header = nlmsg_data(message);
        int *news = userdata;

        if (message->nlmsg_type == RTM_DELQDISC)
                news[0] = header->tcm_ifindex;
        news[1]++;
}

static void a_strangers_change_is_heard_and_our_own_is_not(void) {
        struct netlink listener = NETLINK_NULL;
        struct shape_state state;
        struct pollfd ready;
        struct bench bench;
        struct guest guest;
        int news[2] = {};

        bench_up(&bench);
        need_int(netlink_listen(&listener, RTNLGRP_TC, &bench.netlink, &bench.why), 0);
        ready = (struct pollfd){listener.fd, POLLIN, 0};
        guest_up(&bench, &guest, 1, 2, MBIT, MBIT, MBIT);
        need_int(shape_read(&bench.netlink, &guest.shape, &state, &bench.why), 0);
        expect_int(poll(&ready, 1, 0), 0);
        need_int(run("tc qdisc del dev %s root", guest.names[1]), 0);
        expect_int(poll(&ready, 1, 0), 1);
        expect_int(netlink_news(&listener, count_news, news), 0);
        expect_int(news[0], guest.shape.taps[1]);
        need_int(shape_repair(&bench.netlink, &guest.shape, &bench.why), 0);
        expect_int(poll(&ready, 1, 0), 0);
        need_int(run("tc filter del dev %s egress", guest.names[0]), 0);
        expect_int(poll(&ready, 1, 0), 1);
        expect_int(netlink_news(&listener, count_news, news), 0);
        need_int(run("tc class del dev " IFB " classid 7056:10"), 0);
        expect_int(poll(&ready, 1, 0), 1);
        expect_int(netlink_news(&listener, count_news, news), 0);
        need_int(shape_repair(&bench.netlink, &guest.shape, &bench.why), 0);
        /* Taps that end are no news here. */
        guest_down(&bench, &guest);
        news[1] = 0;
        expect_int(netlink_news(&listener, count_news, news), 0);
        expect_int(news[1], 0);
        netlink_close(&listener);
        bench_down(&bench);
}

static void lost_news_are_an_answer(void) {
        struct netlink listener = NETLINK_NULL;
        int news[2] = {}, small = 1, r;
        struct bench bench;

        bench_up(&bench);
        need_int(netlink_listen(&listener, RTNLGRP_TC, &bench.netlink, &bench.why), 0);
        setsockopt(listener.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
        need_int(run("for i in 1 2 3 4 5 6 7 8; do "
                     "tc class change dev " IFB " classid 7056:1 htb rate ${i}mbit; done"),
                 0);
        r = netlink_news(&listener, count_news, news);
        expect_int(r, NETLINK_E_LOST);
        expect(news[1] < 8);
        expect_int(netlink_news(&listener, count_news, news), 0);
        netlink_close(&listener);
        bench_down(&bench);
}

static void a_full_batch_is_answered_in_full(void) {
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
        int news[2] = {};
        struct bench bench;
        size_t failed = 0;

        bench_up(&bench);
        for (size_t i = 0; i < NETLINK_BATCH_MAX - 1; i++)
                shape_add_removal(&batch, &(struct shape){.ifb_ifindex = bench.ifb,
                                                          .major = MAJOR,
                                                          .minor = (uint16_t)(0x10 + i)});
        link_add_up(&batch, bench.ifb);
        expect_int(netlink_commit(&bench.netlink, &batch, count_news, news, &failed, &bench.why),
                   NETLINK_E_GONE);
        expect_int(failed, 0);
        for (size_t i = 0; i < NETLINK_BATCH_MAX - 1; i++)
                expect_int(batch.errnums[i], ENOENT);
        expect_int(batch.errnums[NETLINK_BATCH_MAX - 1], 0);
        bench_down(&bench);
}

UNIT_MAIN(TEST(a_hundred_and_thirty_ports_are_made_found_and_gone),
          TEST(only_what_carries_the_alias_is_removed),
          TEST(queues_belong_to_one_tap_and_an_owner_may_open_them),
          TEST(a_strangers_change_is_heard_and_our_own_is_not), TEST(lost_news_are_an_answer),
          TEST(a_full_batch_is_answered_in_full), )
