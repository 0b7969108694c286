/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_TAPS_H
#define PROVIUM_BROKER_TAPS_H

/*
 * A VM's network, from the claim to its end.
 *
 *     prepare (names, MACs, numbers of descriptors) -> reserve (classes, into the record)
 *             -> make (taps, then one batch: class, queue, bucket, redirect, bridge, up; read back)
 *
 * The taps are not persistent. Their descriptors go to the hypervisor and the broker closes its
 * own, so the kernel takes link, qdiscs and redirect away when the VM's last process ends; only the
 * classes of the IFB outlive it, and the record names those. Whatever would close a tap's last
 * descriptor is done aside (tc/discard): the kernel waits some 20 ms there.
 *
 * Several taps of one VM share one class each way, so the claim holds for their sum. How they are
 * found after a crash is in broker/taps_adopt, who looks after them in broker/taps_check, what one
 * can see of them in broker/taps_report.
 */

#include <broker/lease.h>
#include <broker/network.h>

enum {
        _TAPS_E_SUCCESS,
        TAPS_E_DENIED = 200, /* the policy does not let this slice join that bridge */
        TAPS_E_NO_BRIDGE,
        TAPS_E_CLAIM, /* rates that no network can have */
        TAPS_E_FULL,  /* class numbers or descriptors are used up */
};

/*
 * From the request, or the slice's default: which taps there will be. lease->taps stays NULL if
 * none. Answers DENIED, NO_BRIDGE, CLAIM; negative: out of memory.
 */
_must_check_ int taps_prepare(struct lease *lease, struct why *why);

/* Takes class numbers and notes them in lease->record, which is to be written next. Answers FULL.
 */
_must_check_ int taps_reserve(struct lease *lease, struct why *why);
/* Makes all of it, confirmed by the kernel. On an answer, what was made is left for taps_release().
 */
_must_check_ int taps_make(struct lease *lease, struct why *why);
/* The launch failed: our descriptors may be the last, so they are closed aside. */
void taps_discard(struct lease *lease);

/* The group is gone: the classes go, and a tap that somebody else still holds open. */
void taps_release(struct lease *lease);

/* The policy or a ratio has changed: rates follow. */
void taps_follow(struct lease *lease);
/* New rates, as lease->record says now. Answers NETLINK_E_*, SHAPE_E_*. */
_must_check_ int taps_resize(struct lease *lease, struct why *why);

/* Something of tc on @ifindex is not as we made it (@minor: a class of the IFB; 0: which is not
 * known), or, with 0, anything may be: broker/taps_check will look. */
void taps_suspect(struct broker *broker, int ifindex, uint16_t minor);

/* ---- for the other files that begin with taps ---- */

/* "provium:ROOT:LEASE:I" into @alias, which is returned. */
const char *taps_alias(const struct lease *lease, size_t i, char alias[NETWORK_ALIAS_MAX]);
/* Links and classes, as whoever reads or changes them needs them in @shape. */
void taps_places(const struct lease *lease, struct shape *shape);
/* "52:54:00:..." */
#define TAPS_MAC_TEXT_MAX 18
void taps_format_mac(const unsigned char mac[6], char text[TAPS_MAC_TEXT_MAX]);

#endif
