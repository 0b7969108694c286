/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_TRACE_EVENTS_H
#define PROVIUM_CLI_TRACE_EVENTS_H

/*
 * A trace out of a broker's own events. claim_acquired tells what was charged, to whom, and how
 * long it had waited; claim_released of the same id, until when it was held. A claim that is held
 * still when the events end is kept until then. Other kinds are passed over.
 */

#include <jansson.h>

#include <base/macro.h>

struct trace;
struct why;

struct trace_events {
        struct held *by_id;
        uint64_t latest_usec; /* of all events */
};

/* Takes one event. All 0 is a new one. Answers TRACE_E_INVALID; negative: out of memory. */
_must_check_ int trace_events_take(struct trace_events *events, struct trace *trace,
                                   const json_t *event, uint32_t line, struct why *why);
/* The same of one line; one that is @cut off may be the beginning of an event, and is counted. */
_must_check_ int trace_events_line(struct trace_events *events, struct trace *trace,
                                   const char *text, bool cut, uint32_t line, struct why *why);
/* No more will come. */
_must_check_ int trace_events_end(struct trace_events *events, struct trace *trace,
                                  struct why *why);
void trace_events_deinit(struct trace_events *events);

#endif
