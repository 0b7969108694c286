/* SPDX-License-Identifier: MIT */
#include <linux/seccomp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/why.h>
#include <launcher/seccomp_listen.h>

#define CALLS_AT_ONCE 256
#define KERNEL_MAX 512 /* bytes of the kernel's structs, which may grow behind ours */

_Static_assert(sizeof(struct seccomp_notif) <= KERNEL_MAX, "room for what we know");

int seccomp_listen_open(struct seccomp_listener *listener, int *peer_fdp, struct why *why) {
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                return why_errno(why, SECCOMP_E_HOST, errno, "cannot make a pair of sockets");
        *listener = (struct seccomp_listener){.socket_fd = fds[0], .fd = -1};
        *peer_fdp = fds[1];
        return 0;
}

int seccomp_listen_poll_fd(const struct seccomp_listener *listener) {
        return listener->fd >= 0 ? listener->fd : listener->socket_fd;
}

void seccomp_listen_close(struct seccomp_listener *listener) {
        listener->fd = fd_close(listener->fd);
        listener->socket_fd = fd_close(listener->socket_fd);
}

/* The listener, if it is there. Without one the socket's end means that there will be none. */
static void receive(struct seccomp_listener *listener) {
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = {};
        struct iovec part = {(char[1]){0}, 1};
        struct msghdr message = {
                .msg_iov = &part,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        const struct cmsghdr *header;
        ssize_t n;

        n = recvmsg(listener->socket_fd, &message, MSG_CMSG_CLOEXEC);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        header = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
        if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
            header->cmsg_len == CMSG_LEN(sizeof(int))) {
                memcpy(&listener->fd, CMSG_DATA(header), sizeof(int));
                listener->came = true;
        }
        listener->socket_fd = fd_close(listener->socket_fd);
}

/* One call: noted, and let go on. What was killed meanwhile (ENOENT) needs no answer. */
static int take_call(struct seccomp_listener *listener, struct why *why) {
        union {
                struct seccomp_notif notif;
                char bytes[KERNEL_MAX];
        } asked = {};
        union {
                struct seccomp_notif_resp response;
                char bytes[KERNEL_MAX];
        } answer = {};
        uint64_t arguments[SECCOMP_ARGUMENTS];

        if (ioctl(listener->fd, SECCOMP_IOCTL_NOTIF_RECV, &asked) < 0) {
                if (errno == ENOENT || errno == EINTR)
                        return 0;
                return why_errno(why, SECCOMP_E_HOST, errno, "cannot take a system call");
        }
        for (size_t i = 0; i < SECCOMP_ARGUMENTS; i++)
                arguments[i] = asked.notif.data.args[i];
        seccomp_learn_note(&listener->learned, asked.notif.data.nr, arguments);
        answer.response.id = asked.notif.id;
        answer.response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        if (ioctl(listener->fd, SECCOMP_IOCTL_NOTIF_SEND, &answer) < 0 && errno != ENOENT)
                return why_errno(why, SECCOMP_E_HOST, errno, "cannot let a system call go on");
        return 0;
}

int seccomp_listen_step(struct seccomp_listener *listener, struct why *why) {
        if (listener->socket_fd >= 0)
                receive(listener);
        for (size_t i = 0; listener->fd >= 0 && i < CALLS_AT_ONCE; i++) {
                struct pollfd pollfd = {listener->fd, POLLIN, 0};
                int r;

                /* To receive waits if there is nothing; that there is, only we can change. */
                if (poll(&pollfd, 1, 0) <= 0)
                        return 0;
                if (!(pollfd.revents & POLLIN)) {
                        seccomp_listen_close(listener); /* all processes have ended */
                        return 0;
                }
                r = take_call(listener, why);
                if (r) {
                        seccomp_listen_close(listener);
                        return r;
                }
        }
        return 0;
}
