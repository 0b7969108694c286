/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_HTTP_ROUTES_H
#define PROVIUM_BROKER_HTTP_ROUTES_H

/*
 * What can be asked for: the table of paths, and what is said to who asks for something else.
 */

#include <base/macro.h>

struct http_request;

/* Answers what is no GET or HEAD, or comes with a body; else does nothing. Negative: a fault. */
_must_check_ int http_routes_check_method(struct http_request *request, const char *method);
/* Hands the request to whom its path names. Negative: a fault. */
_must_check_ int http_routes_dispatch(struct http_request *request, const char *path);

#endif
