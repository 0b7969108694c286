/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_PROTO_EVENT_H
#define PROVIUM_PROTO_EVENT_H

/*
 * The kinds of events and what belongs to each: the one table. The broker asserts that whatever it
 * tells is as it stands here; the interface's text and the manual are checked against it, and
 * `provium events --kind` and the journal's fields come from it.
 *
 * Every event has seq, ts_ns and kind; one that is about a VM or a claim also id, name, slice and
 * uid. A set of kinds is a number with one bit for each row.
 */

#include <base/macro.h>

struct why;

#define EVENT_MEMBERS_MAX 6
#define EVENT_KINDS_ALL UINT64_MAX

enum event_type { EVENT_END, EVENT_NUMBER, EVENT_BOOL, EVENT_TEXT, EVENT_DEMAND };

struct event_member {
        const char *name;
        enum event_type type;
        bool optional;
};

struct event_kind {
        const char *name;
        const char *message_id; /* of its lines in the journal; NULL: it does not go there */
        unsigned level;         /* there, as of syslog(3) */
        bool about_vm;          /* a VM or a claim: it has id, name, slice and uid */
        const char *help;       /* one sentence without a full stop */
        struct event_member members[EVENT_MEMBERS_MAX + 1]; /* ends with one without a name */
};

/* Ends with a row without a name. */
extern const struct event_kind event_kinds[];

/* The row of that name, or NULL. */
const struct event_kind *event_kind_find(const char *name);
/* Its bit. */
uint64_t event_kind_bit(const struct event_kind *kind);

/*
 * Adds the kinds that @list names, separated by commas ("all": each of them), to the set *kindsp.
 * Answers 1 with what is valid if one is unknown.
 */
_must_check_ int event_kinds_parse(const char *list, uint64_t *kindsp, struct why *why);

#endif
