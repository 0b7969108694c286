/* SPDX-License-Identifier: MIT */
/*
 * Frames that no TCP/IP stack would send.
 *
 *     frames DEVICE KIND MAC SECONDS MBIT     prints "sent FRAMES BYTES"
 *
 * KIND is vlan (802.1Q, to MAC), arp (requests, to everybody), broadcast (an ethertype of nobody,
 * to everybody), spoof (to MAC, each from another source) or tiny (60 bytes, to MAC). MBIT is how
 * many Mbit/s are sent; 0: as fast as they go.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define FRAME_BYTES 1000
#define TINY_BYTES 60
#define ETHERTYPE_NOBODY 0x88b5 /* for experiments, IEEE 802 */
#define VLAN_ID 7
#define LOOK_AT_CLOCK 64

static uint64_t now_ms(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void put16(unsigned char *at, uint16_t value) {
        at[0] = (unsigned char)(value >> 8);
        at[1] = (unsigned char)value;
}

/* The frame of this kind; its length. */
static size_t make(const char *kind, const unsigned char mac[6], unsigned char *frame) {
        static const unsigned char us[6] = {2, 0, 0, 0, 0x77, 1};
        unsigned char *at = frame + 2 * ETH_ALEN;

        memset(frame, 0, FRAME_BYTES);
        memcpy(frame, mac, ETH_ALEN);
        memcpy(frame + ETH_ALEN, us, ETH_ALEN);
        put16(at, ETHERTYPE_NOBODY);
        if (strcmp(kind, "vlan") == 0) {
                put16(at, ETH_P_8021Q);
                put16(at + 2, VLAN_ID);
                put16(at + 4, ETHERTYPE_NOBODY);
        } else if (strcmp(kind, "arp") == 0) {
                static const unsigned char request[8] = {0, 1, 8, 0, 6, 4, 0, 1};

                memset(frame, 0xff, ETH_ALEN);
                put16(at, ETH_P_ARP);
                memcpy(at + 2, request, sizeof(request));
                memcpy(at + 10, us, sizeof(us));
                memcpy(at + 16, (const unsigned char[]){10, 77, 0, 99}, 4);
                memcpy(at + 26, (const unsigned char[]){10, 77, 0, 98}, 4);
                return TINY_BYTES;
        } else if (strcmp(kind, "broadcast") == 0) {
                memset(frame, 0xff, ETH_ALEN);
        } else if (strcmp(kind, "tiny") == 0) {
                return TINY_BYTES;
        } else if (strcmp(kind, "spoof") != 0) {
                return 0;
        }
        return FRAME_BYTES;
}

int main(int argc, char **argv) {
        struct sockaddr_ll where = {.sll_family = AF_PACKET, .sll_halen = ETH_ALEN};
        unsigned char frame[FRAME_BYTES], mac[6];
        uint64_t begin, end, mbit, sent = 0;
        size_t size = 0;
        bool spoof;
        int fd;

        if (argc == 6 && sscanf(argv[3], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2],
                                &mac[3], &mac[4], &mac[5]) == 6)
                size = make(argv[2], mac, frame);
        if (size == 0) {
                fprintf(stderr,
                        "usage: frames DEVICE vlan|arp|broadcast|spoof|tiny MAC SECONDS MBIT\n");
                return 64;
        }
        spoof = strcmp(argv[2], "spoof") == 0;
        where.sll_ifindex = (int)if_nametoindex(argv[1]);
        fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
        if (fd < 0 || where.sll_ifindex == 0) {
                perror(argv[1]);
                return 1;
        }
        mbit = strtoull(argv[5], NULL, 10);
        begin = now_ms();
        end = begin + strtoull(argv[4], NULL, 10) * 1000;
        for (uint64_t i = 0; i % LOOK_AT_CLOCK != 0 || now_ms() < end; i++) {
                while (mbit && i * size * 8 / 1000 > (now_ms() - begin) * mbit)
                        poll(NULL, 0, 1);
                if (spoof)
                        put16(frame + 2 * ETH_ALEN - 2, (uint16_t)(i % 256));
                if (sendto(fd, frame, size, 0, (struct sockaddr *)&where, sizeof(where)) >= 0)
                        sent++;
        }
        printf("sent %llu %llu\n", (unsigned long long)sent, (unsigned long long)(sent * size));
        return 0;
}
