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

#define NETLINK_BATCH_MAX 96 /* the reading of a VM with eight taps takes 52 */

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
        int errnums[NETLINK_BATCH_MAX]; /* after netlink_commit(): of each message; 0: done */
        size_t n;
        uint32_t first; /* sequence number of the first; an echo's nlmsg_seq less this is its index
                         */
        bool overrun;   /* out of memory while it was built */
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

/* An empty request of @type with room for attributes, for netlink_dump(); NULL: out of memory. */
struct nl_msg *netlink_request(int type);

/*
 * Sends @message (consumed, even NULL: then out of memory) as a dump, and calls @fn with every
 * message of it. Answers LOST when the kernel says that something changed meanwhile
 * (NLM_F_DUMP_INTR) or the answers did not fit (ENOBUFS): @fn has then seen a part, and the caller
 * begins again. Answers as netlink_commit() otherwise.
 */
_must_check_ int netlink_dump(struct netlink *netlink, struct nl_msg *message, netlink_echo_fn fn,
                              void *userdata, struct why *why);

/*
 * Opens a second session that hears of the changes that others make: a non-blocking socket in
 * @group (RTNLGRP_TC), where the kernel drops what @except itself has caused (a filter on the port
 * id of the sender), and what it tells of chains in nobody's name, before it costs a wakeup. To be
 * polled for reading. In this group a tap that ends is silent. Answers KERNEL.
 */
_must_check_ int netlink_listen(struct netlink *listener, unsigned group,
                                const struct netlink *except, struct why *why);
/* The same session hears of another group, too: of RTNLGRP_LINK only what ends or goes to another
 * namespace, whoever caused it. Answers KERNEL. */
_must_check_ int netlink_listen_also(struct netlink *listener, unsigned group, struct why *why);

/*
 * Calls @fn (may be NULL) with each message that has come, at most NETLINK_NEWS_MAX: what is left
 * keeps the descriptor readable. Returns 0, or LOST when the kernel had to drop some: then
 * anything may have changed.
 */
#define NETLINK_NEWS_MAX 256
_must_check_ int netlink_news(struct netlink *listener, netlink_echo_fn fn, void *userdata);

#endif
