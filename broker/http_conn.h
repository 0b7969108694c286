/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_HTTP_CONN_H
#define PROVIUM_BROKER_HTTP_CONN_H

/*
 * What the parts of the HTTP server share: the server, who is connected, what each of them asked.
 *
 * A connection carries one request. libmicrohttpd has its socket, reads and writes; a request whose
 * answer is not there yet is suspended there, and stands on the list of the ready ones when it is
 * to go on. The server resumes a few of them in each of its turns.
 */

#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/queue.h>
#include <systemd/sd-event.h>

#include <base/why.h>
#include <broker/events.h>
#include <broker/http.h>
#include <policies/policy.h>

struct http_work;

#define HTTP_CLIENTS_MAX 1024 /* the most that [HTTP] MaxConnections= can say */
#define HTTP_LISTENERS_MAX 16

/* Who a peer is, for counting. */
struct http_peer {
        bool tcp;
        uid_t uid; /* not TCP */
        unsigned char
                address[16]; /* TCP: IPv6, or IPv4 mapped into it; of IPv6 the first 64 bits */
};

/* Where connections come from. */
struct http_listener {
        struct http *http;
        char name[POLICY_LISTEN_TEXT_MAX + 1]; /* as the policy has it; HTTP_UNIX; "": free */
        int fd;                                /* -1: it could not be listened to, yet */
        bool tcp;
        bool activated; /* systemd's: whatever the policy says */
        bool told;      /* the log knows why not */
        struct why why; /* valid if fd is -1 */
        sd_event_source *source;
};

#define HTTP_UNIX "http"

struct http_client {
        struct http *http;
        struct http_peer peer;
        int fd; /* libmicrohttpd's; only to shut it down */
        struct MHD_Connection *connection;
        struct http_request *request; /* NULL: its head is not read yet */
        uint64_t until_usec;          /* when it is shut down; UINT64_MAX: never */
        TAILQ_ENTRY(http_client) link;
};

struct http_request {
        struct http *http;
        struct http_client *client;
        bool head;
        bool dispatched, suspended, ready;
        unsigned status;
        struct MHD_Response *response; /* what is answered, until it is queued; owned */

        struct http_work *work; /* the body that it waits for */
        TAILQ_ENTRY(http_request) sharer;

        void (*gone)(void *userdata); /* http_later() */
        void *userdata;

        const struct http_stream *stream; /* NULL: none */
        void *stream_userdata;
        uint64_t wake_usec; /* idle streams; UINT64_MAX: never */
        TAILQ_ENTRY(http_request) streaming;

        TAILQ_ENTRY(http_request) waiting; /* on the list of the ready ones */
};

TAILQ_HEAD(http_clients, http_client);
TAILQ_HEAD(http_requests, http_request);
TAILQ_HEAD(http_works, http_work);

struct http {
        struct broker *broker;
        struct MHD_Daemon *daemon;
        sd_event_source *io;    /* libmicrohttpd's epoll */
        sd_event_source *timer; /* the next turn, if nothing comes before */
        uint64_t timer_usec;
        int64_t priority;   /* in the loop, of all its sources */
        uint64_t turn_usec; /* when the last turn began */
        bool resting;       /* until rest_usec nothing is looked at */
        uint64_t rest_usec; /* when the time that was used is paid for */
        struct http_clients clients;
        size_t n_clients;
        struct http_requests ready, streams;
        struct http_works works; /* bodies to be made; the first one is being made */
        struct http_client *arriving;
        struct events_watcher watcher; /* for the streams */
        char *sample;                  /* pool_state, as it is told; NULL: none */
        uint64_t n_samples;
        bool poked; /* there is something new for all streams */
        int fault;  /* out of a callback of libmicrohttpd; 0: none */

        struct http_listener listeners[HTTP_LISTENERS_MAX];
        uint64_t listen_usec; /* when those that could not be are tried again; UINT64_MAX: never */
        bool quiet;           /* nobody is let in: the program is about to be replaced */
        uint64_t quiet_usec;  /* when that does not wait any more */
        bool full;            /* nobody is accepted until somebody has left */
};

/* A connection that was accepted; @fd is taken over. */
void http_admit(struct http *http, int fd, const struct http_peer *peer,
                const struct sockaddr *address, socklen_t length);
/* Lets a suspended request go on, in one of the next turns. */
void http_ready(struct http_request *request);
/* Sees to it that the server has a turn at @usec at the latest. */
void http_turn_at(struct http *http, uint64_t usec);
/* The answer, if nothing else is to be done for it. */
void http_set_response(struct http_request *request, unsigned status,
                       struct MHD_Response *response);
/* The headers that every answer has. @cache: Cache-Control. Negative: out of memory. */
_must_check_ int http_add_headers(struct MHD_Response *response, const char *type,
                                  const char *cache);

#endif
