/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BENCH_ASK_H
#define PROVIUM_BENCH_ASK_H

/*
 * The broker's client of the benches: the smallest program a user could write, through proto/ as
 * the command does. What goes wrong ends the bench with a sentence.
 */

#include <jansson.h>

#include <cli/client.h>
#include <proto/request.h>

struct ask_run {
        struct run_request request;
        char *argv[3], *envp[1];
        char id[64]; /* of the last one */
};

/* Prepares requests for @program (one @word, or NULL) in @slice; nothing is asked yet. */
void ask_run_init(struct ask_run *run, const char *slice, const char *program, const char *word,
                  bool detach);

/*
 * Asks at @socket, on a connection of its own, with @stdout_fd as the VM's stdout, and waits for
 * the last reply ("exited"; "started" if it is detached). run->id is set.
 */
void ask_run(struct ask_run *run, const char *socket, int stdout_fd);

/* One call without descriptors, one reply; the caller drops the reference to its parameters. */
json_t *ask(const char *socket, const char *method, json_t *parameters);

#endif
