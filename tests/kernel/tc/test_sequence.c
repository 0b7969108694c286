/* SPDX-License-Identifier: MIT */
/* rig: --beside --mem 512M --timeout 300 */
/*
 * One VM after the other on one bridge, more than there are class numbers: each gets its own, and
 * nothing is left. PROVIUM_LONG=1 makes it 65,000 (about half an hour: the kernel takes 20 ms to
 * part with a tap); the class numbers then went round once.
 */
#include <stdlib.h>

#include <base/fd.h>
#include <tc/discard.h>
#include <tc/handles.h>

#include "bench.h"
#include "unit.h"

#define SHORT 300
#define LONG 65000
#define AT_ONCE 4 /* VMs that live side by side */
#define SLACK_KIB 32768

static struct handles handles;

static unsigned count_classes(void) {
        char *text = output("tc class show dev " IFB " | grep -c htb");
        unsigned n = (unsigned)atoi(text);

        free(text);
        return n;
}

static unsigned count_links(void) {
        char *text = output("ip -o link | wc -l");
        unsigned n = (unsigned)atoi(text);

        free(text);
        return n;
}

static long available_kib(void) {
        char *text = output("grep MemAvailable /proc/meminfo | tr -dc 0-9");
        long n = atol(text);

        free(text);
        return n;
}

/* As broker/taps makes one. */
static void come(struct bench *bench, struct guest *guest, unsigned number) {
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
        struct shape_check check = {.shape = &guest->shape, .why = &bench->why};
        unsigned char mac[6];
        char id[32];

        snprintf(id, sizeof(id), "lease%u", number);
        *guest = (struct guest){.number = (int)number};
        guest->shape = (struct shape){
                .ifb_ifindex = bench->ifb,
                .major = MAJOR,
                .download_bytes_per_s = 10 * MBIT,
                .upload_rate_bytes_per_s = 5 * MBIT,
                .upload_ceil_bytes_per_s = 20 * MBIT,
                .n_taps = 1,
        };
        need_int(handles_take(&handles, &guest->shape.minor), 0);
        link_tap_name(guest->names[0], id, 0);
        need_int(link_open_tap(&bench->netlink, "/dev", guest->names[0], false, LINK_NO_OWNER,
                               &guest->fds[0], &guest->shape.taps[0], &bench->why),
                 0);
        link_mac(mac, id, 0);
        link_mac_host(mac, mac);
        need_int(shape_add(&batch, &guest->shape, &bench->why), 0);
        link_add_tap(&batch, guest->shape.taps[0], LINK_MARK "test", mac,
                     &(struct link){.ifindex = bench->bridge}, false);
        need_int(netlink_commit(&bench->netlink, &batch, shape_echo, &check, NULL, &bench->why), 0);
        need_int(shape_confirmed(&check), 0);
}

static void go(struct bench *bench, struct guest *guest) {
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;

        shape_add_removal(&batch, &guest->shape);
        need_int(netlink_commit(&bench->netlink, &batch, NULL, NULL, NULL, &bench->why), 0);
        discard(guest->fds, 1, NULL, 0);
        handles_drop(&handles, guest->shape.minor);
}

static void leases_in_sequence_leave_nothing(void) {
        const unsigned total = getenv("PROVIUM_LONG") ? LONG : SHORT;
        struct guest guests[AT_ONCE];
        unsigned links, highest = 0;
        struct bench bench;
        long memory;

        bench_up(&bench);
        handles_init(&handles);
        links = count_links();
        memory = available_kib();
        for (unsigned i = 0; i < total; i++) {
                if (i >= AT_ONCE)
                        go(&bench, &guests[i % AT_ONCE]);
                come(&bench, &guests[i % AT_ONCE], i);
                if (guests[i % AT_ONCE].shape.minor > highest)
                        highest = guests[i % AT_ONCE].shape.minor;
                if (i % 5000 == 4999) {
                        need_int(count_classes(), AT_ONCE + 2);
                        unit_note("%u leases, class number %#x, %ld KiB less available", i + 1,
                                  guests[i % AT_ONCE].shape.minor, memory - available_kib());
                }
                /* As many ends as are on their way in a busy broker, not all of 65,000. */
                if (i % 64 == 63)
                        discard_wait();
        }
        for (unsigned i = 0; i < AT_ONCE; i++)
                go(&bench, &guests[i]);
        discard_wait();
        expect_uint(count_classes(), 2);
        expect_uint(count_links(), links);
        expect_uint(handles.used, 0);
        if (total > HANDLES_TOTAL)
                expect_uint(highest, HANDLES_MAX);
        unit_note("%u leases: %ld KiB less available", total, memory - available_kib());
        expect(memory - available_kib() < SLACK_KIB);
        bench_down(&bench);
}

UNIT_MAIN(TEST(leases_in_sequence_leave_nothing), )
