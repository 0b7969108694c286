/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <base/fd.h>
#include <broker/broker.h>
#include <broker/connection.h>
#include <broker/meter.h>
#include <broker/pool_state.h>
#include <proto/request.h>

struct user *user_find(struct broker *broker, uid_t uid) {
        struct user *user;

        HASH_FIND(hh, broker->control->users, &uid, sizeof(uid), user);
        return user;
}

int user_get(struct broker *broker, uid_t uid, struct user **userp) {
        struct user *user = user_find(broker, uid);

        if (!user) {
                user = calloc(1, sizeof(*user));
                if (!user)
                        return fault(-ENOMEM);
                user->uid = uid;
                user->crowd_fd = -1;
                HASH_ADD(hh, broker->control->users, uid, sizeof(user->uid), user);
        }
        *userp = user;
        return 0;
}

void user_put(struct broker *broker, struct user *user) {
        if (user->n_connections == 0 && user->n_waiting == 0) {
                HASH_DEL(broker->control->users, user);
                sd_event_source_disable_unref(user->crowd);
                fd_close(user->crowd_fd);
                free(user);
        }
}

void connection_free(struct connection *connection) {
        struct broker *broker = connection->broker;

        sd_event_source_disable_unref(connection->source);
        stream_deinit(&connection->stream);
        TAILQ_REMOVE(&broker->control->connections, connection, link);
        broker->control->n_connections--;
        connection->user->n_connections--;
        user_put(broker, connection->user);
        free(connection);
}

void connection_close(struct connection *connection) {
        struct control *control = connection->broker->control;

        if (connection->dead)
                return;
        connection->dead = true;
        if (connection->source)
                sd_event_source_set_enabled(connection->source, SD_EVENT_OFF);
        else
                (void)epoll_ctl(connection->user->crowd_fd, EPOLL_CTL_DEL, connection->stream.fd,
                                NULL);
        TAILQ_INSERT_TAIL(&control->dead, connection, grave);
        sd_event_source_set_enabled(control->reaper, SD_EVENT_ONESHOT);
}

int connection_watch(struct connection *connection) {
        struct epoll_event change = {.data.ptr = connection};
        uint32_t events = EPOLLRDHUP;

        if (connection->dead)
                return 0;
        if (!connection->busy && !connection->closing)
                events |= EPOLLIN;
        /* A socket that can be written, as nearly all can always, is also how to be called again.
         */
        if (stream_pending(&connection->stream) || (connection->recheck && !connection->busy) ||
            connection->listing)
                events |= EPOLLOUT;
        /* Listening for less is put off until what is not wanted now does come: most connections
         * carry one call, and each change is a system call. */
        if (events == connection->watched ||
            ((events | EPOLLIN) == connection->watched && !connection->crowded))
                return 0;
        connection->crowded = false;
        connection->watched = events;
        if (connection->source)
                return sd_event_source_set_io_events(connection->source, events);
        change.events = events;
        if (epoll_ctl(connection->user->crowd_fd, EPOLL_CTL_MOD, connection->stream.fd, &change) <
            0)
                return fault(-errno);
        return 0;
}

void connection_subscribe(struct connection *connection) {
        connection->subscribed = true;
        connection->samples = pool_state_wanted(connection->reader.kinds);
        if (connection->samples)
                pool_state_listen(connection->broker);
        TAILQ_INSERT_TAIL(&connection->broker->control->subscribers, connection, subscriber);
}

void connection_unsubscribe(struct connection *connection) {
        if (!connection->subscribed)
                return;
        connection->subscribed = false;
        if (connection->samples)
                pool_state_unlisten(connection->broker);
        TAILQ_REMOVE(&connection->broker->control->subscribers, connection, subscriber);
}

/* Consumes @event. */
static int push(struct connection *connection, json_t *event) {
        return connection_reply(connection,
                                json_pack("{s:[o] s:I}", "events", event, "next",
                                          (json_int_t)connection->reader.next),
                                true);
}

/* Gives a reader of events what it has room for, in order, with gaps named. */
int connection_push_events(struct connection *connection) {
        json_t *event;
        int r = 0;

        while (r == 0 && !connection->dead && connection->subscribed &&
               connection->stream.out_used - connection->stream.out_sent < CONTROL_EVENTS_BACKLOG) {
                r = events_read(&connection->broker->events, &connection->reader, &event);
                if (r < 0 || !event)
                        return r;
                r = push(connection, event);
        }
        return r;
}

int connection_flush(struct connection *connection) {
        struct why why = {};
        int r;

        r = stream_flush(&connection->stream, &why);
        if (r < 0)
                return r;
        if (r && r != STREAM_E_AGAIN) {
                connection_close(connection);
                return 0;
        }
        if (!r && connection->closing) {
                connection_close(connection);
                return 0;
        }
        return connection_watch(connection);
}

static int connection_send(struct connection *connection, char *text, size_t length) {
        bool was_pending = stream_pending(&connection->stream);
        int r;

        if (connection->dead) {
                free(text);
                return 0;
        }
        if (!text)
                return fault(-ENOMEM);
        r = stream_queue(&connection->stream, text, length);
        free(text);
        if (r < 0)
                return r;
        if (r) {
                /* It asked and does not read: what it is owed would grow without end. */
                connection_close(connection);
                return 0;
        }
        /* Straight to the socket, if nothing waits before it: most answers need no turn of the
         * loop. */
        return was_pending ? 0 : connection_flush(connection);
}

/* The call is over: the next one may be in the buffer already. */
static void connection_answered(struct connection *connection) {
        size_t unread;

        connection->busy = false;
        stream_unread(&connection->stream, &unread);
        connection->recheck = unread > 0;
}

int connection_reply(struct connection *connection, json_t *parameters, bool continues) {
        size_t length = 0;
        char *text;

        if (!parameters)
                return fault(-ENOMEM);
        if (!continues)
                connection_answered(connection);
        text = reply_format(parameters, continues, &length);
        return connection_send(connection, text, length);
}

int connection_reply_text(struct connection *connection, char *text, size_t length) {
        connection_answered(connection);
        return connection_send(connection, text, length);
}

int connection_error(struct connection *connection, const char *name, json_t *parameters,
                     const char *message) {
        char full[64];
        size_t length = 0;
        char *text;

        parameters = parameters ?: json_object();
        if (!parameters || json_object_set_new(parameters, "message", json_string(message)) < 0) {
                json_decref(parameters);
                return fault(-ENOMEM);
        }
        if (strcmp(name, "Refused") == 0)
                meter_refused(connection->broker,
                              json_string_value(json_object_get(parameters, "reason")) ?: "other");
        snprintf(full, sizeof(full), "%s%s", strchr(name, '.') ? "" : PROTO_INTERFACE ".", name);
        connection_answered(connection);
        text = error_format(full, parameters, &length);
        return connection_send(connection, text, length);
}

void connection_log_denied(const struct connection *connection, const char *what) {
        if (log_rates_pass(&connection->broker->client_lines, connection->uid, broker_now_usec()))
                log_warning("uid %u, pid %d: denied: %s", connection->uid, connection->pid, what);
}

int connection_groups(struct connection *connection, gid_t **groupsp, size_t *np) {
        gid_t *groups;
        socklen_t size = CONTROL_GROUPS_MAX * sizeof(*groups);

        /* Root needs no group to be allowed anything, and its VMs are given none. */
        if (connection->uid == 0) {
                *groupsp = NULL;
                *np = 0;
                return 0;
        }
        groups = malloc(size);
        if (!groups)
                return fault(-ENOMEM);
        if (getsockopt(connection->stream.fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
                size = 0;
        *groupsp = groups;
        *np = size / sizeof(*groups);
        return 0;
}

void connections_push_events(struct events_watcher *watcher, const struct event_entry *entry) {
        struct control *control = container_of(watcher, struct control, watcher);
        struct connection *connection, *next;

        for (connection = TAILQ_FIRST(&control->subscribers); connection; connection = next) {
                next = TAILQ_NEXT(connection, subscriber);
                if (!connection->dead && !stream_pending(&connection->stream)) {
                        int r = connection_push_events(connection);

                        if (r < 0)
                                broker_fault(connection->broker, r);
                }
        }
}

/* Whoever does not keep up with events has no use for a state that is over when he reads it. */
void connections_push_sample(struct events_watcher *watcher, json_t *sample) {
        struct control *control = container_of(watcher, struct control, watcher);
        struct connection *connection, *next;

        for (connection = TAILQ_FIRST(&control->subscribers); connection; connection = next) {
                next = TAILQ_NEXT(connection, subscriber);
                if (connection->samples && !connection->dead &&
                    !stream_pending(&connection->stream)) {
                        int r = push(connection, json_incref(sample));

                        if (r < 0)
                                broker_fault(connection->broker, r);
                }
        }
}
