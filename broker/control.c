/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <base/fd.h>
#include <broker/broker.h>
#include <broker/control.h>
#include <broker/lease.h>
#include <broker/meter.h>
#include <broker/methods.h>
#include <broker/waiting.h>
#include <broker/shrink.h>
#include <broker/space.h>
#include <broker/stats.h>
#include <broker/usage_query.h>

/* All users wait in it together, first come, first served: so it is short, and connect(2) waits. */
#define LISTEN_BACKLOG 64
#define ACCEPTS_PER_TURN 16
#define FREE_PER_USER 2      /* connections that have turns of their own */
#define MESSAGES_PER_TURN 16 /* of one connection before the others have their turn */

/* A last word to a peer that gets no connection, or no longer has one: it must know that asking
 * again is of no use. Nothing waits for it, so a full socket loses it. */
static void dismiss(int fd, const char *message) {
        char text[256];
        int n;

        n = snprintf(text, sizeof(text),
                     "{\"error\":\"" PROTO_INTERFACE
                     ".Failed\",\"parameters\":{\"message\":\"%s\"}}",
                     message);
        (void)!send(fd, text, (size_t)n + 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Everything that was outstanding for a peer that left ends here. */
static int on_reap(sd_event_source *source, void *userdata) {
        struct broker *broker = userdata;
        struct control *control = broker->control;
        struct connection *connection;
        int r;

        while ((connection = TAILQ_FIRST(&control->dead))) {
                TAILQ_REMOVE(&control->dead, connection, grave);
                connection_unsubscribe(connection);
                if (connection->killing)
                        TAILQ_REMOVE(&connection->killing->killers, connection, killer);
                if (connection->resizing)
                        shrink_unfollow(connection->resizing);
                space_forget(connection);
                stats_forget(connection);
                usage_query_forget(connection);
                if (connection->following) {
                        struct lease *lease = connection->following;

                        lease_detach_follower(lease);
                        r = claim_follower_gone(lease);
                        if (r < 0)
                                return broker_fault(broker, r);
                }
                connection_free(connection);
        }
        return 0;
}

static int dispatch_message(struct connection *connection, const char *message, size_t length) {
        struct broker *broker = connection->broker;
        struct call call = CALL_NULL;
        struct why why = {};
        int fds[STREAM_FDS_MAX], r;
        size_t n_fds;

        n_fds = stream_take_fds(&connection->stream, fds);
        r = call_parse(&call, message, length, &why);
        if (r == 0) {
                connection->busy = true;
                connection->more = call.more;
                r = methods_dispatch(connection, &call, fds, n_fds);
                call_deinit(&call);
                return r;
        }
        fd_close_many(fds, n_fds);
        if (r < 0)
                return r;
        /* Not varlink: whoever this is, what follows cannot be understood either. */
        if (log_rates_pass(&broker->client_lines, connection->uid, broker_now_usec()))
                log_warning("uid %u, pid %d: %s", connection->uid, connection->pid, why.text);
        connection->closing = true;
        return connection_error(connection, "Invalid", json_pack("{s:s}", "field", "message"),
                                why.text);
}

/* Carries out the calls that are in the buffer, until one is outstanding or others should have a
 * turn. */
static int connection_process(struct connection *connection) {
        connection->recheck = false;
        for (int i = 0; !connection->busy && !connection->closing && !connection->dead; i++) {
                const char *message;
                size_t length;
                int r;

                if (i == MESSAGES_PER_TURN) {
                        connection->recheck = true;
                        return 0;
                }
                if (stream_next(&connection->stream, &message, &length))
                        return 0;
                r = dispatch_message(connection, message, length);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* 0 if something came, or nothing was there; the connection may be dead afterwards. */
static int connection_read(struct connection *connection) {
        struct why why = {};
        int r;

        r = stream_fill(&connection->stream, &why);
        if (r <= 0 || r == STREAM_E_AGAIN)
                return r < 0 ? r : 0;
        if (r != STREAM_E_CLOSED &&
            log_rates_pass(&connection->broker->client_lines, connection->uid, broker_now_usec()))
                log_warning("uid %u, pid %d: %s", connection->uid, connection->pid, why.text);
        if ((r == STREAM_E_FDS || r == STREAM_E_TOO_BIG) && !stream_pending(&connection->stream))
                dismiss(connection->stream.fd,
                        r == STREAM_E_FDS
                                ? "too many descriptors came, or the broker has no room for them: "
                                  "its limit of open files is reached"
                                : "the message is too long");
        connection_close(connection);
        return 0;
}

static int on_connection(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct connection *connection = userdata;
        struct broker *broker = connection->broker;
        int r = 0;

        /* What it still said before it left is heard, unless an answer is outstanding: then its
         * leaving ends that. */
        if ((revents & EPOLLIN) && !connection->busy && !connection->closing)
                r = connection_read(connection);
        else if (revents & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
                connection_close(connection);
        else if (revents & EPOLLIN)
                connection->crowded = true;
        if (r == 0 && !connection->dead && (revents & EPOLLOUT))
                r = connection_flush(connection);
        if (r == 0)
                r = connection_process(connection);
        if (r == 0 && connection->listing && !connection->dead &&
            !stream_pending(&connection->stream))
                r = methods_list_part(connection);
        if (r == 0 && connection->subscribed)
                r = connection_push_events(connection);
        if (r == 0 && !connection->dead)
                r = connection_watch(connection);
        return r < 0 ? broker_fault(broker, r) : 0;
}

/* One of a user's crowd has its turn: the one that waits longest. */
static int on_crowd(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct epoll_event event;

        if (epoll_wait(fd, &event, 1, 0) != 1)
                return 0;
        return on_connection(NULL, -1, event.events, event.data.ptr);
}

/*
 * The loop gives each of its sources a turn. So a user's first connections are sources, and all
 * others of that user are one together: whoever has a thousand waits for them, and nobody else
 * does. Returns a negative errno.
 */
static int listen_to(struct connection *connection) {
        struct broker *broker = connection->broker;
        struct user *user = connection->user;
        struct epoll_event event = {.events = connection->watched, .data.ptr = connection};
        int fd = connection->stream.fd, r;

        if (connection->uid == 0 || user->n_connections <= FREE_PER_USER)
                return sd_event_add_io(broker->event, &connection->source, fd, connection->watched,
                                       on_connection, connection);
        if (user->crowd_fd < 0) {
                user->crowd_fd = epoll_create1(EPOLL_CLOEXEC);
                if (user->crowd_fd < 0)
                        return -errno;
        }
        if (!user->crowd) {
                r = sd_event_add_io(broker->event, &user->crowd, user->crowd_fd, EPOLLIN, on_crowd,
                                    user);
                if (r < 0)
                        return r;
        }
        return epoll_ctl(user->crowd_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int control_adopt(struct broker *broker, int fd, struct connection **connectionp) {
        struct control *control = broker->control;
        struct connection *connection;
        struct ucred cred;
        socklen_t size = sizeof(cred);
        struct user *user;
        int r;

        *connectionp = NULL;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0) {
                fd_close(fd);
                return 0;
        }
        r = user_get(broker, cred.uid, &user);
        if (r < 0)
                return r;
        if (control->n_connections >= CONTROL_CONNECTIONS_MAX ||
            (cred.uid != 0 && user->n_connections >= broker->policy->broker.connections_user_max)) {
                if (log_rates_pass(&broker->client_lines, cred.uid, broker_now_usec()))
                        log_warning("uid %u, pid %d: turned away, it has %llu connections",
                                    cred.uid, cred.pid, (unsigned long long)user->n_connections);
                user_put(broker, user);
                meter_count(broker, METER_VARLINK_TURNED_AWAY);
                dismiss(fd, "this user has as many connections as one may have");
                fd_close(fd);
                return 0;
        }

        connection = calloc(1, sizeof(*connection));
        if (!connection)
                return fault(-ENOMEM);
        connection->broker = broker;
        connection->user = user;
        connection->uid = cred.uid;
        connection->gid = cred.gid;
        connection->pid = cred.pid;
        connection->watched = EPOLLIN | EPOLLRDHUP;
        stream_init(&connection->stream, fd);
        user->n_connections++;
        TAILQ_INSERT_TAIL(&control->connections, connection, link);
        control->n_connections++;
        meter_count(broker, METER_VARLINK_ACCEPTED);
        r = listen_to(connection);
        if (r < 0) {
                connection_free(connection);
                /* The kernel's limit on descriptors, watched ones too: one peer's bad luck, not our
                 * end. */
                return r == -ENOSPC || r == -EMFILE || r == -ENFILE ? 0 : fault(r);
        }
        *connectionp = connection;
        return 0;
}

int control_resume(struct connection *connection) {
        if (connection->dead)
                return 0;
        connection->recheck = true;
        return connection_watch(connection);
}

/* Out of descriptors: the spare one serves to accept and close, so that the peer learns of it and
 * the loop does not spin on a listening socket it cannot empty. */
static void turn_away(struct control *control) {
        int fd;

        control->spare_fd = fd_close(control->spare_fd);
        fd = accept4(control->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
                dismiss(fd, "the broker's limit of open files is reached");
        fd_close(fd);
        control->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int on_listen(sd_event_source *source, int listen_fd, uint32_t revents, void *userdata) {
        struct broker *broker = userdata;
        struct connection *connection;
        int r = 0;

        for (int i = 0; r == 0 && i < ACCEPTS_PER_TURN; i++) {
                int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

                if (fd < 0) {
                        if (errno == EMFILE || errno == ENFILE) {
                                if (log_rate_pass(&broker->client_lines.all, broker_now_usec()))
                                        log_error("out of file descriptors: a client was turned "
                                                  "away");
                                meter_count(broker, METER_VARLINK_TURNED_AWAY);
                                turn_away(broker->control);
                        }
                        return 0;
                }
                r = control_adopt(broker, fd, &connection);
        }
        return r < 0 ? broker_fault(broker, r) : 0;
}

static int listen_at(const char *run_dir, int *fdp, struct why *why) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        _cleanup_(fd_closep) int fd = -1;
        int n;

        if (mkdir(run_dir, 0755) < 0 && errno != EEXIST)
                return why_errno(why, BROKER_E_HOST, errno, "cannot create '%s'", run_dir);
        n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/control", run_dir);
        if (n < 0 || (size_t)n >= sizeof(address.sun_path))
                return why_set(why, BROKER_E_HOST, "the run directory '%s' is too long", run_dir);

        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return why_errno(why, BROKER_E_HOST, errno, "cannot create a socket");
        /* The root's lock is ours, so a socket that lies here is a dead broker's. */
        unlink(address.sun_path);
        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            /* Everybody may ask; who may do what is decided from the peer's credentials. */
            chmod(address.sun_path, 0666) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
                return why_errno(why, BROKER_E_HOST, errno, "cannot listen at '%s'",
                                 address.sun_path);
        *fdp = take_fd(fd);
        return 0;
}

/* Sockets of systemd's: of a unit with FileDescriptorName=http for HTTP, another for us. */
static void take_activated(struct broker *broker) {
        struct control *control = broker->control;
        char **names = NULL;
        int n;

        n = sd_listen_fds_with_names(1, &names);
        for (int i = 0; i < n; i++) {
                int fd = SD_LISTEN_FDS_START + i;

                fcntl(fd, F_SETFD, FD_CLOEXEC);
                if (strcmp(names[i], "http") == 0 &&
                    broker->n_http_fds < ARRAY_SIZE(broker->http_fds)) {
                        broker->http_fds[broker->n_http_fds++] = fd;
                } else if (control->listen_fd < 0) {
                        control->listen_fd = fd;
                        control->inherited = true;
                } else {
                        log_warning("systemd passed a socket '%s' that is one too many", names[i]);
                        fd_close(fd);
                }
                free(names[i]);
        }
        free(names);
}

int control_init(struct control *control, struct broker *broker, struct why *why) {
        int r;

        TAILQ_INIT(&control->connections);
        TAILQ_INIT(&control->subscribers);
        TAILQ_INIT(&control->dead);
        control->watcher = (struct events_watcher){
                .added = connections_push_events,
                .sampled = connections_push_sample,
        };
        events_watch(&broker->events, &control->watcher);
        r = sd_event_add_defer(broker->event, &control->reaper, on_reap, broker);
        if (r < 0 || (r = sd_event_source_set_enabled(control->reaper, SD_EVENT_OFF)) < 0)
                return fault(r);
        control->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        /* Kept over a re-execution, passed by systemd, or made. */
        if (control->listen_fd >= 0) {
                fcntl(control->listen_fd, F_SETFD, FD_CLOEXEC);
        } else {
                take_activated(broker);
        }
        if (control->inherited) {
                r = sd_is_socket_unix(control->listen_fd, SOCK_STREAM, 1, NULL, 0);
                if (r <= 0)
                        return why_set(why, BROKER_E_HOST,
                                       "the descriptor systemd passed is no listening unix socket");
                fcntl(control->listen_fd, F_SETFL, O_NONBLOCK);
                fcntl(control->listen_fd, F_SETFD, FD_CLOEXEC);
        } else if (control->listen_fd < 0) {
                r = listen_at(broker->options->run_dir, &control->listen_fd, why);
                if (r)
                        return r;
        }
        r = sd_event_add_io(broker->event, &control->source, control->listen_fd, EPOLLIN, on_listen,
                            broker);
        return r < 0 ? fault(r) : 0;
}

void control_refuse_all(void) {
        int n = sd_listen_fds(0), fd;

        for (int i = 0; i < n; i++) {
                if (fcntl(SD_LISTEN_FDS_START + i, F_SETFL, O_NONBLOCK) < 0)
                        continue;
                while ((fd = accept4(SD_LISTEN_FDS_START + i, NULL, NULL, SOCK_CLOEXEC)) >= 0)
                        fd_close(fd);
        }
}

void control_deinit(struct control *control) {
        struct connection *connection;

        while ((connection = TAILQ_FIRST(&control->connections))) {
                /* At the end nothing follows from a peer's leaving. */
                connection_unsubscribe(connection);
                if (connection->following)
                        lease_detach_follower(connection->following);
                if (connection->killing)
                        TAILQ_REMOVE(&connection->killing->killers, connection, killer);
                if (connection->resizing)
                        shrink_unfollow(connection->resizing);
                space_forget(connection);
                stats_forget(connection);
                usage_query_forget(connection);
                connection_free(connection);
        }
        control->source = sd_event_source_disable_unref(control->source);
        control->reaper = sd_event_source_disable_unref(control->reaper);
        control->listen_fd = fd_close(control->listen_fd);
        control->spare_fd = fd_close(control->spare_fd);
}
