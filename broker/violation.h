/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_VIOLATION_H
#define PROVIUM_BROKER_VIOLATION_H

/*
 * Which system call a seccomp filter killed a VM for. The kernel tells it to audit only, and audit,
 * where nobody listens to it, to the kernel's log (audit_seccomp(), kernel/auditsc.c).
 */

#include <sys/types.h>

#include <base/macro.h>

#define VIOLATION_NAME_MAX 64

/* One process that SIGSYS has ended. */
struct violation {
        pid_t pid;
        struct violation *next;
        bool found;
        char name[VIOLATION_NAME_MAX]; /* of the call, or its number; as it was unless found */
};

/* Looks for each of @list in the kernel's log, @fd, from where it stands. Not found is what the log
 * does not know: auditd listens, or so much was logged since. Reads the whole of the log, which
 * takes its time, and waits for nothing: for a thread. */
void violation_find(int fd, struct violation *list);

/* The same from one record of the log. Pure. */
_must_check_ bool violation_parse(const char *record, pid_t pid, int *numberp);

#endif
