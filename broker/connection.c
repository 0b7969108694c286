/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <base/fd.h>
#include <broker/broker.h>
#include <broker/connection.h>
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

/* Gives a reader of events what it has room for, in order, with gaps named. */
int connection_push_events(struct connection *connection) {
        struct events *events = &connection->broker->events;
        int r = 0;

        while (!connection->dead && connection->subscribed &&
               connection->next_event < events->next &&
               connection->stream.out_used - connection->stream.out_sent < CONTROL_EVENTS_BACKLOG) {
                const struct event_entry *entry;
                uint64_t first = events_first(events);
                json_t *object;

                if (connection->next_event < first) {
                        object = json_pack("{s:s s:I s:I}", "kind", "gap", "from",
                                           (json_int_t)connection->next_event, "to",
                                           (json_int_t)(first - 1));
                        connection->next_event = first;
                } else {
                        entry = events_find(events, connection->next_event++);
                        if (!entry || (!entry->anyone && connection->uid != 0 &&
                                       entry->uid != connection->uid))
                                continue;
                        object = event_format(entry);
                }
                r = connection_reply(connection, json_pack("{s:[o]}", "events", object), true);
                if (r < 0)
                        return r;
        }
        return 0;
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

void connections_push_events(struct broker *broker) {
        struct connection *connection, *next;

        for (connection = TAILQ_FIRST(&broker->control->subscribers); connection;
             connection = next) {
                next = TAILQ_NEXT(connection, subscriber);
                if (!connection->dead && !stream_pending(&connection->stream)) {
                        int r = connection_push_events(connection);

                        if (r < 0)
                                broker_fault(broker, r);
                }
        }
}
