/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_LAUNCHER_WIRE_H
#define PROVIUM_LAUNCHER_WIRE_H

/*
 * What passes between the broker and the launcher, over a SOCK_STREAM socket of one machine: a
 * request of a fixed head, `length` bytes of payload and up to WIRE_FDS_MAX descriptors (with the
 * first byte), then an answer of a fixed size and up to WIRE_ANSWER_FDS_MAX descriptors. One after
 * the other; those marked "no answer" have none. Both ends are the same program, or two releases of
 * it: WIRE_VERSION tells.
 */

#include <sys/types.h>

#include <base/macro.h>

struct child_args;
struct why;

#define WIRE_VERSION 1
#define WIRE_FDS_MAX 128
#define WIRE_ANSWER_FDS_MAX 4
#define WIRE_NO_FDS                                                                                \
        { -1, -1, -1, -1 }
#define WIRE_LENGTH_MAX (8U << 20)
#define WIRE_NUMBERS 6

enum wire_op {
        WIRE_HELLO = 1, /* number[0]: version; no more than the broker needs at its start */
        WIRE_SPAWN,     /* payload: launcher/wire_spawn; fds */
        WIRE_RELEASE,   /* number[0]: slot. No answer */
        WIRE_WAIT,      /* number[0]: pid */
        WIRE_RESET_OOM, /* number[0]: pid */
        WIRE_OURS,      /* payload: pids that will be asked for; the others are reaped. No answer */
        WIRE_RENEW,     /* execute the program anew; the answer comes from the new one */
        WIRE_SIGNAL,    /* fd: pidfd; number[0]: signal */
        WIRE_CHOWN,     /* fd; number[0]: uid, number[1]: gid */
        WIRE_NAMESPACES, /* number[0]: pid, [1]: its uid, [2]: gid; answers CLONE_NEW* */
        WIRE_KMSG,       /* answers a descriptor of the kernel's log */
        WIRE_PRESSURE, /* number[0]: enum wire_pressure, [1]: full, [2]: stall, [3]: window, in us;
                        * answers a descriptor */
        WIRE_FORWARD,  /* number[0]: AF_INET, AF_INET6: the host forwards packets from now on */
        WIRE_LISTEN,   /* payload: a sockaddr; number[0]: backlog; answers a descriptor */
        WIRE_CONNECT,  /* payload: a sockaddr; answers what the beginning of a connection does */
        WIRE_UNQUOTA,  /* fds: told, files; number[0]: project, [1]: major, [2]: minor */
        _WIRE_OP_N,
};

/* Of what WIRE_PRESSURE tells that there is too little. */
enum wire_pressure {
        WIRE_PRESSURE_CPU,
        WIRE_PRESSURE_MEMORY,
        WIRE_PRESSURE_IO,
        _WIRE_PRESSURE_N,
};

/* What WIRE_UNQUOTA writes to its first descriptor in the end: errnos, or 0. */
struct wire_unquota {
        uint8_t files; /* the last of the files that could not be taken out */
        uint8_t limit; /* the limit, which could not be removed */
};

struct wire_request {
        uint32_t op;
        uint32_t length; /* of the payload */
        uint32_t n_fds;
        uint32_t unused;
        int64_t number[WIRE_NUMBERS];
};

struct wire_answer {
        int32_t error; /* errno; 0: done */
        uint32_t n_fds;
        int64_t number[WIRE_NUMBERS];
};

/* What was received of a request. */
struct wire_message {
        struct wire_request request;
        char *payload;         /* owned; length bytes and a NUL */
        int fds[WIRE_FDS_MAX]; /* owned; close-on-exec */
};

/*
 * Sends and receives, whole or not at all: 0, or a positive errno (EPIPE: nobody is there any more;
 * EBADMSG: not what the head says). They block as long as the socket's timeouts let them.
 */
_must_check_ int wire_send(int fd, const void *head, size_t size, const void *payload,
                           size_t length, const int *fds, size_t n_fds);
_must_check_ int wire_receive(int fd, void *head, size_t size, int *fds, size_t fds_max,
                              size_t *n_fdsp);
_must_check_ int wire_receive_payload(int fd, void *payload, size_t length);

#endif
