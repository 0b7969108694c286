/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_TESTS_CLI_FAKE_H
#define PROVIUM_TESTS_CLI_FAKE_H

/*
 * A broker made of a listening socket and the test's own lines, and a `provium` in a child process
 * that talks to it. Nothing here waits longer than FAKE_PATIENCE_MSEC: what does not happen by then
 * leaves the test.
 */
#include <jansson.h>
#include <sys/types.h>

#include <proto/call.h>
#include <proto/stream.h>

#define FAKE_PATIENCE_MSEC 10000

struct fake {
        char dir[64];
        char socket[80];
        int listen_fd;
        pid_t child;
        int input_fd;       /* what the child gets as standard input; -1: /dev/null */
        int error_fd;       /* and as error output; -1: a file */
        char output[16384]; /* of the child, when it has ended */
        char errors[16384];
};

/* One connection of the child. */
struct peer {
        struct stream stream;
        struct call call; /* the last one */
        int fds[STREAM_FDS_MAX];
        size_t n_fds;
};

#define PEER_NULL                                                                                  \
        { .stream = STREAM_NULL }

void fake_init(struct fake *fake);
void fake_deinit(struct fake *fake);
/* The broker goes away, and comes back, as far as new connections see it. */
void fake_leave(struct fake *fake);
void fake_return(struct fake *fake);

/* Starts `provium --socket PATH` with the words, up to a NULL. */
void fake_start(struct fake *fake, ...);
/* Waits for its end: the exit status, or minus the signal. Reads what it printed. */
int fake_wait(struct fake *fake);
/* Reads what it has printed by now. */
void fake_read(struct fake *fake);
/* Runs a command that gets one reply (an error if @error) and returns its exit status. */
int fake_answer(struct fake *fake, const char *method, const char *error, json_t *parameters, ...);

/* Waits for a connection and its call of @method (without the interface). */
void peer_expect(struct fake *fake, struct peer *peer, const char *method);
void peer_reply(struct peer *peer, json_t *parameters, bool continues);
void peer_error(struct peer *peer, const char *name, json_t *parameters);
/* Waits until the child has closed the connection. */
void peer_expect_closed(struct peer *peer);
void peer_deinit(struct peer *peer);

/* Shorthands for the replies to Run. */
void peer_queued(struct peer *peer, const char *ticket, int position, const char *reason);
void peer_started(struct peer *peer, const char *ticket, const char *id);
void peer_exited(struct peer *peer, int exit_code);

#endif
