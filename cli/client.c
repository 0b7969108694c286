/* SPDX-License-Identifier: MIT */
/*
 * The client's end of the wire. Replies may be longer than calls (a list of thousands of VMs), so
 * the reading bound is raised to what the broker may queue.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/why.h>
#include <cli/client.h>
#include <proto/request.h>

#define CONNECT_TIMEOUT_S 1

int client_connect(struct client *client, const char *path, struct why *why) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        struct timeval timeout = {.tv_sec = CONNECT_TIMEOUT_S};
        _cleanup_(fd_closep) int fd = -1;

        if (strlen(path) >= sizeof(address.sun_path))
                return why_set(why, CLIENT_E_NO_BROKER,
                               "the socket's path is longer than %zu characters",
                               sizeof(address.sun_path) - 1);
        strcpy(address.sun_path, path);

        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return why_errno(why, CLIENT_E_NO_BROKER, errno, "cannot make a socket");
        /* connect(2) to a full backlog would wait as long as it takes. */
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return why_errno(why, CLIENT_E_NO_BROKER, errno, "cannot connect to %s", path);

        client_deinit(client);
        stream_init(&client->stream, take_fd(fd));
        client->stream.in_max = STREAM_OUT_MAX;
        return 0;
}

void client_deinit(struct client *client) {
        stream_deinit(&client->stream);
}

int client_call(struct client *client, const char *method, json_t *parameters, bool more,
                const int *fds, size_t n, struct why *why) {
        _cleanup_(freep) char *text = NULL;
        char name[CALL_METHOD_MAX + 1];
        size_t length;

        stream_give_fds(&client->stream, fds, n);
        snprintf(name, sizeof(name), "%s.%s", PROTO_INTERFACE, method);
        text = call_format(name, parameters, more, &length);
        if (!text)
                return fault(-ENOMEM);
        if (length >= STREAM_MESSAGE_MAX)
                return why_set(why, CLIENT_E_TOO_BIG,
                               "the call takes %zu bytes and the broker reads %d; shorten the "
                               "command or its environment",
                               length + 1, STREAM_MESSAGE_MAX);
        return stream_queue(&client->stream, text, length);
}

/* Turns a stream's answer into ours. */
static int stream_answer(int answer, struct why *why) {
        if (answer <= 0)
                return answer;
        if (answer == STREAM_E_AGAIN)
                return CLIENT_E_AGAIN;
        if (answer == STREAM_E_TOO_BIG || answer == STREAM_E_FDS) {
                why->code = CLIENT_E_PROTOCOL;
                return CLIENT_E_PROTOCOL;
        }
        why->code = CLIENT_E_GONE;
        return CLIENT_E_GONE;
}

int client_step(struct client *client, struct reply *reply, struct why *why) {
        const char *message;
        size_t length;
        int r;

        /* A broker that refuses may close before it has read all of the call; what it said is still
         * there to be read, so a write that comes too late is no reason to stop. */
        r = stream_flush(&client->stream, why);
        if (r < 0 || r == STREAM_E_HOST)
                return stream_answer(r, why);
        r = stream_next(&client->stream, &message, &length);
        while (r == STREAM_E_AGAIN) {
                r = stream_fill(&client->stream, why);
                if (r)
                        return stream_answer(r, why);
                r = stream_next(&client->stream, &message, &length);
        }

        r = reply_parse(reply, message, length, why);
        return r > 0 ? CLIENT_E_PROTOCOL : r;
}

short client_poll_events(const struct client *client) {
        return POLLIN | (stream_pending(&client->stream) ? POLLOUT : 0);
}

int client_wait(struct client *client, struct reply *reply, struct why *why) {
        for (;;) {
                struct pollfd pollfd = {client->stream.fd, client_poll_events(client), 0};
                int r = client_step(client, reply, why);

                if (r != CLIENT_E_AGAIN)
                        return r;
                pollfd.events = client_poll_events(client);
                if (poll(&pollfd, 1, -1) < 0 && errno != EINTR)
                        return why_errno(why, CLIENT_E_GONE, errno, "cannot wait for the broker");
        }
}
