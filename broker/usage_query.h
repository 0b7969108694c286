/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_USAGE_QUERY_H
#define PROVIUM_BROKER_USAGE_QUERY_H

/*
 * The answer to Usage: sums over the log, what waits to be in it, and what runs.
 *
 * The loop copies what it knows of the VMs, and a thread does the rest: reads their groups and
 * links, reads the log, adds up, makes the reply. Some may ask at a time, one of them for each
 * user; others wait, and cost nothing meanwhile. One who leaves is forgotten, and its thread's
 * answer thrown away.
 */

#include <base/macro.h>

struct broker;
struct connection;
struct usage_request;

/* Answers the call, later. Negative: a fault. */
_must_check_ int usage_ask(struct connection *connection, const struct usage_request *request);

/* The peer has left. */
void usage_query_forget(struct connection *connection);

/* Threads are at work on some. */
bool usage_is_asked(const struct broker *broker);

/* At the broker's end, after the connections': what still works ends by itself. */
void usage_queries_close(struct broker *broker);

#endif
