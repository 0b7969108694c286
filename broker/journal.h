/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_JOURNAL_H
#define PROVIUM_BROKER_JOURNAL_H

/*
 * The events, in systemd's journal, with fields: PROVIUM_KIND, PROVIUM_SEQ, PROVIUM_VM,
 * PROVIUM_SLICE and one for each thing that belongs to the kind.
 *
 * It is one more reader of the ring, with a place of its own: an event costs its launch nothing,
 * for it is written when the loop has nothing else to do; a journal that does not take any for a
 * while gets them later, and only what the ring has dropped meanwhile is lost, which is told by a
 * line of its own, as to any reader. So nothing is ever waited for, and the pace can be bounded:
 * below what journald takes from one service, for beyond that it would drop the broker's log lines
 * as well.
 *
 * It speaks the journal's own protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL), for sd_journal_sendv()
 * waits when journald's socket is full. Every value goes with its length, so nothing in one can
 * be taken for another field.
 */

#include <jansson.h>

#include <base/macro.h>

struct broker;

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define JOURNAL_BURST 5000      /* entries at once, */
#define JOURNAL_PER_S 250       /* and on the average: journald's own limits are 10000 in 30 s */
#define JOURNAL_ENTRY_MAX 16384 /* bytes */

/*
 * Begins, if the broker's log goes to the journal, or --journal names a socket. Where a former
 * program was, its successor goes on (--resume). Negative: out of memory.
 */
_must_check_ int journal_begin(struct broker *broker);
/* The number of the next event that it will write; an upgrade takes it along. */
uint64_t journal_next(const struct broker *broker);
/* Writes what can be written at once, and ends it. */
void journal_end(struct broker *broker);

/* @event as an entry of the journal in @buffer of JOURNAL_ENTRY_MAX bytes. Returns its length; 0:
 * it is of a kind that does not go there. A value that has no room is left out. */
size_t journal_format(const json_t *event, char *buffer);

#endif
