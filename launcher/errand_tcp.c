/* SPDX-License-Identifier: MIT */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <string.h>
#include <unistd.h>

#include <base/fd.h>
#include <launcher/errand_tcp.h>
#include <launcher/wire.h>

#define BACKLOG_MAX 4096
#define SEND_BUFFER (128 * 1024) /* bytes that wait in the kernel for one who does not read */
#define GONE_MS 30000            /* without a word, after we have sent some */

/* The address in the payload: AF_INET or AF_INET6, and as long as these are. */
static bool read_address(const struct wire_message *message, struct sockaddr_storage *address) {
        uint32_t length = message->request.length;

        *address = (struct sockaddr_storage){};
        if (length != sizeof(struct sockaddr_in) && length != sizeof(struct sockaddr_in6))
                return false;
        memcpy(address, message->payload, length);
        return address->ss_family == AF_INET    ? length == sizeof(struct sockaddr_in)
               : address->ss_family == AF_INET6 ? length == sizeof(struct sockaddr_in6)
                                                : false;
}

/* What is set here, accepted sockets have as well. */
static void prepare(int fd, int family) {
        static const int on = 1, buffer = SEND_BUFFER, gone_ms = GONE_MS;

        /* After a crash the port is ours again at once. */
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &gone_ms, sizeof(gone_ms));
        if (family == AF_INET6)
                (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
        /* Addresses that come later than we do. */
        if (family == AF_INET6)
                (void)setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on));
        else
                (void)setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on));
}

int errand_listen(struct wire_message *message, struct wire_answer *answer, int *fdp) {
        int64_t backlog = message->request.number[0];
        _cleanup_(fd_closep) int fd = -1;
        struct sockaddr_storage address;

        if (!read_address(message, &address) || backlog < 1 || backlog > BACKLOG_MAX)
                return EINVAL;
        fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return errno;
        prepare(fd, address.ss_family);
        if (bind(fd, (struct sockaddr *)&address, message->request.length) < 0 ||
            listen(fd, (int)backlog) < 0)
                return errno;
        *fdp = take_fd(fd);
        return 0;
}

int errand_connect(struct wire_message *message, struct wire_answer *answer, int *fdp) {
        struct sockaddr_storage address;
        _cleanup_(fd_closep) int fd = -1;

        if (!read_address(message, &address))
                return EINVAL;
        fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, message->request.length) < 0)
                return errno;
        return 0;
}
