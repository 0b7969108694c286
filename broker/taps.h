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
 * One number for admission, enforcement and report: TBF's rate is the claim, the class's rate the
 * guarantee (claim / ratio), its ceil what may be borrowed. Several taps of one VM share one class
 * each way, so the claim holds for their sum.
 */

#include <jansson.h>

#include <launcher/command.h>

#include <broker/lease.h>

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

/* The placeholders {tap}, {tap.1.fd}, ... with room for their text. */
#define TAPS_WORDS_MAX ((SHAPE_TAPS_MAX + 1) * 6)
struct taps_words {
        struct placeholder table[TAPS_WORDS_MAX];
        char names[TAPS_WORDS_MAX][24], values[TAPS_WORDS_MAX][96];
        size_t n;
};
void taps_words(const struct lease *lease, struct taps_words *words);
/* After the words were put in: those of vhost-net occurred, so it will be opened. */
void taps_note_used(struct lease *lease, const struct placeholder *table, size_t n);

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

/* A VM found in the tree: finds its taps again, and puts back what is missing of their shaping.
 * Negative: a fault. */
_must_check_ int taps_adopt(struct lease *lease);
/* When all are adopted: links and classes of ours that belong to nobody go. */
void taps_sweep(struct broker *broker);

/* Bridges of ours that no policy names and no VM is on go. */
void taps_drop_bridges(struct broker *broker);

/* The policy or a ratio has changed: rates follow. */
void taps_follow(struct lease *lease);
/* New rates, as lease->record says now. Answers NETLINK_E_*, SHAPE_E_*. */
_must_check_ int taps_resize(struct lease *lease, struct why *why);

/* Listens for changes that somebody else makes to what is ours. Negative: a fault. */
_must_check_ int taps_listen(struct broker *broker);
/* Compares what is suspect, repairs, tells. */
void taps_check_suspects(struct broker *broker);

/* Adds "net.N...." to @limits and @stats as the kernel has it now, and what is to be said to
 * @notes. */
void taps_report(struct lease *lease, json_t *limits, json_t *stats, json_t *notes);
/* [{bridge, tap, mac}]; new reference. */
json_t *taps_list(const struct lease *lease);

#endif
