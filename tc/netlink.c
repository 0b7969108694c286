/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/why.h>
#include <tc/netlink.h>

#define MESSAGE_SIZE 2048
/* Answers are fetched many at a time: a system call for each was half of what a small batch costs.
 * The largest single one, the description of a link, takes some 2 KiB. */
#define ANSWERS_MAX 16
#define ANSWER_SIZE 6144
#define ANSWERS_SIZE (ANSWERS_MAX * ANSWER_SIZE)
/* The kernel counts an answer of 100 bytes as up to 4.5 KiB: a full batch, echoes and all. */
#define RECEIVE_SIZE (1024 * 1024)

static int open_socket(int flags, int *fdp, struct why *why) {
        struct sockaddr_nl address = {.nl_family = AF_NETLINK};
        _cleanup_(fd_closep) int fd = -1;
        int one = 1, size = RECEIVE_SIZE;

        fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_ROUTE);
        if (fd < 0)
                return why_errno(why, NETLINK_E_KERNEL, errno, "cannot open a netlink socket");
        /* Old kernels lack one or the other: then errors come without a text, or with our message
         * in them. */
        setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
        setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
        setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof(one));
        /* Without CAP_NET_ADMIN, rmem_max is the limit. */
        if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
                setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return why_errno(why, NETLINK_E_KERNEL, errno, "cannot bind a netlink socket");
        *fdp = take_fd(fd);
        return 0;
}

int netlink_open(struct netlink *netlink, struct why *why) {
        int r;

        r = open_socket(0, &netlink->fd, why);
        if (!r)
                netlink->seq = 0;
        return r;
}

void netlink_close(struct netlink *netlink) {
        netlink->fd = fd_close(netlink->fd);
}

void batch_deinit(struct batch *batch) {
        for (size_t i = 0; i < batch->n; i++)
                nlmsg_free(batch->messages[i]);
        *batch = (struct batch)BATCH_NULL;
}

static struct nl_msg *new_message(int type, int flags) {
        struct nl_msg *message = nlmsg_alloc_size(MESSAGE_SIZE);

        if (message &&
            nlmsg_put(message, NL_AUTO_PORT, NL_AUTO_SEQ, type, 0, NLM_F_REQUEST | flags))
                return message;
        nlmsg_free(message);
        return NULL;
}

struct nl_msg *batch_add(struct batch *batch, int type, int flags, const char *what) {
        struct nl_msg *message;

        assert(batch->n < NETLINK_BATCH_MAX);
        message = new_message(type, NLM_F_ACK | flags);
        if (!message) {
                batch->overrun = true;
                return NULL;
        }
        batch->messages[batch->n] = message;
        batch->what[batch->n++] = what;
        return message;
}

struct nl_msg *netlink_request(int type) {
        return new_message(type, NLM_F_DUMP);
}

static int send_all(struct netlink *netlink, struct batch *batch, struct why *why) {
        struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
        struct iovec parts[NETLINK_BATCH_MAX];
        struct msghdr header = {
                .msg_name = &kernel,
                .msg_namelen = sizeof(kernel),
                .msg_iov = parts,
                .msg_iovlen = batch->n,
        };

        for (size_t i = 0; i < batch->n; i++) {
                struct nlmsghdr *message = nlmsg_hdr(batch->messages[i]);

                message->nlmsg_seq = batch->first + (uint32_t)i;
                message->nlmsg_pid = 0;
                parts[i] = (struct iovec){message, NLMSG_ALIGN(message->nlmsg_len)};
        }
        while (sendmsg(netlink->fd, &header, 0) < 0)
                if (errno != EINTR)
                        return why_errno(why, NETLINK_E_KERNEL, errno, "cannot send to rtnetlink");
        return 0;
}

/* The kernel's own sentence in an acknowledgement, or NULL. */
static const char *kernel_text(const struct nlmsghdr *answer) {
        const struct nlmsgerr *error = nlmsg_data(answer);
        size_t skip = sizeof(*error);
        struct nlattr *text;

        if (!(answer->nlmsg_flags & NLM_F_ACK_TLVS))
                return NULL;
        if (!(answer->nlmsg_flags & NLM_F_CAPPED))
                skip += error->msg.nlmsg_len - sizeof(error->msg);
        skip = NLMSG_ALIGN(skip);
        if (skip >= (size_t)nlmsg_datalen(answer))
                return NULL;
        text = nla_find((struct nlattr *)((char *)error + skip), nlmsg_datalen(answer) - (int)skip,
                        NLMSGERR_ATTR_MSG);
        return text ? nla_data(text) : NULL;
}

static int refuse(const struct nlmsghdr *answer, const char *what, struct why *why) {
        const struct nlmsgerr *error = nlmsg_data(answer);
        const char *text = kernel_text(answer);
        int errnum = -error->error, code = NETLINK_E_KERNEL;

        if (errnum == ENODEV || errnum == ENOENT)
                code = NETLINK_E_GONE;
        else if (errnum == EEXIST)
                code = NETLINK_E_EXISTS;
        else if (errnum == ENOSPC || errnum == EXFULL || errnum == EMLINK)
                code = NETLINK_E_FULL;
        return why_errno(why, code, errnum,
                         text ? "the kernel refuses %s (%s)" : "the kernel refuses %s%s", what,
                         text ?: "");
}

struct progress {
        struct batch *batch;
        size_t answered;
        size_t failed; /* batch->n: none yet */
        int result;
        netlink_echo_fn echo;
        void *userdata;
        struct why *why;
};

static void take_answer(struct progress *progress, const struct nlmsghdr *answer) {
        const struct nlmsgerr *error = nlmsg_data(answer);
        size_t index = answer->nlmsg_seq - progress->batch->first;

        progress->answered++;
        progress->batch->errnums[index] = -error->error;
        if (error->error == 0 || index >= progress->failed)
                return;
        progress->failed = index;
        progress->result = refuse(answer, progress->batch->what[index], progress->why);
}

static void take_datagram(struct progress *progress, char *datagram, int left) {
        for (struct nlmsghdr *answer = (struct nlmsghdr *)datagram; nlmsg_ok(answer, left);
             answer = nlmsg_next(answer, &left)) {
                if (answer->nlmsg_seq - progress->batch->first >= progress->batch->n)
                        continue; /* of an earlier batch whose answers were lost */
                if (answer->nlmsg_type == NLMSG_ERROR)
                        take_answer(progress, answer);
                else if (progress->echo)
                        progress->echo(progress->userdata, answer);
        }
}

/* Some of the answers that are there. Returns 0 or an errno. */
static int receive_some(struct netlink *netlink, char *answers, struct progress *progress) {
        struct mmsghdr headers[ANSWERS_MAX] = {};
        struct iovec parts[ANSWERS_MAX];
        int n;

        for (size_t i = 0; i < ANSWERS_MAX; i++) {
                parts[i] = (struct iovec){answers + i * ANSWER_SIZE, ANSWER_SIZE};
                headers[i].msg_hdr.msg_iov = &parts[i];
                headers[i].msg_hdr.msg_iovlen = 1;
        }
        n = recvmmsg(netlink->fd, headers, ANSWERS_MAX, MSG_DONTWAIT, NULL);
        if (n < 0)
                return errno == EINTR ? 0 : errno;
        for (int i = 0; i < n; i++) {
                if (headers[i].msg_hdr.msg_flags & MSG_TRUNC)
                        return EMSGSIZE;
                take_datagram(progress, parts[i].iov_base, (int)headers[i].msg_len);
        }
        return 0;
}

int netlink_commit(struct netlink *netlink, struct batch *batch, netlink_echo_fn echo,
                   void *userdata, size_t *failedp, struct why *why) {
        struct progress progress = {
                .batch = batch,
                .failed = batch->n,
                .echo = echo,
                .userdata = userdata,
                .why = why,
        };
        _cleanup_(freep) char *answers = NULL;
        int r;

        if (batch->overrun)
                return fault(-ENOMEM);
        answers = malloc(ANSWERS_SIZE);
        if (!answers)
                return fault(-ENOMEM);
        batch->first = netlink->seq + 1;
        netlink->seq += (uint32_t)batch->n;
        r = send_all(netlink, batch, why);
        if (r)
                return r;
        while (progress.answered < batch->n) {
                /* ENOBUFS: some answer did not fit. EAGAIN: one never came. Neither is a lack of
                 * memory, and in both what was made must be looked at. */
                r = receive_some(netlink, answers, &progress);
                if (r)
                        return why_errno(why, NETLINK_E_LOST, r, "lost the kernel's answer to %s",
                                         batch->what[progress.answered]);
        }
        if (failedp)
                *failedp = progress.failed;
        return progress.result;
}

struct dump {
        uint32_t seq;
        bool done, torn;
        int result;
        netlink_echo_fn fn;
        void *userdata;
        struct why *why;
};

static void take_dumped(struct dump *dump, char *datagram, int left) {
        for (struct nlmsghdr *answer = (struct nlmsghdr *)datagram; nlmsg_ok(answer, left);
             answer = nlmsg_next(answer, &left)) {
                if (answer->nlmsg_seq != dump->seq)
                        continue;
                if (answer->nlmsg_flags & NLM_F_DUMP_INTR)
                        dump->torn = true;
                if (answer->nlmsg_type == NLMSG_ERROR) {
                        dump->result = refuse(answer, "a list", dump->why);
                        dump->done = true;
                } else if (answer->nlmsg_type == NLMSG_DONE) {
                        const int *error = nlmsg_data(answer);

                        if (nlmsg_datalen(answer) >= (int)sizeof(*error) && *error < 0)
                                dump->result = why_errno(dump->why, NETLINK_E_KERNEL, -*error,
                                                         "the kernel breaks a list off");
                        dump->done = true;
                } else if (!dump->torn) {
                        dump->fn(dump->userdata, answer);
                }
        }
}

int netlink_dump(struct netlink *netlink, struct nl_msg *message, netlink_echo_fn fn,
                 void *userdata, struct why *why) {
        struct dump dump = {.fn = fn, .userdata = userdata, .why = why};
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
        _cleanup_(freep) char *answers = NULL;
        int r;

        if (!message)
                return fault(-ENOMEM);
        batch.messages[batch.n++] = message;
        answers = malloc(ANSWERS_SIZE);
        if (!answers)
                return fault(-ENOMEM);
        batch.first = dump.seq = ++netlink->seq;
        r = send_all(netlink, &batch, why);
        if (r)
                return r;
        /* A torn list is read to its end, too: the socket has only one at a time. */
        while (!dump.done) {
                ssize_t length = recv(netlink->fd, answers, ANSWERS_SIZE, MSG_DONTWAIT);

                if (length >= 0)
                        take_dumped(&dump, answers, (int)length);
                else if (errno == ENOBUFS)
                        dump.torn = true;
                else if (errno != EINTR)
                        return why_errno(why, NETLINK_E_LOST, errno, "lost the kernel's list");
        }
        if (dump.torn)
                return why_set(why, NETLINK_E_LOST, "the kernel's list changed while it was read");
        return dump.result;
}

/*
 * Drops messages whose nlmsg_pid, the port of whoever caused the change, is @port. And those about
 * chains: the kernel makes one with the first filter and removes it with the last, and says so in
 * nobody's name, but says of the filters and their qdisc, too, and in whose. And of links all but
 * their end: one that comes, or goes up, changes nothing of ours. A filter reads words in network
 * order.
 */
static int ignore_port(int fd, uint32_t port) {
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWCHAIN), 5, 0),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELCHAIN), 4, 0),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWLINK), 3, 0),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(port), 1, 0),
                BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
                BPF_STMT(BPF_RET | BPF_K, 0),
        };
        struct sock_fprog program = {.len = ARRAY_SIZE(code), .filter = code};

        return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

int netlink_listen(struct netlink *listener, unsigned group, const struct netlink *except,
                   struct why *why) {
        struct sockaddr_nl address = {};
        socklen_t size = sizeof(address);
        _cleanup_(fd_closep) int fd = -1;
        int r;

        r = open_socket(SOCK_NONBLOCK, &fd, why);
        if (r)
                return r;
        /* The filter before the group, so that nothing slips in. */
        if (getsockname(except->fd, (struct sockaddr *)&address, &size) < 0 ||
            ignore_port(fd, address.nl_pid) < 0 ||
            setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
                return why_errno(why, NETLINK_E_KERNEL, errno, "cannot listen to rtnetlink");
        listener->fd = take_fd(fd);
        listener->seq = 0;
        return 0;
}

int netlink_listen_also(struct netlink *listener, unsigned group, struct why *why) {
        if (setsockopt(listener->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) <
            0)
                return why_errno(why, NETLINK_E_KERNEL, errno, "cannot listen to rtnetlink");
        return 0;
}

int netlink_news(struct netlink *listener, netlink_echo_fn fn, void *userdata) {
        _cleanup_(freep) char *news = NULL;
        int r = 0;

        news = malloc(ANSWERS_SIZE);
        if (!news)
                return fault(-ENOMEM);
        for (size_t i = 0; i < NETLINK_NEWS_MAX; i++) {
                ssize_t length = recv(listener->fd, news, ANSWERS_SIZE, MSG_DONTWAIT);
                int left = (int)length;

                if (length < 0 && errno == ENOBUFS)
                        r = NETLINK_E_LOST;
                else if (length < 0 && errno != EINTR)
                        break;
                for (struct nlmsghdr *message = (struct nlmsghdr *)news;
                     fn && nlmsg_ok(message, left); message = nlmsg_next(message, &left))
                        fn(userdata, message);
        }
        return r;
}
