/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_PROTO_CONSOLE_H
#define PROVIUM_PROTO_CONSOLE_H

/*
 * What is said over the socket of a VM's console, a SOCK_SEQPACKET whose path Show tells: packets
 * of one letter and what belongs to it. Whoever connects is sent the log from its oldest byte on,
 * then LIVE, then what the VM prints from there. It need not send anything.
 */

#include <stdint.h>

#define CONSOLE_DATA 'd' /* both ways: 1 to CONSOLE_DATA_MAX bytes from or for the VM */
#define CONSOLE_LIVE 'l' /* to the client: the log ends here */
#define CONSOLE_GAP 'g'  /* to the client, with a struct console_gap: it was too slow for these */
#define CONSOLE_FULL 'f' /* to the client, and the last: CONSOLE_WATCHERS_MAX are there already */
#define CONSOLE_SIZE 's' /* to the VM, with a struct console_size: the client's window */

#define CONSOLE_DATA_MAX 4096
#define CONSOLE_PACKET_MAX (1 + CONSOLE_DATA_MAX)
#define CONSOLE_LOG_MAX (64 * 1024) /* bytes that are kept of what the VM has printed */
#define CONSOLE_WATCHERS_MAX 8

/* Of this machine's own byte order: the socket leads nowhere else. */
struct console_gap {
        uint64_t bytes;
};

struct console_size {
        uint16_t rows, columns; /* 0: unknown */
};

#endif
