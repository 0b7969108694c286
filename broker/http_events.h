/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_HTTP_EVENTS_H
#define PROVIUM_BROKER_HTTP_EVENTS_H

/*
 * GET /events: the ring of broker/events as server-sent events, from the number after
 * Last-Event-ID, or from ?since= on, or with so many of those before as ?last= says, or from now;
 * ?kind= picks one kind, and may be given as a list with commas.
 *
 * Every event has its number as its id, so that a browser that was cut off goes on where it was.
 * Who asks for what the ring no longer has, or does not keep up with it, is told by a "gap" what is
 * missing.
 */

struct http;
struct http_request;

int http_events(struct http_request *request);
void http_events_init(struct http *http);
/* After the last of its readers has gone. */
void http_events_deinit(struct http *http);

#endif
