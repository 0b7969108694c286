/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_LAUNCHER_SPAWN_H
#define PROVIUM_LAUNCHER_SPAWN_H

/*
 * One clone3 into the VM's own group: CLONE_INTO_CGROUP, so that no moment exists in which the
 * process runs outside; CLONE_PIDFD, so that no bare pid is ever trusted; CLONE_VM, so that nothing
 * of the launcher's memory is copied.
 *
 * Not CLONE_VFORK: execve looks up a path the caller chose, which may lie on a file system that
 * never answers, and the launcher must not wait for it. The child therefore runs beside us on a
 * stack of its own. The kernel clears a word (CLONE_CHILD_CLEARTID) at the moment it no longer
 * shares our memory, by execve or by death: from then on, and not before, struct process and
 * everything it points to may change, and the child's note says whether execve succeeded.
 *
 * While memory is shared, the OOM killer would take us with the child. So we are exempt from it
 * (oom_score_adj -1000), the child inherits that, and it is taken back when it is on its own.
 */

#include <launcher/child.h>

struct why;

enum {
        _SPAWN_E_SUCCESS,
        SPAWN_E_HOST,  /* clone3 was refused */
        SPAWN_E_LIMIT, /* EAGAIN: a limit on processes */
        SPAWN_E_AGAIN, /* the child has not got to execve yet */
        SPAWN_E_STEP,  /* a step before execve failed */
        SPAWN_E_EXEC,  /* execve failed: why.errnum; spawn_exit_code() */
};

#define SPAWN_STACKS_MAX 16

/* Stacks for children between clone3 and execve, kept for the next one. */
struct spawner {
        void *stacks[SPAWN_STACKS_MAX];
        size_t n_stacks;
        bool reset_oom; /* our own oom_score_adj is not 0: spawn_result() resets the child's */
};

struct process {
        pid_t pid;
        int pidfd; /* -1: none; owned */
        void *stack;
        struct child_note own_note; /* where args.note leads if nobody else is to read it */
        struct child_args args;
};

#define PROCESS_NULL                                                                               \
        { .pidfd = -1 }

/* Sees to it that no signal is ignored, since children would inherit that. Exempts this process
 * from the OOM killer; where that is not allowed, goes on without (*exemptp).
 */
void spawner_init(struct spawner *spawner, bool *exemptp);
void spawner_deinit(struct spawner *spawner);

/*
 * Starts process->args in the group args.cgroup_fd; args.note may be NULL. @process, and everything
 * process->args points to, must stay where it is until spawn_result() gives something else than
 * AGAIN. Answers HOST, LIMIT; then nothing is left over.
 */
_must_check_ int spawn_start(struct spawner *spawner, struct process *process, struct why *why);

/*
 * Has it been executed? 0, AGAIN, STEP or EXEC. Never blocks; asks memory, not the kernel. A child
 * that was killed on its way reads as executed; its exit status tells the rest.
 */
_must_check_ int spawn_result(struct spawner *spawner, struct process *process, struct why *why);

/* The sentence for what @note says of a child that no longer shares memory: 0, STEP or EXEC. */
_must_check_ int spawn_explain(const struct child_args *args, const struct child_note *note,
                               struct why *why);

/* 127 for a command that was not found, 126 for one that cannot be executed. */
int spawn_exit_code(int errnum);

/* Writes 0 to oom_score_adj of @pid, one of our children or adopted. Returns 0 or a positive errno.
 */
_must_check_ int spawn_reset_oom(pid_t pid);

/* Closes what is open. The process itself is left alone; it no longer shares our memory. */
void process_deinit(struct process *process);

#endif
