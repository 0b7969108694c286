/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_HTTP_SERVER_H
#define PROVIUM_BROKER_HTTP_SERVER_H

/*
 * HTTP for readers: GET and HEAD, on RUN-DIR/http and on the addresses that the policy names.
 *
 * libmicrohttpd runs within the broker's loop: its epoll is one source there, and it is given
 * turns. How much time all of them together may take is bounded, because what readers do costs the
 * loop something whatever we do: after a turn the server rests four times as long as the turn took,
 * so nine hundred browsers are no more to the broker than one busy client.
 *
 * Nothing that goes wrong here ends the broker, but for its own memory: without HTTP it says so in
 * its log, and VMs start and end as before.
 */

#include <jansson.h>

#include <base/macro.h>

struct broker;
struct http;

/* Makes broker->http and listens. Negative: a fault. */
_must_check_ int http_init(struct broker *broker);
void http_free(struct http *http);

/*
 * For a re-execution: the sockets that are listened to go along, so nobody is refused meanwhile.
 * Connections do not: who is being answered is waited for, streams end, and their readers come
 * back with the number of the last event they have seen.
 */
json_t *http_pack(const struct broker *broker);
void http_each_fd(const struct broker *broker, void (*fn)(int fd));
/* Lets nobody in any more. False: somebody is still being answered; ask again, within a second. */
bool http_quiesce(struct broker *broker);
/* The re-execution failed. */
void http_unquiesce(struct broker *broker);

#endif
