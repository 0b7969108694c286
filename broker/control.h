/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_CONTROL_H
#define PROVIUM_BROKER_CONTROL_H

/*
 * The control socket: who is connected, with what rights, and what each of them is owed.
 *
 * A connection that ends, from either side or because its peer does not read, is only marked; a
 * turn of the loop later it is taken down with everything that hung on it. So no answer ever
 * changes a lease under the hands of whoever gave it.
 *
 * One call at a time per connection, as varlink has it: while an answer is outstanding (a claim
 * that waits, a VM that is followed, a kill that is not done) nothing more is read from it, but its
 * end is noticed. Connections are counted per user, so that one user's flood ends at that user.
 */

#include <jansson.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <systemd/sd-event.h>
#include <uthash.h>

#include <proto/call.h>
#include <proto/stream.h>

struct broker;
struct lease;

#define CONTROL_GROUPS_MAX 256        /* supplementary groups looked at */
#define CONTROL_CONNECTIONS_MAX 16384 /* all users together */
#define CONTROL_EVENTS_BACKLOG                                                                     \
        (64 * 1024) /* bytes given to an events reader ahead of its reading */

struct user {
        uid_t uid;
        uint64_t n_connections, n_waiting;
        UT_hash_handle hh;
};

struct connection {
        struct broker *broker;
        struct user *user;
        struct stream stream;
        sd_event_source *source;
        uint32_t watched; /* epoll events asked for */

        uid_t uid;
        gid_t gid;
        pid_t pid; /* for the log only */

        bool busy;    /* a call is being answered */
        bool more;    /* it may be answered more than once */
        bool closing; /* goes when all is written */
        bool recheck; /* messages may be waiting in the buffer: look without reading */
        bool dead;    /* on the list of the dead; nothing is sent or read any more */

        struct lease *following; /* Run, Attach: the lease whose life is told here */
        struct lease *killing;   /* Kill: the lease whose end is waited for */
        bool subscribed;         /* Events with more */
        uint64_t next_event;

        TAILQ_ENTRY(connection) link, killer, subscriber, grave;
};

TAILQ_HEAD(connection_list, connection);

struct control {
        struct rlimit nofile; /* as we were started with: what VMs get */
        int listen_fd,
                spare_fd; /* the spare is given up to turn somebody away when descriptors are out */
        bool inherited;   /* socket activation: the socket's file is not ours to remove */
        sd_event_source *source, *reaper;
        struct connection_list connections, subscribers, dead;
        uint64_t n_connections;
        struct user *users;
};

/* Listens at "control" in the run directory, or takes the socket systemd passed. Answers
 * BROKER_E_HOST. */
struct why;
_must_check_ int control_init(struct control *control, struct broker *broker, struct why *why);
void control_deinit(struct control *control);

/* Takes over a connected socket (accepted, or kept over a re-execution). Negative: a fault. NULL in
 * *connectionp if the peer was turned away. */
_must_check_ int control_adopt(struct broker *broker, int fd, struct connection **connectionp);

/* Answers the outstanding call; @parameters is taken over. With @continues the call stays open.
 * What cannot be delivered ends the connection; negative only on a fault. */
_must_check_ int connection_reply(struct connection *connection, json_t *parameters,
                                  bool continues);
/* The same with an error of our interface ("Refused"); takes over @parameters, adds message. */
_must_check_ int connection_error(struct connection *connection, const char *name,
                                  json_t *parameters, const char *message);

/* The peer's supplementary groups (SO_PEERGROUPS): malloc'd, the caller's. 0, or negative: a fault;
 * none on kernels that do not tell. */
_must_check_ int connection_groups(struct connection *connection, gid_t **groupsp, size_t *np);

/* Takes up a connection whose state was put back: what can be written or was read already is seen
 * to. */
_must_check_ int control_resume(struct connection *connection);

/* Events were added: readers who keep up get them. */
void control_events_added(struct broker *broker);

/* What is known of @uid; NULL: nothing is connected or waits. */
struct user *control_user(struct broker *broker, uid_t uid);

#endif
