/* SPDX-License-Identifier: MIT */
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/why.h>
#include <tc/netlink.h>

#define ANSWERS_SIZE (64 * 1024)
#define MESSAGE_SIZE 2048

int netlink_open(struct netlink *netlink, struct why *why) {
        struct sockaddr_nl address = {.nl_family = AF_NETLINK};
        _cleanup_(fd_closep) int fd = -1;
        int one = 1, size = 1024 * 1024;

        fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
        if (fd < 0)
                return why_errno(why, NETLINK_E_KERNEL, errno, "cannot open a netlink socket");
        /* Old kernels lack one or the other: then errors come without a text, or with our message
         * in them. */
        setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
        setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
        setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof(one));
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return why_errno(why, NETLINK_E_KERNEL, errno, "cannot bind a netlink socket");
        netlink->fd = take_fd(fd);
        netlink->seq = 0;
        return 0;
}

void netlink_close(struct netlink *netlink) {
        netlink->fd = fd_close(netlink->fd);
}

void batch_deinit(struct batch *batch) {
        for (size_t i = 0; i < batch->n; i++)
                nlmsg_free(batch->messages[i]);
        *batch = (struct batch)BATCH_NULL;
}

struct nl_msg *batch_add(struct batch *batch, int type, int flags, const char *what) {
        struct nl_msg *message = NULL;

        assert(batch->n < NETLINK_BATCH_MAX);
        message = nlmsg_alloc_size(MESSAGE_SIZE);
        if (!message || !nlmsg_put(message, NL_AUTO_PORT, NL_AUTO_SEQ, type, 0,
                                   NLM_F_REQUEST | NLM_F_ACK | flags)) {
                nlmsg_free(message);
                batch->overrun = true;
                return NULL;
        }
        batch->messages[batch->n] = message;
        batch->what[batch->n++] = what;
        return message;
}

static int send_all(struct netlink *netlink, struct batch *batch, uint32_t first, struct why *why) {
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

                message->nlmsg_seq = first + (uint32_t)i;
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
        uint32_t first;
        size_t n, answered;
        size_t failed; /* n: none yet */
        int result;
};

static void take_answer(struct progress *progress, const struct batch *batch,
                        const struct nlmsghdr *answer, struct why *why) {
        const struct nlmsgerr *error = nlmsg_data(answer);
        size_t index = answer->nlmsg_seq - progress->first;

        progress->answered++;
        if (error->error == 0 || index >= progress->failed)
                return;
        progress->failed = index;
        progress->result = refuse(answer, batch->what[index], why);
}

int netlink_commit(struct netlink *netlink, struct batch *batch, netlink_echo_fn echo,
                   void *userdata, size_t *failedp, struct why *why) {
        struct progress progress = {.first = netlink->seq + 1, .n = batch->n, .failed = batch->n};
        _cleanup_(freep) char *answers = NULL;
        int r;

        if (batch->overrun)
                return fault(-ENOMEM);
        answers = malloc(ANSWERS_SIZE);
        if (!answers)
                return fault(-ENOMEM);
        netlink->seq += (uint32_t)batch->n;
        r = send_all(netlink, batch, progress.first, why);
        if (r)
                return r;

        while (progress.answered < progress.n) {
                ssize_t length = recv(netlink->fd, answers, ANSWERS_SIZE, MSG_DONTWAIT);
                int left = (int)length;

                if (length < 0 && errno == EINTR)
                        continue;
                /* ENOBUFS: some answer did not fit. EAGAIN: one never came. Neither is a lack of
                 * memory, and in both what was made must be looked at. */
                if (length < 0)
                        return why_errno(why, NETLINK_E_LOST, errno,
                                         "lost the kernel's answer to %s",
                                         batch->what[min_u64(progress.answered, progress.n - 1)]);
                for (struct nlmsghdr *answer = (struct nlmsghdr *)answers; nlmsg_ok(answer, left);
                     answer = nlmsg_next(answer, &left)) {
                        if (answer->nlmsg_seq - progress.first >= progress.n)
                                continue; /* of an earlier batch whose answers were lost */
                        if (answer->nlmsg_type == NLMSG_ERROR)
                                take_answer(&progress, batch, answer, why);
                        else if (echo)
                                echo(userdata, answer);
                }
        }
        if (failedp)
                *failedp = progress.failed;
        return progress.result;
}
