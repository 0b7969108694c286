/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_HTTP_H
#define PROVIUM_BROKER_HTTP_H

/*
 * What a route of the HTTP server can do with a request. The table of routes is
 * broker/http_routes.c; a row there and a function are all that a new one needs.
 *
 * A handler is called when the head of a GET or HEAD is read, its path is known, and all its
 * arguments are among those that the route names. It does exactly one of these, and returns 0, or a
 * negative fault:
 *
 *   - it answers: http_answer(), http_answer_json(), http_answer_error(), http_answer_asset();
 *   - it asks for a body that is made in small steps, http_make(): the server takes the steps, a
 *     few in each of its turns, and all who asked for the same before it was begun share it;
 *   - it answers later: http_later(), and one of the first kind when it knows;
 *   - it streams: http_stream(), and says with http_stream_poke() when there is more.
 *
 * Nothing of it may wait. All of HTTP together gets a share of the loop's time, in turns that
 * make bodies for a quarter of a millisecond (broker/http_server.c), so that readers cost the
 * broker's trade little however many they are. A handler, and one step of a body, therefore is
 * short: a hundred microseconds.
 *
 * A request lives until its answer was sent or its peer has left; nobody keeps one longer than
 * that, and `gone` tells of it.
 */

#include <jansson.h>
#include <sys/types.h>

#include <base/macro.h>

struct broker;
struct http_request;

#define HTTP_JSON "application/json"
#define HTTP_TEXT "text/plain; charset=utf-8"
#define HTTP_SERVER_SENT "text/event-stream"

/* A file that is compiled in. */
struct http_asset {
        const char *type; /* Content-Type */
        const char *body;
        size_t length;
        const char *etag; /* of its bytes, with the quotes; NULL: none, and nobody keeps it */
};

struct http_route {
        const char *path;      /* all of it, "/resources" */
        const char *arguments; /* names of those it takes, separated by blanks; "": none */
        int (*handle)(struct http_request *request); /* NULL: the asset is the answer */
        const struct http_asset *asset;
        const char *help; /* a few words; NULL: it is not in the list that an error gives */
};

struct broker *http_broker(struct http_request *request);
/* How many connections there are now. */
uint64_t http_connections(const struct broker *broker);

/* As whom the peer sees: its uid on the unix socket, 0 (everything) or HTTP_NOBODY (what concerns
 * nobody in particular) over TCP, as the policy has it. As report_resources() takes it. */
#define HTTP_NOBODY ((uid_t)-1)
uid_t http_sees_as(const struct http_request *request);

/* The value of an argument ("instance"), decoded, without NULs; or of a header ("Last-Event-ID").
 * Borrowed; NULL if it was not given. */
const char *http_argument(const struct http_request *request, const char *name);
const char *http_header(const struct http_request *request, const char *name);

/* A HEAD: what is answered is sent without its body. */
bool http_is_head(const struct http_request *request);

/*
 * Answers, now or later. @body is malloc'd and taken over, also on a fault (NULL with a length of
 * 0: none). Who answers a request whose peer has left does nothing.
 */
_must_check_ int http_answer(struct http_request *request, unsigned status, const char *type,
                             char *body, size_t length);
/* 200 with a body that others are given, too: @put(@userdata) when this one is sent; also on a
 * fault. */
_must_check_ int http_answer_shared(struct http_request *request, const char *type,
                                    const char *body, size_t length, void (*put)(void *userdata),
                                    void *userdata);
/* http_answer() with an object, which is taken over; NULL is a fault, out of memory. */
_must_check_ int http_answer_json(struct http_request *request, unsigned status, json_t *object);
/* {"error": sentence, "status": number}: what is wrong, and what would be valid. */
_must_check_ int http_answer_error(struct http_request *request, unsigned status,
                                   const char *format, ...) _printf_(3, 4);
/* The file, or 304 if the peer has it. */
_must_check_ int http_answer_asset(struct http_request *request, const struct http_asset *asset);

/* The answer comes later. @gone is told, once, if the peer leaves before that; NULL: nobody is. */
void http_later(struct http_request *request, void (*gone)(void *userdata), void *userdata);

/*
 * A body that is made in steps. Its state is seen by nobody else; it is begun after everybody who
 * gets it has asked, so nobody is told what was true before.
 */
struct http_maker {
        const char *type;
        /* For whom it is made (http_sees_as()), and of what (as given to http_make()). NULL: out of
         * memory. */
        void *(*begin)(struct broker *broker, uid_t sees_as, const char *what);
        /* Does a small part. When that was the last, gives the body, malloc'd. Negative: a fault.
         */
        int (*step)(void *state, char **bodyp, size_t *lengthp);
        void (*free)(void *state); /* takes NULL, and half of it */
};

#define HTTP_WHAT_MAX 63
/* @what: which of the bodies that @maker makes, at most HTTP_WHAT_MAX bytes; "" if there is but
 * one.
 */
_must_check_ int http_make(struct http_request *request, const struct http_maker *maker,
                           const char *what);

/*
 * A body without an end. @read is called when the peer can take more; it writes at most @size bytes
 * (never less than 64) and returns how many, or 0: nothing now, until http_stream_poke() or
 * until @idle_usec have passed, whichever is first. @gone is called once, at the end.
 */
struct http_stream {
        size_t (*read)(void *userdata, char *buffer, size_t size);
        void (*gone)(void *userdata);
        uint64_t idle_usec; /* 0: for ever */
};

/* @userdata is @stream's from now on, also on a fault. A HEAD is answered, and is gone at once. */
_must_check_ int http_stream(struct http_request *request, const char *type,
                             const struct http_stream *stream, void *userdata);
/* There is more to read. */
void http_stream_poke(struct http_request *request);

#endif
