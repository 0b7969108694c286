/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_SANDBOX_H
#define PROVIUM_BROKER_SANDBOX_H

/*
 * As whom a VM runs and what it is shut off from: [Sandbox] of its slice, made into what the child
 * does (launcher/child_walls).
 */

#include <jansson.h>

#include <base/macro.h>

struct broker;
struct lease;
struct slice;
struct sock_fprog;
struct why;

enum {
        _SANDBOX_E_SUCCESS,
        SANDBOX_E_REFUSED = 320, /* the policy does not let it run so */
};

/* Whether it may run as the policy has it, and learn if it is to; before the claim counts. Answers
 * REFUSED. */
_must_check_ int sandbox_check(const struct lease *lease, struct why *why);

/*
 * Its user, into the record, and its walls; before the record is written. Stats the devices of this
 * host, which may have come since the last VM. Answers REFUSED (all dynamic users are in use, the
 * directory cannot be told); negative: out of memory.
 */
_must_check_ int sandbox_make(struct lease *lease, struct why *why);

/* Whether its user is the one that asked for it, with all groups. */
_must_check_ bool sandbox_runs_as_caller(const struct lease *lease);

/* The fence around its group's devices, before its first process; its GPUs are prepared. Answers
 * CGROUP_E_*. */
_must_check_ int sandbox_fence(struct lease *lease, struct why *why);

/* The seccomp program that it is to have, borrowed from lease->filters; NULL: none, or it learns.
 */
const struct sock_fprog *sandbox_filter(const struct lease *lease);

/* In `show`, as the kernel tells it of its main process. */
void sandbox_report(const struct lease *lease, json_t *limits);

/* Would @signo end a VM's main process @pid, but be lost, because that is the first process of its
 * namespace and has not said what to do at it? (pid_namespaces(7)) */
bool sandbox_loses(int pid, int signo);

#endif
