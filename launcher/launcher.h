/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_LAUNCHER_LAUNCHER_H
#define PROVIUM_LAUNCHER_LAUNCHER_H

/*
 * The launcher as the broker sees it: a process of its own, with the rights that a child on its way
 * to execve needs and the broker does not. It is the parent of all VMs, so that none inherits what
 * the broker is fenced in with, and that how one ended is known to a broker that has been away.
 *
 * It does what it is told and decides nothing. A call waits for its answer, which no disk and no VM
 * can delay. A launcher that is gone, or has not answered in LAUNCHER_TIMEOUT_SEC, is lost: from
 * then on every call is ESRCH, launcher_fd() is readable, and launcher_meet() may find another.
 */

#include <signal.h>

#include <launcher/child.h>
#include <launcher/spawn.h>
#include <launcher/wire.h>

#define LAUNCHER_TIMEOUT_SEC 10

struct launcher;

/* A child of the launcher, from the request until it is known whether it was executed. */
struct launched {
        pid_t pid;
        int pidfd;                     /* -1: none; owned */
        const struct child_note *note; /* NULL: nothing is awaited */
        struct child_note told;        /* what it said, once it is known */
        uint32_t slot;
        struct child_args args; /* as for spawn_start(); note and nofile are the launcher's */
};

#define LAUNCHED_NULL                                                                              \
        { .pidfd = -1 }

/* Where the launcher is. */
struct launcher_place {
        int fd;           /* a connection that is there already; -1: none */
        const char *path; /* where one listens; NULL: it is a child of ours */
};

/*
 * With a path, or a descriptor, nothing happens yet. Else starts one: @program --launcher, with a
 * socket as descriptor 3, which ends when we do. Answers SPAWN_E_HOST; negative: out of memory.
 */
_must_check_ int launcher_new(struct launcher **launcherp, const struct launcher_place *place,
                              const char *program, struct why *why);

/*
 * Finds the launcher, and learns from it what it lends. One of another release executes itself
 * anew. Answers SPAWN_E_HOST: it is not there; or, being a child of ours, never will be again.
 */
_must_check_ int launcher_meet(struct launcher *launcher, struct why *why);

/* The connection goes; a child of ours ends by that. */
struct launcher *launcher_free(struct launcher *launcher);

bool launcher_is_ours(const struct launcher *launcher); /* a child of ours */
bool launcher_is_lost(const struct launcher *launcher);
int launcher_fd(const struct launcher *launcher); /* to be watched, and passed on; borrowed */
/* Readable when it has ended: the connection lives on in a child that is stuck before execve and
 * has a copy of it. Borrowed. */
int launcher_pidfd(const struct launcher *launcher);
/* After launcher_is_lost(): nobody is told anything on the old connection any more. What is awaited
 * must be looked at before launcher_meet(), which gives back the notes of the one before. */
void launcher_forget(struct launcher *launcher);

/* Starts launched->args; @launched must stay where it is until launcher_result() is final. @forget:
 * nobody will ask how it ended. Answers as spawn_start(). */
_must_check_ int launcher_start(struct launcher *launcher, struct launched *launched, bool forget,
                                struct why *why);

/* Was it executed? As spawn_result(), and asks memory only. One whose launcher was lost on the way
 * is a STEP that failed. */
_must_check_ int launcher_result(struct launcher *launcher, struct launched *launched,
                                 struct why *why);

/* Closes what is open; what was awaited is not any more. */
void launched_deinit(struct launcher *launcher, struct launched *launched);

/* How it ended; each is told once. 0, EAGAIN: it has not; ECHILD: it is no child of this launcher,
 * or somebody was told; ESRCH. */
_must_check_ int launcher_wait(struct launcher *launcher, pid_t pid, siginfo_t *status);
/* The same, but it can be asked again. */
_must_check_ int launcher_peek(struct launcher *launcher, pid_t pid, siginfo_t *status);

/* Those of its children that will be asked for; nobody will ask for the others. */
void launcher_keep(struct launcher *launcher, const pid_t *pids, size_t n);

/* Writes 0 to oom_score_adj of @pid. 0 or a positive errno. */
_must_check_ int launcher_reset_oom(struct launcher *launcher, pid_t pid);

/* Has it execute itself anew, as a package has replaced it. 0; EBUSY: a child is on its way; or
 * another positive errno. launcher_meet() comes next. */
_must_check_ int launcher_renew(struct launcher *launcher);

pid_t launcher_pid(const struct launcher *launcher);
/* seccomp filters that its children have from it. */
int launcher_filters(const struct launcher *launcher);
/* Is it spared by the OOM killer? */
bool launcher_is_exempt(const struct launcher *launcher);
/* Where the host's devices are: a path, "/dev" before launcher_meet(), or one that leads there.
 * That one stays the same and good until launcher_free(), for threads too. Borrowed. */
const char *launcher_dev(const struct launcher *launcher);
/* An open mountinfo of the host's mounts, to be read from its beginning; borrowed; -1: none. */
int launcher_mountinfo_fd(const struct launcher *launcher);

/* One call of another kind: 0 or a positive errno. @answer, @answer_fds (WIRE_ANSWER_FDS_MAX, the
 * caller's from then on): NULL if there is nothing to be told. */
_must_check_ int launcher_ask(struct launcher *launcher, struct wire_request *request,
                              const void *payload, const int *fds, struct wire_answer *answer,
                              int *answer_fds);

#endif
