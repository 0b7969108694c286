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

/* The name, or number, of the call that process @pid was killed for; false if the log does not
 * know: auditd listens, or so much was logged since. Reads the whole of the log, and never waits.
 */
_must_check_ bool violation_find(pid_t pid, char name[VIOLATION_NAME_MAX]);

/* The same from one record of the log. Pure. */
_must_check_ bool violation_parse(const char *record, pid_t pid, int *numberp);

#endif
