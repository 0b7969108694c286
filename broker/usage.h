/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_USAGE_H
#define PROVIUM_BROKER_USAGE_H

/*
 * Accounting over time: a line for each VM that has ended, in a log that is bounded.
 *
 * A release waits for no disk. What the line says is read from the VM's group, its last moment, and
 * noted on the root of the tree ("trusted.provium.usage.N", in the kernel's memory); then the group
 * is removed; then a thread writes all lines that have come meanwhile, waits for the disk, and the
 * notes are taken away. A broker that was killed anywhere in between leaves the group, or the note,
 * or both: the next one writes what it finds, twice at worst, and readers know a lease by its id. A
 * disk that is full or does not answer holds up nobody: notes wait until it does, USAGE_PENDING_MAX
 * of them; what comes then is lost, counted, and said (`provium doctor`).
 *
 * VMs that still run when the broker ends get a line as well, which counts unless a later one of
 * the same lease says more: so what a host did until its last shutdown is there. A host that loses
 * its power takes along what ran since its broker was started.
 */

#include <systemd/sd-event.h>

#include <broker/usage_line.h>
#include <broker/usage_log.h>

struct broker;
struct findings;
struct lease;
struct usage_book;

#define USAGE_PENDING_MAX 1024

/* Takes up the notes of a broker before us. Negative: a fault. */
_must_check_ int usage_open(struct broker *broker);
/* Writes what is left, and what runs, and waits for that, but not for ever. */
void usage_close(struct broker *broker);

/* Its group is about to be removed: what it used is read and noted. May be called again, if some
 * process had not ended; then it counts anew, and of all lines of a VM the last one counts. */
void usage_note(struct lease *lease);
/* The group could not be removed: what was noted is no VM's end. */
void usage_forget(struct lease *lease);
/* The group is gone: the line is final. */
void usage_settle(struct lease *lease);

/* Not what never was executed, for it has used nothing; no reservation, whose VMs count; and
 * nothing whose record we cannot read. */
bool usage_counts(const struct lease *lease);

/* A line as it stands now, of a VM that runs: what the loop knows of it, without its group. */
void usage_of_claim(const struct lease *lease, struct usage_line *line);

/* The log as the policy has it now. */
struct usage_log usage_log_of(const struct broker *broker);
/* Lines that wait to be written, copied: each ended by a newline; malloc'd; NULL: out of memory. */
char *usage_pending(const struct broker *broker, size_t *lengthp);
/* VMs whose lines were lost since the broker was started. */
uint64_t usage_lost(const struct broker *broker);

/* A thread of ours is at work: the program is not to be replaced now. */
bool usage_is_busy(const struct broker *broker);

/* For `provium doctor`. */
void usage_check(struct findings *findings);

#endif
