/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "revive.h"

#define LOOKS 4                         /* in the same state: stuck */
#define LOOKS_BOOT 16                   /* on the stack in which the kernel boots, without interrupts */
#define STACK_BITS 14                   /* a kernel stack: 16 KiB */
#define STACK_BYTES 1024                /* of it that are looked at */
#define CHUNK 128
#define ANSWER_MS 2000                  /* QEMU may be busy */
#define FLAG_INTERRUPTS 0x200
#define KERNEL_HALF UINT64_C(0xffff800000000000)
#define KERNEL_CODE UINT64_C(0xffffffff80000000)        /* and its data, with the first stack */

static int connect_to(const char *dir, const char *name) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", dir, name);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
                return fd;
        close(fd);
        return -1;
}

/* Reads until @until has come. */
static bool hear(int fd, char *text, size_t size, const char *until) {
        size_t n = 0;

        for (;;) {
                struct pollfd in = { .fd = fd, .events = POLLIN };
                ssize_t got;

                if (n + 1 >= size || poll(&in, 1, ANSWER_MS) <= 0)
                        return false;
                got = read(fd, text + n, size - n - 1);
                if (got <= 0)
                        return false;
                n += (size_t)got;
                text[n] = '\0';
                if (strstr(text, until))
                        return true;
        }
}

static bool say(int fd, const char *text) {
        return send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

/* ---- gdb's remote protocol, as much of it as is needed ---- */

/* 0: no more comes. */
static char next_char(int fd) {
        struct pollfd in = { .fd = fd, .events = POLLIN };
        char c;

        return poll(&in, 1, ANSWER_MS) > 0 && read(fd, &c, 1) == 1 ? c : '\0';
}

/* The next packet without its frame. */
static bool hear_packet(int fd, char *packet, size_t size) {
        size_t n = 0;
        char c;

        while ((c = next_char(fd)) != '$')
                if (!c)
                        return false;
        while ((c = next_char(fd)) != '#') {
                if (!c || n + 1 >= size)
                        return false;
                packet[n++] = c;
        }
        packet[n] = '\0';
        return next_char(fd) && next_char(fd) && say(fd, "+");
}

/* Sends @command; false also for an error. That the guest has stopped is told at any moment. */
static bool ask(int fd, char *answer, size_t size, const char *command) {
        unsigned char sum = 0;
        char packet[128];

        for (const char *c = command; *c; c++)
                sum = (unsigned char)(sum + *c);
        snprintf(packet, sizeof(packet), "$%s#%02x", command, sum);
        if (!say(fd, packet))
                return false;
        do {
                if (!hear_packet(fd, answer, size))
                        return false;
        } while (answer[0] == 'T' || answer[0] == 'S');
        return answer[0] != 'E';
}

static uint64_t number_at(const char *hex) {
        uint64_t value = 0;

        for (int i = 0; i < 8; i++) {
                unsigned byte = 0;

                sscanf(hex + 2 * i, "%2x", &byte);
                value |= (uint64_t)byte << 8 * i;
        }
        return value;
}

/* Writes back what is there, if that is anything: a byte at @address, which a breakpoint leads back
 * to, and one before it, which it has come from. */
static void touch(int fd, uint64_t address) {
        char command[64], bytes[64];

        snprintf(command, sizeof(command), "m%" PRIx64 ",2", address - 1);
        if (!ask(fd, bytes, sizeof(bytes), command) || strlen(bytes) != 4)
                return;
        snprintf(command, sizeof(command), "M%" PRIx64 ",2:%s", address - 1, bytes);
        (void)ask(fd, bytes, sizeof(bytes), command);
}

/* The guest stands while we are connected. False: QEMU did not do what was asked. */
static bool revive(const char *dir) {
        static char registers[8192];
        int fd = connect_to(dir, "gdb");
        char command[64], stack[2 * CHUNK + 64];
        unsigned n = 0;
        bool gone_on;

        if (fd < 0)
                return false;
        for (unsigned i = 1; i <= REVIVE_PROCESSORS_MAX; i++) {
                uint64_t top;

                snprintf(command, sizeof(command), "Hg%x", i);
                if (!ask(fd, registers, sizeof(registers), command) ||
                    !ask(fd, registers, sizeof(registers), "g") || strlen(registers) < 17 * 16)
                        break;
                n++;
                touch(fd, number_at(registers + 16 * 16));
                top = number_at(registers + 7 * 16);
                for (uint64_t at = top; at < top + STACK_BYTES; at += CHUNK) {
                        snprintf(command, sizeof(command), "m%" PRIx64 ",%x", at, CHUNK);
                        if (!ask(fd, stack, sizeof(stack), command) || strlen(stack) != 2 * CHUNK)
                                break;
                        for (unsigned word = 0; word < CHUNK / 8; word++) {
                                uint64_t address = number_at(stack + 16 * word);

                                if (address > KERNEL_CODE)
                                        touch(fd, address);
                        }
                }
        }
        gone_on = ask(fd, command, sizeof(command), "D");
        close(fd);
        return n > 0 && gone_on;
}

/* ---- looking ---- */

static uint64_t value_of(const char *text, const char *name, int base) {
        const char *at = strstr(text, name);

        return at ? strtoull(at + strlen(name), NULL, base) : 0;
}

static bool is_stuck(struct revive *revive, unsigned i, const char *text) {
        uint64_t top = value_of(text, "RSP=", 16), stack = top >> STACK_BITS;
        bool possible = top >= KERNEL_HALF && value_of(text, "CPL=", 10) == 0 &&
                        value_of(text, "HLT=", 10) == 0 &&
                        !(value_of(text, "RFL=", 16) & FLAG_INTERRUPTS);

        if (!possible || revive->processor[i].stack != stack)
                revive->processor[i].looks = 0;
        revive->processor[i].stack = possible ? stack : 0;
        return possible &&
               ++revive->processor[i].looks >= (top >= KERNEL_CODE ? LOOKS_BOOT : LOOKS);
}

enum revived revive_look(struct revive *state) {
        static char text[REVIVE_PROCESSORS_MAX * 8192];
        bool stuck = false;
        char *at, *next;

        if (state->monitor_fd < 0) {
                state->monitor_fd = connect_to(state->dir, "monitor");
                if (state->monitor_fd < 0 || !hear(state->monitor_fd, text, sizeof(text), "(qemu) "))
                        goto fail;
        }
        if (!say(state->monitor_fd, "info registers -a\n") ||
            !hear(state->monitor_fd, text, sizeof(text), "\n(qemu) "))
                goto fail;
        at = strstr(text, "CPU#");
        for (unsigned i = 0; at && i < REVIVE_PROCESSORS_MAX; i++, at = next) {
                next = strstr(at + 1, "CPU#");
                if (next)
                        next[-1] = '\0';
                stuck |= is_stuck(state, i, at);
        }
        if (!stuck)
                return REVIVE_NOTHING;
        memset(state->processor, 0, sizeof(state->processor));
        return revive(state->dir) ? REVIVE_DONE : REVIVE_FAILED;
fail:
        /* QEMU is not there yet, or ends, or is too busy: the next look will see. */
        if (state->monitor_fd >= 0)
                close(state->monitor_fd);
        state->monitor_fd = -1;
        return REVIVE_NOTHING;
}
