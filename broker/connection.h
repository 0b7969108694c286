/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_CONNECTION_H
#define PROVIUM_BROKER_CONNECTION_H

/*
 * The control socket: who is connected, with what rights, and what each of them is owed.
 *
 * A connection that ends, from either side or because its peer does not read, is only marked; a
 * turn of the loop later it is taken down with everything that hung on it. So no answer ever
 * changes a lease under the hands of whoever gave it.
 *
 * One call at a time per connection, as varlink has it: while an answer is outstanding (a claim
 * that waits, a VM that is followed, a kill that is not done) nothing more is read from it, but its
 * end is noticed. Connections are counted per user, and beyond the first ones a user's have their
 * turns of the loop together: so one user's flood ends at that user.
 */

#include <jansson.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <systemd/sd-event.h>
#include <uthash.h>

#include <broker/events.h>
#include <proto/call.h>
#include <proto/stream.h>

struct broker;
struct lease;
struct stats_call;
struct usage_query;

#define CONTROL_GROUPS_MAX 256        /* supplementary groups looked at */
#define CONTROL_CONNECTIONS_MAX 16384 /* all users together */
#define CONTROL_EVENTS_BACKLOG                                                                     \
        (64 * 1024) /* bytes given to an events reader ahead of its reading */

struct user {
        uid_t uid;
        uint64_t n_connections, n_waiting;
        int crowd_fd;           /* an epoll of all but its first connections; -1: none yet */
        sd_event_source *crowd; /* which has one turn for all of them */
        UT_hash_handle hh;
};

/* How far a list of VMs and claims was told; both only ever grow at their end. */
struct list_cursor {
        bool waiting;   /* the VMs are through */
        uint64_t after; /* the number of the last VM, or the order of the last claim, that was told
                         */
};

struct connection {
        struct broker *broker;
        struct user *user;
        struct stream stream;
        sd_event_source *source; /* NULL: one of its user's crowd */
        uint32_t watched;        /* epoll events asked for */

        uid_t uid;
        gid_t gid;
        pid_t pid; /* for the log only */

        bool busy;    /* a call is being answered */
        bool more;    /* it may be answered more than once */
        bool closing; /* goes when all is written */
        bool recheck; /* messages may be waiting in the buffer: look without reading */
        bool crowded; /* something came while it was busy: listen for less */
        bool dead;    /* on the list of the dead; nothing is sent or read any more */

        struct lease *following; /* Run, Attach: the lease whose life is told here */
        struct lease *killing;   /* Kill: the lease whose end is waited for */
        struct lease *resizing;  /* Resize: the lease whose memory comes down */
        bool listing;            /* List, Stats: parts of it are still to be told */
        struct list_cursor list;
        struct stats_call *stats; /* Stats: what is still to be told, or waited for; NULL */
        bool asking; /* ImageCheck: a walk of the disk is waited for */
        uint64_t asked_bytes;
        struct usage_query *usage; /* Usage: a thread reads the log */
        bool subscribed; /* Events with more */
        bool samples;    /* among them pool_state */
        struct events_reader reader;

        TAILQ_ENTRY(connection) link, killer, subscriber, asker, grave;
};

TAILQ_HEAD(connection_list, connection);

struct control {
        int listen_fd,
                spare_fd; /* the spare is given up to turn somebody away when descriptors are out */
        bool inherited;   /* socket activation: the socket's file is not ours to remove */
        sd_event_source *source, *reaper;
        struct connection_list connections, subscribers, dead;
        struct events_watcher watcher; /* for the subscribers */
        uint64_t n_connections;
        struct user *users;
};

/* Closes it, a turn of the loop later, with everything that hung on it. */
void connection_close(struct connection *connection);

/* Asks the loop for what is needed now: nothing is read while an answer is outstanding. */
_must_check_ int connection_watch(struct connection *connection);

/* Writes what waits to be written; what cannot be delivered closes it. Negative on a fault. */
_must_check_ int connection_flush(struct connection *connection);

/* Frees it: it hangs on nothing any more. */
void connection_free(struct connection *connection);

/* One line of the log, if not too many come: who asked, and what (a sentence) was not allowed. */
void connection_log_denied(const struct connection *connection, const char *what);

/* Answers the outstanding call; @parameters is taken over. With @continues the call stays open.
 * What cannot be delivered ends the connection; negative only on a fault. */
_must_check_ int connection_reply(struct connection *connection, json_t *parameters,
                                  bool continues);
/* The last answer, as reply_format() made it in a thread: for what is long. Takes over @text. */
_must_check_ int connection_reply_text(struct connection *connection, char *text, size_t length);
/* The same with an error of our interface ("Refused"); takes over @parameters, adds message. */
_must_check_ int connection_error(struct connection *connection, const char *name,
                                  json_t *parameters, const char *message);

/* The peer's supplementary groups (SO_PEERGROUPS): malloc'd, the caller's. 0, or negative: a fault;
 * none on kernels that do not tell. */
_must_check_ int connection_groups(struct connection *connection, gid_t **groupsp, size_t *np);

/* From now on it gets events as they come, from where its reader is; and no more. */
void connection_subscribe(struct connection *connection);
void connection_unsubscribe(struct connection *connection);
/* Gives it what it has room for. Negative on a fault. */
_must_check_ int connection_push_events(struct connection *connection);
/* For control's watcher: readers who keep up get what was added, or a sample. */
void connections_push_events(struct events_watcher *watcher, const struct event_entry *entry);
void connections_push_sample(struct events_watcher *watcher, json_t *sample);

/* What is known of @uid; NULL: nothing is connected or waits. */
struct user *user_find(struct broker *broker, uid_t uid);
/* The same, made if need be. Negative: out of memory. */
_must_check_ int user_get(struct broker *broker, uid_t uid, struct user **userp);
/* Forgets a user of whom nothing is left. */
void user_put(struct broker *broker, struct user *user);

#endif
