/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One launch and its release, with a system call of the broker failing, or the broker killed there:
 * strace does it, attached to the idle broker, so that only the scenario counts.
 */

#include <jansson.h>
#include <stdbool.h>

#include "house.h"

#define STEPS_MAX 60
/* Longer than what a launch leaves for later (weights that come down, files compared). strace may
 * not leave while that goes on: a call that it holds just then would answer ENOSYS, by no
 * injection. */
#define STEPS_QUIET_MS 1500

struct outcome {
        bool injected, broker_gone, told;
        char word[64], message[512];
        json_int_t exit_code;
};

/* @what: "error=EIO" or "signal=KILL", at the @when-th @call from now on. */
void steps_attach(struct job *strace, const struct house *house, const char *call, const char *what,
                  int when);
/* The same for a call that the child makes on its way to execve, and nobody else. */
void steps_attach_child(struct job *strace, const struct house *house, const char *call,
                        const char *what, int when);
/* The same for a call of the launcher's own. */
void steps_attach_launcher(struct job *strace, const struct house *house, const char *call,
                           const char *what, int when);
pid_t steps_launcher(const struct house *house);
void steps_detach(struct job *strace);
/* Was it, until strace left? */
bool steps_injected(void);
/* A launch that would end with 3, and everything its client is told. @net: of the request, or NULL;
 * consumed. */
struct outcome steps_launch(struct house *house, json_t *net);
/* The same by user 1000, with a disk image that is opened for it by that user's right. */
struct outcome steps_launch_disk(struct house *house, const char *image);
/* How long to look whether it leaves: a loop that cannot wait any more says so only when all is put
 * away. */
int steps_leaving_ms(const struct outcome *outcome, const char *call);
/* The broker has left or was killed: a new one. */
void steps_bury(struct house *house);
