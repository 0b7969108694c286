/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_TC_NETLINK_H
#define PROVIUM_TC_NETLINK_H

/*
 * A session with the kernel's rtnetlink: messages are built with libnl, sent together in one
 * sendmsg(2), and every acknowledgement is read.
 *
 * The library's own receive path is not used, because it loses what we want to know: the kernel's
 * text (extended acknowledgements), the errno of anything it has no code for, and the difference
 * between a full socket buffer and no memory. rtnetlink works a batch off before sendmsg returns,
 * so the answers are there when we read; nothing here waits for the network or for another process.
 * A message that fails does not stop those behind it: the caller undoes what was made.
 */

#include <netlink/msg.h>

#include <base/macro.h>

struct why;

#define NETLINK_BATCH_MAX 16

enum {
        _NETLINK_E_SUCCESS,
        NETLINK_E_GONE,   /* ENODEV, ENOENT: the link, qdisc or class is not there */
        NETLINK_E_EXISTS, /* EEXIST */
        NETLINK_E_FULL,   /* ENOSPC, EXFULL, EMLINK: no room, such as for a bridge's 1,025th port */
        NETLINK_E_LOST,   /* the kernel's answers did not fit into the socket: state unknown */
        NETLINK_E_KERNEL, /* refused otherwise; errno and the kernel's text are in why */
};

struct netlink {
        int fd; /* -1: closed */
        uint32_t seq;
};

#define NETLINK_NULL                                                                               \
        { .fd = -1 }

/* Opens a session in the network namespace of the caller. Answers KERNEL. */
_must_check_ int netlink_open(struct netlink *netlink, struct why *why);
void netlink_close(struct netlink *netlink);

struct batch {
        struct nl_msg *messages[NETLINK_BATCH_MAX];
        const char *what[NETLINK_BATCH_MAX];
        size_t n;
        bool overrun; /* out of memory while it was built */
};

#define BATCH_NULL                                                                                 \
        {}

/* Frees the messages. */
void batch_deinit(struct batch *batch);

/*
 * Adds an empty message of @type with NLM_F_REQUEST, NLM_F_ACK and @flags, and room for attributes;
 * @what names it in errors ("the download limit"). The message is the batch's; NULL when out of
 * memory, which netlink_commit() then says.
 */
struct nl_msg *batch_add(struct batch *batch, int type, int flags, const char *what);

/*
 * Sends the batch and reads the answer to each message. @echo, if not NULL, is called with every
 * message that the kernel sent besides acknowledgements: the answers to gets, and with NLM_F_ECHO
 * what was really made. Answers the first failure's; negative: out of memory. @failedp (may be
 * NULL): its index.
 */
typedef void (*netlink_echo_fn)(void *userdata, const struct nlmsghdr *message);
_must_check_ int netlink_commit(struct netlink *netlink, struct batch *batch, netlink_echo_fn echo,
                                void *userdata, size_t *failedp, struct why *why);

#endif
