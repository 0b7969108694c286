/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <netinet/in.h>
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
#include <broker/meter.h>
#include <launcher/launcher_errands.h>

#define BACKLOG 64
#define ACCEPTS_PER_TURN 1
#define FULL_USEC UINT64_C(1000000)  /* until descriptors are asked for again */
#define RETRY_USEC UINT64_C(5000000) /* until an address is */
#define SUBNET6 8                    /* bytes of an IPv6 address that are one peer's */

/* ---- who comes ---- */

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
        (void)shutdown(fd, SHUT_WR);
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

static bool tell_peer(int fd, const struct sockaddr *address, struct http_peer *peer) {
        struct ucred cred;
        socklen_t size = sizeof(cred);

        *peer = (struct http_peer){.tcp = address->sa_family != AF_UNIX};
        if (address->sa_family == AF_INET6) {
                memcpy(peer->address, &((const struct sockaddr_in6 *)address)->sin6_addr, SUBNET6);
        } else if (address->sa_family == AF_INET) {
                memset(peer->address + 10, 0xff, 2);
                memcpy(peer->address + 12, &((const struct sockaddr_in *)address)->sin_addr, 4);
        } else {
                if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
                        return false;
                peer->uid = cred.uid;
        }
        return true;
}

static void let_in(struct http *http, int fd, const struct sockaddr *address, socklen_t length) {
        const struct http_policy *policy = &http->broker->policy->broker.http;
        struct http_peer peer;
        bool many;

        if (!tell_peer(fd, address, &peer)) {
                fd_close(fd);
                return;
        }
        many = count_peer(http, &peer) >= policy->connections_peer_max;
        meter_count(http->broker, many || http->n_clients >= policy->connections_max
                                          ? METER_HTTP_TURNED_AWAY
                                          : METER_HTTP_ACCEPTED);
        if (many)
                turn_away(fd, "429 Too Many Requests",
                          "you have as many connections as one may have, by [HTTP] "
                          "MaxConnectionsPerPeer=");
        else if (http->n_clients >= policy->connections_max)
                turn_away(fd, "503 Service Unavailable",
                          "there are as many connections as there may be, by [HTTP] "
                          "MaxConnections=");
        else
                http_admit(http, fd, &peer, address, length);
}

static int on_listen(sd_event_source *source, int listen_fd, uint32_t revents, void *userdata) {
        struct http_listener *listener = userdata;
        struct http *http = listener->http;

        for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
                struct sockaddr_storage address = {.ss_family = AF_UNIX};
                socklen_t length = sizeof(address);
                int fd;

                fd = accept4(listen_fd, (struct sockaddr *)&address, &length,
                             SOCK_CLOEXEC | SOCK_NONBLOCK);
                if (fd < 0) {
                        /* The control socket's clients come first. */
                        http->full |= errno == EMFILE || errno == ENFILE;
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
        int enabled =
                on && !http->full && !http->resting && !http->quiet ? SD_EVENT_ON : SD_EVENT_OFF;

        for (size_t i = 0; i < HTTP_LISTENERS_MAX; i++)
                if (http->listeners[i].source)
                        sd_event_source_set_enabled(http->listeners[i].source, enabled);
}

void http_listen_heed_priority(struct http *http) {
        for (size_t i = 0; i < HTTP_LISTENERS_MAX; i++)
                if (http->listeners[i].source)
                        sd_event_source_set_priority(http->listeners[i].source, http->priority);
}

void http_listen_again(struct http *http) {
        if (!http->full)
                return;
        http->full = false;
        http_listen_enable(http, true);
}

/* ---- where ---- */

static int open_unix(const char *run_dir, int *fdp, struct why *why) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        _cleanup_(fd_closep) int fd = -1;
        int n;

        n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/" HTTP_UNIX, run_dir);
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

static socklen_t make_address(const struct policy_listen *listen,
                              struct sockaddr_storage *address) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;
        struct sockaddr_in *in = (struct sockaddr_in *)address;

        *address = (struct sockaddr_storage){.ss_family = (sa_family_t)listen->family};
        if (listen->family == AF_INET6) {
                memcpy(&in6->sin6_addr, listen->bytes, sizeof(in6->sin6_addr));
                in6->sin6_port = htons(listen->port);
                return sizeof(*in6);
        }
        memcpy(&in->sin_addr, listen->bytes, sizeof(in->sin_addr));
        in->sin_port = htons(listen->port);
        return sizeof(*in);
}

/* The launcher makes it: we may make no sockets of the Internet. */
static int open_tcp(struct launcher *launcher, const struct policy_listen *where, int *fdp,
                    struct why *why) {
        struct sockaddr_storage address;
        socklen_t length = make_address(where, &address);
        int r;

        r = launcher_listen(launcher, (struct sockaddr *)&address, length, BACKLOG, fdp);
        if (r)
                return why_errno(why, BROKER_E_HOST, r,
                                 r == EACCES ? "cannot listen at %s (the broker has no right "
                                               "to ports below 1024)"
                                             : "cannot listen at %s",
                                 where->text);
        return 0;
}

static void listener_close(struct http_listener *listener) {
        sd_event_source_disable_unref(listener->source);
        fd_close(listener->fd);
        *listener = (struct http_listener){.fd = -1};
}

/* Negative errno: the loop does not take it. */
static int listener_watch(struct http_listener *listener) {
        struct http *http = listener->http;
        int r;

        r = sd_event_add_io(http->broker->event, &listener->source, listener->fd, EPOLLIN,
                            on_listen, listener);
        if (r >= 0)
                r = sd_event_source_set_priority(listener->source, http->priority);
        if (r >= 0)
                http_listen_enable(http, true);
        return r;
}

/* @where: NULL is the unix socket. */
static void listener_open(struct http_listener *listener, const struct policy_listen *where) {
        struct http *http = listener->http;
        int r;

        r = where ? open_tcp(http->broker->launcher, where, &listener->fd, &listener->why)
                  : open_unix(http->broker->options->run_dir, &listener->fd, &listener->why);
        if (r == 0 && listener_watch(listener) < 0) {
                r = why_set(&listener->why, BROKER_E_HOST, "the loop does not take a socket");
                listener->fd = fd_close(listener->fd);
        }
        if (r == 0) {
                if (where || listener->told)
                        log_info("HTTP: listening at %s", listener->name);
                listener->told = false;
                return;
        }
        if (!listener->told)
                log_error("HTTP: %s; trying again every 5 s", listener->why.text);
        listener->told = true;
        http->listen_usec = broker_now_usec() + RETRY_USEC;
        http_turn_at(http, http->listen_usec);
}

static struct http_listener *listener_find(struct http *http, const char *name) {
        for (size_t i = 0; i < HTTP_LISTENERS_MAX; i++)
                if (strcmp(http->listeners[i].name, name) == 0)
                        return &http->listeners[i];
        return NULL;
}

/* One of that name, made if there is none; NULL: there is no room. */
static struct http_listener *listener_get(struct http *http, const char *name) {
        struct http_listener *listener = listener_find(http, name);

        if (listener)
                return listener;
        listener = listener_find(http, "");
        if (!listener)
                return NULL;
        *listener =
                (struct http_listener){.http = http, .fd = -1, .tcp = strcmp(name, HTTP_UNIX) != 0};
        snprintf(listener->name, sizeof(listener->name), "%s", name);
        return listener;
}

static bool is_wanted(const struct http_listener *listener, const struct http_policy *policy) {
        if (listener->activated)
                return true;
        if (strcmp(listener->name, HTTP_UNIX) == 0)
                return policy->socket;
        for (size_t i = 0; i < policy->n_listens; i++)
                if (strcmp(listener->name, policy->listens[i].text) == 0)
                        return true;
        return false;
}

static void listen_to(struct http *http, const char *name, const struct policy_listen *where) {
        struct http_listener *listener = listener_get(http, name);

        if (!listener)
                log_error("HTTP: not listening at %s: there are %d sockets already", name,
                          HTTP_LISTENERS_MAX);
        else if (listener->fd < 0)
                listener_open(listener, where);
}

void http_listen_follow(struct http *http) {
        const struct http_policy *policy;

        if (!http || !http->daemon)
                return;
        policy = &http->broker->policy->broker.http;
        http->listen_usec = UINT64_MAX;
        /* First what goes, so that an address can be said in another way. */
        for (size_t i = 0; i < HTTP_LISTENERS_MAX; i++) {
                struct http_listener *listener = &http->listeners[i];

                if (listener->name[0] && !is_wanted(listener, policy)) {
                        log_info("HTTP: no longer listening at %s", listener->name);
                        listener_close(listener);
                }
        }
        if (policy->socket)
                listen_to(http, HTTP_UNIX, NULL);
        for (size_t i = 0; i < policy->n_listens; i++)
                listen_to(http, policy->listens[i].text, &policy->listens[i]);
}

void http_listen_retry(struct http *http, uint64_t now_usec) {
        if (http->listen_usec <= now_usec)
                http_listen_follow(http);
}

void http_listen_close(struct http *http) {
        for (size_t i = 0; i < HTTP_LISTENERS_MAX; i++)
                listener_close(&http->listeners[i]);
}

/* ---- sockets of somebody else's making ---- */

static bool take_socket(struct http *http, const char *name, int fd, bool activated) {
        int accepts = 0, domain = 0;
        socklen_t size = sizeof(int);
        struct http_listener *listener;

        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &size) < 0 || !accepts ||
            getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0)
                return false;
        listener = http->daemon ? listener_get(http, name) : NULL;
        if (!listener || listener->fd >= 0)
                return false;
        (void)fcntl(fd, F_SETFL, O_NONBLOCK);
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
        listener->fd = fd;
        listener->tcp = domain != AF_UNIX;
        listener->activated = activated;
        if (listener_watch(listener) >= 0)
                return true;
        listener->fd = -1;
        return false;
}

void http_listen_adopt(struct http *http, int fd) {
        char name[POLICY_LISTEN_TEXT_MAX + 1];
        int domain = 0;
        socklen_t size = sizeof(domain);

        (void)getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size);
        /* A unix socket is the one that we would make ourselves. */
        snprintf(name, sizeof(name), domain == AF_UNIX ? HTTP_UNIX : "systemd:%d", fd);
        if (take_socket(http, name, fd, true))
                return;
        log_warning("HTTP: descriptor %d of systemd is no listening socket that could be used", fd);
        fd_close(fd);
}

json_t *http_listen_pack(const struct http *http) {
        json_t *array = json_array();

        for (size_t i = 0; i < HTTP_LISTENERS_MAX; i++) {
                const struct http_listener *listener = &http->listeners[i];

                if (listener->name[0] && listener->fd >= 0)
                        json_array_append_new(array, json_pack("[s,i,b]", listener->name,
                                                               listener->fd, listener->activated));
        }
        return array;
}

void http_listen_unpack(struct http *http, const json_t *array) {
        json_t *entry;
        size_t i;

        json_array_foreach(array, i, entry) {
                const char *name;
                int fd, activated;

                if (json_unpack(entry, "[s,i,b]", &name, &fd, &activated) == 0 &&
                    strlen(name) <= POLICY_LISTEN_TEXT_MAX &&
                    !take_socket(http, name, fd, activated))
                        fd_close(fd);
        }
}
