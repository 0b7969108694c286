/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <base/fd.h>
#include <broker/broker.h>
#include <broker/http_conn.h>
#include <broker/http_listen.h>

#define BACKLOG 64
#define ACCEPTS_PER_TURN 4
#define FULL_USEC UINT64_C(1000000) /* until descriptors are asked for again */

/* All of it, at once or not at all: nobody waits for one who was not let in. */
static void turn_away(int fd, const char *status, const char *message) {
        char text[512], body[256];
        int n, length;

        length = snprintf(body, sizeof(body), "{\"error\": \"%s\", \"status\": %.3s}\n", message,
                          status);
        n = snprintf(text, sizeof(text),
                     "HTTP/1.1 %s\r\nContent-Type: " HTTP_JSON "\r\nContent-Length: %d\r\n"
                     "Retry-After: 1\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n%s",
                     status, length, body);
        (void)!send(fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
        fd_close(fd);
}

static bool same_peer(const struct http_peer *a, const struct http_peer *b) {
        if (a->tcp != b->tcp)
                return false;
        return a->tcp ? memcmp(a->address, b->address, sizeof(a->address)) == 0 : a->uid == b->uid;
}

static size_t count_peer(const struct http *http, const struct http_peer *peer) {
        const struct http_client *client;
        size_t n = 0;

        TAILQ_FOREACH(client, &http->clients, link)
                n += same_peer(&client->peer, peer);
        return n;
}

static bool tell_peer(int fd, struct http_peer *peer) {
        struct ucred cred;
        socklen_t size = sizeof(cred);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
                return false;
        *peer = (struct http_peer){.uid = cred.uid};
        return true;
}

static void let_in(struct http *http, int fd, const struct sockaddr *address, socklen_t length) {
        struct http_peer peer;

        if (!tell_peer(fd, &peer))
                fd_close(fd);
        else if (count_peer(http, &peer) >= HTTP_CLIENTS_PER_PEER)
                turn_away(fd, "429 Too Many Requests",
                          "you have as many connections as one may have");
        else if (http->n_clients >= HTTP_CLIENTS_MAX)
                turn_away(fd, "503 Service Unavailable",
                          "there are as many connections as there may be");
        else
                http_admit(http, fd, &peer, address, length);
}

static int on_listen(sd_event_source *source, int listen_fd, uint32_t revents, void *userdata) {
        struct http *http = userdata;

        for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
                struct sockaddr_storage address = {};
                socklen_t length = sizeof(address);
                int fd;

                fd = accept4(listen_fd, (struct sockaddr *)&address, &length,
                             SOCK_CLOEXEC | SOCK_NONBLOCK);
                if (fd < 0) {
                        /* The control socket's clients come first; when one of ours has left there
                         * is a descriptor again. */
                        if (errno == EMFILE || errno == ENFILE)
                                http->full = true;
                        break;
                }
                let_in(http, fd, (struct sockaddr *)&address, length);
        }
        if (http->full) {
                http_listen_enable(http, false);
                http_turn_at(http, broker_now_usec() + FULL_USEC);
        }
        return 0;
}

void http_listen_enable(struct http *http, bool on) {
        if (http->listen)
                sd_event_source_set_enabled(http->listen, on && !http->full && !http->resting
                                                                  ? SD_EVENT_ON
                                                                  : SD_EVENT_OFF);
}

void http_listen_again(struct http *http) {
        if (!http->full)
                return;
        http->full = false;
        http_listen_enable(http, true);
}

static int listen_at(const char *run_dir, int *fdp, struct why *why) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        _cleanup_(fd_closep) int fd = -1;
        int n;

        n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/http", run_dir);
        if (n < 0 || (size_t)n >= sizeof(address.sun_path))
                return why_set(why, BROKER_E_HOST, "the run directory '%s' is too long", run_dir);
        if (mkdir(run_dir, 0755) < 0 && errno != EEXIST)
                return why_errno(why, BROKER_E_HOST, errno, "cannot create '%s'", run_dir);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return why_errno(why, BROKER_E_HOST, errno, "cannot create a socket");
        /* The root's lock is ours, so a socket that lies here is a dead broker's. */
        unlink(address.sun_path);
        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            /* As the control socket: everybody may ask, and sees what concerns him. */
            chmod(address.sun_path, 0666) < 0 || listen(fd, BACKLOG) < 0)
                return why_errno(why, BROKER_E_HOST, errno, "cannot listen at '%s'",
                                 address.sun_path);
        *fdp = take_fd(fd);
        return 0;
}

int http_listen_open(struct http *http) {
        struct why why = {};
        int r;

        r = listen_at(http->broker->options->run_dir, &http->listen_fd, &why);
        if (r < 0)
                return r;
        if (r) {
                log_error("HTTP: %s: nobody is served there", why.text);
                return 0;
        }
        r = sd_event_add_io(http->broker->event, &http->listen, http->listen_fd, EPOLLIN, on_listen,
                            http);
        return r < 0 ? fault(r) : 0;
}

void http_listen_close(struct http *http) {
        http->listen = sd_event_source_disable_unref(http->listen);
        http->listen_fd = fd_close(http->listen_fd);
}
