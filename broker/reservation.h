/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_RESERVATION_H
#define PROVIUM_BROKER_RESERVATION_H

/*
 * Reservations: an owner's peak, reserved at once, and the VMs inside it.
 *
 * A reservation is a lease without a process. It is claimed, waits, is charged and given back as
 * any other: its slice, its user's ceilings, estimates and circles of owners know one lease of that
 * size, whatever goes on in it. What goes on in it has books of its own, with one account whose
 * limits are the charge: a VM inside is charged there and, to the host, as one VM more of nothing
 * (so that MaxVMs= counts it). So the host is charged exactly once, no policy that is lowered later
 * takes back what was reserved, and nobody inside waits: for whom, if not for himself?
 *
 * This is the object and its books; the lease that it belongs to owns it. Its group is in
 * broker/reserve_group, its life in broker/reserve, what is admitted into it in broker/inside.
 *
 * Owners are their users': the same word from another user, root too, is another owner's.
 */

#include <sys/queue.h>
#include <sys/types.h>
#include <uthash.h>

#include <admission/ledger.h>
#include <base/text.h>

struct broker;
struct lease;

struct reservation {
        struct broker *broker;
        struct lease *lease; /* that it is */
        char owner[TEXT_NAME_MAX + 1];
        struct ledger books; /* without limits of their own */
        struct account account;
        uint64_t guests_bytes;        /* what was reserved of memory, for guests */
        uint64_t n_inside;            /* leases that refer to it */
        char key[TEXT_NAME_MAX + 12]; /* "UID/OWNER"; "": it is not to be found */
        bool stirred;                 /* in broker->stirred */
        bool over;                    /* its end has begun */
        bool ending;                  /* its VMs are yet to be ended */
        int end_signal;
        uint64_t end_grace_usec;
        LIST_ENTRY(reservation) link;
        UT_hash_handle hh;
};

/* Of @owner ("": nobody knows whose), without anything yet. NULL: out of memory. */
struct reservation *reservation_new(struct broker *broker, struct lease *lease, const char *owner);
/* Takes NULL, and returns it. */
struct reservation *reservation_free(struct reservation *reservation);

/* What @uid has reserved, or asked for, as that owner; NULL: nothing. */
struct reservation *reservation_find(struct broker *broker, uid_t uid, const char *owner);
/* From now on it is found, unless its owner has one already. */
void reservation_enter(struct reservation *reservation, uid_t uid);

/* What is charged for it is this now, and of the memory that is for guests. */
void reservation_count(struct reservation *reservation, const struct demand *charge,
                       uint64_t guests_bytes);

/* One more lease refers to it; or one less, which may be the last it waits for. */
struct reservation *reservation_join(struct reservation *reservation);
void reservation_leave(struct reservation *reservation);

/* Something is to be done about it, by reserves_settle(). */
void reservation_stir(struct reservation *reservation);

/* The share by CPU of what was reserved of a resource. */
uint64_t reservation_share(const struct reservation *reservation, enum resource resource,
                           uint64_t cpu_milli);
/* A default, cut to what there can be: of CPU and memory what was reserved, of others what is left.
 */
uint64_t reservation_cut(const struct reservation *reservation, enum resource resource,
                         uint64_t value);

/* What is charged to the host for a VM inside. */
extern const struct demand reservation_nothing;

#endif
