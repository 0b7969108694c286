/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_HTTP_PARSE_H
#define PROVIUM_BROKER_HTTP_PARSE_H

/*
 * What a request's head says beyond what libmicrohttpd understands. All of it is written by whoever
 * can reach the socket.
 */

#include <base/macro.h>

/* Whether @etag, with its quotes, is one of those of If-None-Match: "*", or a list, in which a weak
 * tag (W/"...") counts as the strong one (RFC 9110, 13.1.2). */
bool http_etag_matches(const char *header, const char *etag);

/* A number of Last-Event-ID or ?since=: digits only, at most INT64_MAX, as JSON carries it. */
bool http_parse_seq(const char *text, uint64_t *seqp);

/*
 * Whether the Host of a request is a name that no stranger's name server can have led here, so that
 * a page of theirs in somebody's browser does not read our answers (DNS rebinding): an address,
 * localhost or a name below it, or one of @names, which blanks separate. With or without a port.
 * @plain: and any name without a dot.
 */
bool http_host_is_ours(const char *host, const char *names, bool plain);

/* Whether @name is among the blank-separated @list. */
bool http_list_has(const char *list, const char *name);

#endif
