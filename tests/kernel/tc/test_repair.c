/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 512M --timeout 200 */
/*
 * Somebody with tc in his hand takes limits away or bends them; they are seen and put back.
 */
#include <stdlib.h>
#include <string.h>

#include <base/fd.h>

#include "bench.h"
#include "unit.h"

/* $A and $B are the two taps, $I the IFB. The second: what is said of it. */
static const struct {
        const char *command, *said;
} harms[] = {
        {"tc qdisc del dev $A root", "the download limit of tap 0"},
        {"tc qdisc replace dev $A root pfifo", "the download limit of tap 0"},
        {"tc qdisc del dev $A root; tc qdisc add dev $A root handle 1: pfifo",
         "the download limit of tap 0"},
        {"tc qdisc change dev $B handle 1: root tbf rate 5mbit burst 256k limit 1m",
         "the download limit's rate is 625000 and should be 3000000"},
        {"tc qdisc change dev $B handle 1: root tbf rate 24mbit burst 512k limit 1m",
         "the download limit's queue"},
        {"tc qdisc change dev $B handle 1: root tbf rate 24mbit burst 512k limit 250000",
         "the download limit's bucket"},
        {"tc qdisc del dev $A parent 1:1", "the queue of downloads of tap 0 is missing"},
        {"tc qdisc replace dev $B parent 1:1 pfifo", "the queue of downloads of tap 1 is pfifo"},
        {"tc qdisc del dev $B parent 1:1; tc qdisc add dev $B parent 1:1 handle 2: pfifo",
         "the queue of downloads of tap 1 is pfifo"},
        {"tc qdisc del dev $A clsact", "the hook for filters of tap 0"},
        {"tc qdisc del dev $A clsact; tc qdisc add dev $A ingress",
         "the hook for filters of tap 0"},
        {"tc filter del dev $A ingress", "the redirect of uploads of tap 0"},
        {"tc filter del dev $B egress pref 1", "the redirect of downloads of tap 1"},
        {"tc filter del dev $A ingress; "
         "tc filter add dev $A ingress pref 1 protocol ip matchall action pass",
         "the redirect of uploads of tap 0"},
        {"tc filter del dev $A ingress; "
         "tc filter add dev $A ingress pref 1 protocol all u32 match u32 0 0 action pass",
         "the redirect of uploads of tap 0"},
        {"tc filter del dev $A egress; "
         "tc filter add dev $A egress pref 1 protocol all matchall action pass",
         "the redirect of downloads of tap 0"},
        {"tc actions change action skbedit priority 7056:1 pipe index "
         "$(tc -j filter show dev $A ingress | jq '.[1].options.actions[0].index')",
         "the redirect of uploads of tap 0"},
        {"tc class del dev $I classid 7056:30", "the upload limit is missing"},
        {"tc class change dev $I classid 7056:30 htb rate 1gbit",
         "the upload limit's rate is 125000000 and should be 625000"},
        {"tc class del dev $I classid 7056:30; "
         "tc class add dev $I parent 7056: classid 7056:30 htb rate 5mbit ceil 20mbit",
         "the upload limit hangs below ffff:ffff"},
        {"tc qdisc del dev $I parent 7056:30", "the upload limit's queue is"},
        {"tc qdisc replace dev $I parent 7056:30 pfifo", "the upload limit's queue is pfifo"},
        {"tc qdisc del dev $I parent 7056:30; "
         "tc qdisc add dev $I parent 7056:30 handle 30: pfifo",
         "the upload limit's queue is pfifo"},
        {"tc class del dev $I classid 7056:38", "the limit on the sum of downloads is missing"},
        {"tc class change dev $I classid 7056:38 htb rate 24mbit ceil 1gbit",
         "the limit on the sum of downloads's ceil"},
        {"tc class del dev $I classid 7056:30; tc class del dev $I classid 7056:38; "
         "tc qdisc del dev $A root; tc qdisc del dev $B root; "
         "tc qdisc del dev $A clsact; tc qdisc del dev $B clsact",
         "the upload limit is missing"},
};

static void whatever_was_taken_away_or_bent_is_seen_and_put_back(void) {
        struct shape_state state;
        struct bench bench;
        struct guest guest;

        bench_up(&bench);
        guest_up(&bench, &guest, 3, 2, 24 * MBIT, 5 * MBIT, 20 * MBIT);
        for (size_t i = 0; i < ARRAY_SIZE(harms); i++) {
                bench.why.text[0] = '\0';
                need_that(run("A=%s; B=%s; I=" IFB "; %s", guest.names[0], guest.names[1],
                              harms[i].command) == 0,
                          "%s", harms[i].command);
                need_int(shape_read(&bench.netlink, &guest.shape, &state, &bench.why), 0);
                expect_that(shape_differs(&guest.shape, &state, &bench.why) == SHAPE_E_DIFFERS &&
                                    strstr(bench.why.text, harms[i].said),
                            "%s: %s", harms[i].command, bench.why.text);
                expect_that(shape_repair(&bench.netlink, &guest.shape, &bench.why) == 0, "%s: %s",
                            harms[i].command, bench.why.text);
                need_int(shape_read(&bench.netlink, &guest.shape, &state, &bench.why), 0);
                expect_int(shape_differs(&guest.shape, &state, NULL), 0);
        }
        guest_down(&bench, &guest);
        bench_down(&bench);
}

static void what_is_right_keeps_its_queue(void) {
        struct shape_state before, after;
        struct bench bench;
        struct guest guest;

        bench_up(&bench);
        guest_up(&bench, &guest, 3, 2, 24 * MBIT, 5 * MBIT, 20 * MBIT);
        /* The question for an address nobody has goes to both taps. */
        run("bash -c 'echo x >/dev/udp/10.9.0.77/9'");
        need_int(shape_read(&bench.netlink, &guest.shape, &before, &bench.why), 0);
        need(before.taps[0].tbf_count.bytes > 0 && before.taps[1].tbf_count.bytes > 0);
        need(before.download.count.bytes > 0);
        need_int(run("tc qdisc del dev %s root && tc class del dev " IFB " classid 7056:30 && "
                     "tc filter del dev %s ingress",
                     guest.names[0], guest.names[1]),
                 0);
        need_int(shape_repair(&bench.netlink, &guest.shape, &bench.why), 0);
        need_int(shape_read(&bench.netlink, &guest.shape, &after, &bench.why), 0);
        expect(after.taps[1].tbf_count.bytes >= before.taps[1].tbf_count.bytes);
        expect(after.download.count.bytes >= before.download.count.bytes);
        expect(after.download.leaf_count.bytes >= before.download.leaf_count.bytes);
        guest_down(&bench, &guest);
        bench_down(&bench);
}

static void what_cannot_be_put_back_is_named(void) {
        struct shape_state state;
        struct bench bench;
        struct guest guest;

        bench_up(&bench);
        guest_up(&bench, &guest, 3, 2, 24 * MBIT, 5 * MBIT, 20 * MBIT);
        guest.fds[1] = fd_close(guest.fds[1]);
        expect_int(shape_repair(&bench.netlink, &guest.shape, &bench.why), NETLINK_E_GONE);
        expect_in(bench.why.text, "tap 1 (link ");
        need_int(shape_read(&bench.netlink, &guest.shape, &state, &bench.why), 0);
        expect(!state.taps[1].present);
        expect(state.taps[0].present && state.taps[0].ingress && state.taps[0].up);
        guest.shape.n_taps = 1;
        need_int(run("tc qdisc del dev " IFB " root"), 0);
        expect_int(shape_repair(&bench.netlink, &guest.shape, &bench.why), NETLINK_E_GONE);
        printf("# %s\n", bench.why.text);
        fd_close_many(guest.fds, 1);
        bench_down(&bench);
}

UNIT_MAIN(TEST(whatever_was_taken_away_or_bent_is_seen_and_put_back),
          TEST(what_is_right_keeps_its_queue), TEST(what_cannot_be_put_back_is_named), )
