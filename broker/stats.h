/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_STATS_H
#define PROVIUM_BROKER_STATS_H

/*
 * A survey as JSON: method Stats, of which type Usage in proto/dev.provium.Broker.varlink says what
 * is in it. What is not known is not there.
 */

#include <jansson.h>
#include <sys/types.h>

#include <broker/connection.h>
#include <broker/survey.h>

#define STATS_PART 64   /* VMs in one of many answers */
#define STATS_WHOLE 256 /* VMs in an only answer */

struct stats_call;

/* May @uid see it? Root sees all, others their own. */
bool stats_visible(const struct survey_vm *vm, uid_t uid);

/* New references, or NULL: out of memory. */
json_t *stats_vm(const struct survey *survey, const struct survey_vm *vm);
json_t *stats_slice(const struct survey *survey, const struct survey_slice *slice);

/* Answers a Stats that asks for @vm (name or id; "": all), when there is a survey. Negative: a
 * fault. */
_must_check_ int stats_ask(struct connection *connection, const char *vm);
/* The next part of it, as fast as the reader reads. Negative: a fault. */
_must_check_ int stats_part(struct connection *connection);
/* @connection goes. */
void stats_forget(struct connection *connection);

#endif
