/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_VIOLATION_TELL_H
#define PROVIUM_BROKER_VIOLATION_TELL_H

/*
 * Telling of VMs that their seccomp list has ended. The kernel's log can only be read from its
 * beginning, at about a microsecond a line: several milliseconds for a full one, megabytes where
 * log_buf_len= says so. So a thread reads it, one at a time, for all VMs that have ended until
 * then, and the event comes after those of the VM's end.
 */

#include <base/macro.h>

struct broker;
struct lease;

/* @lease, which has ended by SIGSYS, is to be told of. It may go at once. */
void violation_tell(struct lease *lease);

/* Whether a thread is reading: an exec would end it, and lose what it has to tell. */
bool violations_are_sought(const struct broker *broker);

/* What was not found yet is not told. */
void violations_close(struct broker *broker);

#endif
