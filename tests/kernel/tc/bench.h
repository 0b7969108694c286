/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A bridge and an IFB made with tc/, and "guests": a guest is a network namespace with taps of its
 * own and a relay that carries frames between those and the host's, as a hypervisor does. What
 * stands there is read with iproute2; iperf3 talks across.
 */

#include <stdio.h>

#include <base/why.h>
#include <tc/link.h>
#include <tc/shape.h>

#define BRIDGE "pvtestbr"
#define IFB "pvtestifb"
#define MAJOR 0x7056
#define MBIT UINT64_C(125000)

struct guest {
        pid_t pid; /* of the relay, inside the namespace; 0: none */
        int number;
        int fds[SHAPE_TAPS_MAX]; /* the host's taps; the relay's, if there is one */
        struct shape shape;
        char names[SHAPE_TAPS_MAX][IF_NAMESIZE];
};

struct bench {
        struct netlink netlink;
        int bridge, ifb;
        struct why why;
};

int run(const char *format, ...) _printf_(1, 2);
/* The output of a command, bounded, to be freed. */
char *output(const char *format, ...) _printf_(1, 2);
/* The command prints these words, one behind the other. */
void expect_output(const char *command, const char *const *words, size_t n_words);

void bench_up(struct bench *bench);
void bench_down(struct bench *bench);

/* What a VM asks for, with @n_taps taps; the class numbers follow from @number. */
void guest_up(struct bench *bench, struct guest *guest, int number, size_t n_taps,
              uint64_t download, uint64_t rate, uint64_t ceil);
/* Its system: 10.9.0.(10 + number) on eth0, 10.9.1.(10 + number) on eth1, and the same of IPv6. */
void guest_start(struct guest *guest);
void guest_down(struct bench *bench, struct guest *guest);
