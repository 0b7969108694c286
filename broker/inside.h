/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_INSIDE_H
#define PROVIUM_BROKER_INSIDE_H

/*
 * A VM inside a reservation: what it gets that does not say, whether it fits, and the sentence if
 * it does not. It is charged at once or refused at once; it never was in the queue.
 */

#include <stdint.h>
#include <sys/types.h>

#include <admission/ledger.h>

struct connection;
struct lease;
struct reservation;
struct why;

/* The reservation that the claim of @lease, whose request is known, is to be charged to; NULL: to
 * the host, because nothing stands, or it names another slice. */
struct reservation *inside_find(struct lease *lease, uid_t uid);

/* Does it use disks of which nothing was reserved? Answers 1 with @why. */
_must_check_ int inside_check_disks(const struct lease *lease, struct why *why);

/* Would it fit now? 0, or LEDGER_E_* with @shortage. */
_must_check_ int inside_check(const struct lease *lease, struct shortage *shortage);

/* Charges it, which inside_check() has found to fit. Negative on a fault. */
_must_check_ int inside_charge(struct lease *lease);

/* The name of the reason for which it is refused, and the sentence: what was reserved, what of that
 * is in use and by whom, what would fit now. */
const char *inside_reason(const struct lease *lease, int answer, const struct shortage *shortage);
void inside_describe(const struct lease *lease, int answer, const struct shortage *shortage,
                     char *text, size_t size);

/* "2 is reserved, 1.5 of it in use: 0.5 left"; of one axis. */
void inside_arithmetic(const struct reservation *reservation, enum resource resource, char *text,
                       size_t size);

#endif
