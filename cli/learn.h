/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_LEARN_H
#define PROVIUM_CLI_LEARN_H

/*
 * provium run --seccomp learn: the VM's system calls, which wait for us one by one, as a list in a
 * file. The file is made before the VM is, so that a run of an hour does not end at a directory
 * that cannot be written; it is never one that was there, and goes again if nothing was learned.
 */

#include <launcher/seccomp_listen.h>

struct cli;
struct run_request;

#define LEARN_PATH_MAX 1024

struct learn {
        struct cli *cli;
        const struct run_request *request; /* borrowed; NULL: nothing is to be learned */
        char path[LEARN_PATH_MAX + 1];
        int file_fd; /* -1: none (--dry-run) */
        int peer_fd; /* what goes with Run; until the VM is started */
        struct seccomp_listener listener;
};

#define LEARN_NULL                                                                                 \
        { .file_fd = -1, .peer_fd = -1, .listener = SECCOMP_LISTENER_NULL }

/* The value of --seccomp: "learn", or "learn:FILE", of which *pathp is then FILE; else "". Answers
 * REQUEST_E_INVALID. */
_must_check_ int learn_parse(const char *value, const char **pathp, struct why *why);

/*
 * Makes file @path; "": one in the working directory that is named after the VM or its command.
 * Does nothing if the request is not to learn. Returns STATUS_OK, or a status after a mistake was
 * told.
 */
int learn_begin(struct learn *learn, struct cli *cli, const struct run_request *request,
                const char *path);

/* The VM is started, and has what it needs of us. */
void learn_started(struct learn *learn);

/* What to poll for POLLIN, or -1; and what is then to be done, without waiting. */
int learn_poll_fd(const struct learn *learn);
void learn_step(struct learn *learn);

/* Writes the list and tells of it. @status is what the command is to end with; returns that, or
 * STATUS_OUTPUT. From here on the VM's calls fail, if it still runs. */
int learn_end(struct learn *learn, int status);

#endif
