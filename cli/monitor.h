/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_MONITOR_H
#define PROVIUM_CLI_MONITOR_H

/*
 * A conversation with a hypervisor over QMP (docs/interop/qmp-spec in QEMU): one JSON object per
 * line; a greeting, then one return or one error for each command, and events between them.
 *
 * Whoever is at the other end may have been taken over: what comes is bounded, and waited for no
 * longer than timeout_usec. A failure is told here; what is returned is the exit status.
 */

#include <jansson.h>

#include <cli/lines.h>

struct cli;

struct monitor {
        struct cli *cli;    /* borrowed */
        struct lines lines; /* its descriptor is owned */
        uint64_t timeout_usec;
};

/* Not connected. */
#define MONITOR_NULL                                                                               \
        {                                                                                          \
                .lines = {.fd = -1 }                                                               \
        }

/* Connects to the socket at @path, and ends the negotiation that the greeting begins. */
_must_check_ int monitor_open(struct monitor *monitor, const char *path);
/* Closes the connection. Idempotent. */
void monitor_deinit(struct monitor *monitor);

/* Sends @text as a line. */
_must_check_ int monitor_send(struct monitor *monitor, const char *text);
/* Waits until something can be read, for as long as is waited for an answer. */
_must_check_ int monitor_wait(struct monitor *monitor);
/* Reads what is there into monitor->lines, which know it, too, if the end has come. */
_must_check_ int monitor_fill(struct monitor *monitor);
/* Tells that the end has come too early; returns the status. */
int monitor_lost(struct monitor *monitor);
/* Sends @text and waits for the answer, past events; *answerp is a new reference. */
_must_check_ int monitor_ask(struct monitor *monitor, const char *text, json_t **answerp);

/* Is it what a command is answered with? What is no JSON (NULL) ends the wait for one, too. */
bool monitor_is_answer(const json_t *object);
/* Tells the error of an answer. Returns STATUS_PROBLEM. */
int monitor_failed(struct cli *cli, const json_t *answer);

static inline void monitor_deinitp(struct monitor *monitor) {
        monitor_deinit(monitor);
}

#endif
