/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <base/fd.h>
#include <launcher/proof.h>

/* What comes beside the byte: who sends it, and what nobody asked for. */
union control {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))];
};

int proof_give(int fd) {
        const struct ucred init = {.pid = 1};
        union control control = {.header = {.cmsg_len = CMSG_LEN(sizeof(init)),
                                            .cmsg_level = SOL_SOCKET,
                                            .cmsg_type = SCM_CREDENTIALS}};
        char byte = 'b';
        struct iovec part = {&byte, 1};
        const struct msghdr message = {.msg_iov = &part,
                                       .msg_iovlen = 1,
                                       .msg_control = &control,
                                       .msg_controllen = CMSG_SPACE(sizeof(init))};

        memcpy(CMSG_DATA(&control.header), &init, sizeof(init));
        return sendmsg(fd, &message, MSG_NOSIGNAL) < 0 ? errno : 0;
}

static int pass_credentials(int fd, int on) {
        return setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ? errno : 0;
}

int proof_expect(int fd) {
        return pass_credentials(fd, 1);
}

/* Where one descriptor has room there is, by alignment, room for more. */
static void refuse_fds(const struct cmsghdr *part) {
        int fds[sizeof(union control) / sizeof(int)];
        size_t n = (part->cmsg_len - CMSG_LEN(0)) / sizeof(*fds);

        memcpy(fds, CMSG_DATA(part), n * sizeof(*fds));
        fd_close_many(fds, n);
}

int proof_take(int fd) {
        union control control;
        struct ucred who = {};
        char byte;
        struct iovec part = {&byte, 1};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof(control)};
        ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

        if (n < 0)
                return errno;
        for (struct cmsghdr *at = CMSG_FIRSTHDR(&message); at; at = CMSG_NXTHDR(&message, at)) {
                if (at->cmsg_level != SOL_SOCKET)
                        continue;
                if (at->cmsg_type == SCM_CREDENTIALS)
                        memcpy(&who, CMSG_DATA(at), sizeof(who));
                else if (at->cmsg_type == SCM_RIGHTS)
                        refuse_fds(at);
        }
        if (n != 1 || who.pid != 1 || who.uid != 0)
                return EPERM;
        /* Who sends is known from now on; the word of it would take the place of descriptors. */
        return pass_credentials(fd, 0);
}
