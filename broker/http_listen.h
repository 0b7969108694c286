/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_HTTP_LISTEN_H
#define PROVIUM_BROKER_HTTP_LISTEN_H

/*
 * Who may connect: the sockets that are listened to, and how many of whom are let in. A few in one
 * turn of the loop; who is one too many is told so, and why, without anything being read from him.
 */

#include <sys/socket.h>

#include <base/macro.h>

struct http;
struct http_peer;

/* Listens. What cannot be listened to is told in the log. Negative: a fault. */
_must_check_ int http_listen_open(struct http *http);
void http_listen_close(struct http *http);
/* Nobody is accepted while it is off. */
void http_listen_enable(struct http *http, bool on);
/* Somebody has left. */
void http_listen_again(struct http *http);

#endif
