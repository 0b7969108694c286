/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_CLIENT_H
#define PROVIUM_CLI_CLIENT_H

/*
 * One connection to the broker, one call at a time.
 */

#include <proto/call.h>
#include <proto/stream.h>

struct cli;
struct why;

enum {
        _CLIENT_E_SUCCESS,
        CLIENT_E_AGAIN,     /* no reply yet */
        CLIENT_E_NO_BROKER, /* nobody listens there, or we may not connect */
        CLIENT_E_GONE,      /* the broker closed the connection */
        CLIENT_E_TOO_BIG,   /* the call is larger than the broker reads */
        CLIENT_E_PROTOCOL,  /* what came is no reply */
};

struct client {
        struct stream stream;
};

#define CLIENT_NULL                                                                                \
        { .stream = STREAM_NULL }

/*
 * Connects to the socket at @path. May block for up to a second if the broker's backlog is full.
 * Answers CLIENT_E_NO_BROKER with the kernel's reason.
 */
_must_check_ int client_connect(struct client *client, const char *path, struct why *why);
/* Closes the connection. Idempotent. */
void client_deinit(struct client *client);

static inline bool client_connected(const struct client *client) {
        return client->stream.fd >= 0;
}

/*
 * Queues a call of @method (of the broker's interface, without its name) and consumes @parameters
 * and the @n descriptors, whatever the answer: CLIENT_E_TOO_BIG. Negative: out of memory.
 */
_must_check_ int client_call(struct client *client, const char *method, json_t *parameters,
                             bool more, const int *fds, size_t n, struct why *why);

/* Writes what is queued and takes the next reply if there is one; never blocks. Answers
 * CLIENT_E_AGAIN, CLIENT_E_GONE, CLIENT_E_PROTOCOL. */
_must_check_ int client_step(struct client *client, struct reply *reply, struct why *why);
/* The same, but waits for the reply. */
_must_check_ int client_wait(struct client *client, struct reply *reply, struct why *why);

/* What to poll(2) for. */
short client_poll_events(const struct client *client);

/*
 * Asks one question: connects, calls, waits for the only reply. Consumes @parameters. Returns
 * STATUS_OK with @reply to be freed, or the exit status of a failure that was told (ask.c maps each
 * error of the interface to one).
 */
_must_check_ int cli_ask(struct cli *cli, const char *method, json_t *parameters,
                         struct reply *reply);
/* For a method that may answer in parts: the first half of that, on a connection of the caller's,
 * and the second half, for each reply. */
_must_check_ int cli_start(struct cli *cli, struct client *client, const char *method,
                           json_t *parameters, bool more);
_must_check_ int cli_next_reply(struct cli *cli, struct client *client, struct reply *reply);

/* Tells the error in @reply, and returns the exit status it means; with --json the error is printed
 * as an object too. */
int cli_refused(struct cli *cli, const struct reply *reply);
/* Tells why there is no connection or no reply (@answer is one of the above), returns the status.
 */
int cli_disconnected(struct cli *cli, int answer, const struct why *why);

static inline void client_deinitp(struct client *client) {
        client_deinit(client);
}

#endif
