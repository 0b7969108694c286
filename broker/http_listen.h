/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_HTTP_LISTEN_H
#define PROVIUM_BROKER_HTTP_LISTEN_H

/*
 * Who may connect: the sockets that are listened to, and how many of whom are let in. A few in one
 * turn of the loop; who is one too many is told so, and why, without anything being read of what he
 * says.
 *
 * What cannot be listened to (an address that another program has) is told in the log and by
 * doctor, and tried again every few seconds: VMs do not wait for it.
 */

#include <jansson.h>

#include <base/macro.h>

struct http;

/* Listens where the policy in force says, and nowhere else. Without a server (NULL): nothing. */
void http_listen_follow(struct http *http);
/* The same for those that failed, when it is time. */
void http_listen_retry(struct http *http, uint64_t now_usec);
void http_listen_close(struct http *http);
/* Nobody is accepted while it is off. */
void http_listen_enable(struct http *http, bool on);
/* They have the server's priority in the loop from now on. */
void http_listen_heed_priority(struct http *http);
/* Somebody has left. */
void http_listen_again(struct http *http);

/* Takes a socket that systemd listens at for us; closes what is none. */
void http_listen_adopt(struct http *http, int fd);

/* For a re-execution: the sockets as JSON (a new reference), and out of it. */
json_t *http_listen_pack(const struct http *http);
void http_listen_unpack(struct http *http, const json_t *array);

#endif
