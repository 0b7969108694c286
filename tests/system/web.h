/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A reader of the broker's HTTP, byte by byte, for what curl does not do: half a request, a flood,
 * an answer that nobody reads, a stream that is watched while something happens.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define WEB_SOCKET "/run/house/run/http"

struct web {
        int fd;
        char *got; /* all that came so far, with a NUL */
        size_t n;
        bool closed; /* by the broker */
};

/* Connects; false: it is refused. */
bool web_open(struct web *web);
bool web_open_tcp(struct web *web, int family, const char *address, unsigned port);
void web_close(struct web *web);
/* False: it is closed. */
bool web_say(struct web *web, const char *text);
/* GET @path, with these lines ("" or "Name: value\r\n..."). */
void web_get(struct web *web, const char *path, const char *lines);
/* Reads until @text has come. False: the end came first, or the time is up. */
bool web_wait(struct web *web, const char *text, int timeout_ms);
/* Reads to the end; needs it. */
void web_finish(struct web *web);
/* Of what came: the status, and what is behind the head. */
int web_status(const struct web *web);
const char *web_body(const struct web *web);

/* A whole GET over the unix socket: its body, malloc'd; needs @status. */
char *web_fetch(const char *path, int status);
/* The same as JSON, a new reference. */
json_t *web_fetch_json(const char *path);
