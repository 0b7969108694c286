/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_LAUNCHER_LAUNCHES_H
#define PROVIUM_LAUNCHER_LAUNCHES_H

/*
 * The launcher's children on their way to execve: what each needs until it is on its own, and the
 * page of notes in which a broker, which maps it too, sees how far it got.
 */

#include <sys/resource.h>

#include <launcher/spawn.h>
#include <launcher/wire.h>

/* As many may be on their way at once. */
#define LAUNCHES_MAX 4096

struct launch;

struct launches {
        struct spawner spawner;
        struct rlimit nofile; /* what VMs get */
        bool exempt;          /* the OOM killer spares us, and so them, until that is taken back */
        int notes_fd;         /* of the page */
        struct child_note *notes;
        struct launch *list[LAUNCHES_MAX];
        size_t n, n_released; /* on their way; of these, wanted by nobody */
        size_t next;
        void (*log)(const char *text);
};

/* 0 or a positive errno. */
_must_check_ int launches_init(struct launches *launches, void (*log)(const char *text));

/* What @message asks for, whose payload is taken. 0, with pid, slot and pidfd (owned) of the child;
 * or a positive errno. */
_must_check_ int launches_start(struct launches *launches, struct wire_message *message,
                                pid_t *pidp, size_t *slotp, int *pidfdp);

/* Nobody reads the note any more, of one, or of all: what the child needed goes when it can. */
void launches_release(struct launches *launches, size_t slot);
void launches_release_all(struct launches *launches);

/* Looks for those that can. */
void launches_collect(struct launches *launches);

bool launches_has(const struct launches *launches, pid_t pid);

#endif
