/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_CHARGE_H
#define PROVIUM_BROKER_CHARGE_H

/*
 * What a claim is made of. One that does not say everything gets the slice's defaults, then the
 * broker's, then its share by CPU; what the hypervisor itself needs is added and charged. The
 * limits of the VM follow from the charge, and from nothing else: what is sold is what is enforced.
 *
 * Of the network each direction has its own default, so that a VM that names one is not charged, or
 * slowed down, in the other. The record keeps both; what is charged of them follows from it and the
 * policy: the larger, or each apart where the link is full duplex.
 *
 * Where the capacity of the network is unknown and nobody said a number, a VM's share of it is 0.
 * The record keeps the 0, and it means "not limited", never a limit of zero; nothing is charged for
 * it. A slice's MaxNetwork= is such a number: then the VM has that instead.
 */

#include <jansson.h>

#include <admission/queue.h>

struct broker;
struct lease;
struct limits;
struct record;
struct why;

/*
 * Fills lease->claim.demand and the claim's part of its record from its request and its slice's
 * policy. Answers 1 with a sentence: more than one VM of this slice may have, or nothing at all.
 */
_must_check_ int charge_size(struct lease *lease, struct why *why);

/*
 * Sets the network axes of @charge as the policy in force derives them from the two directions of
 * @record. The others are left alone.
 */
void charge_network(const struct broker *broker, const struct record *record,
                    struct demand *charge);

/* What is charged for @memory_bytes of a guest: with what the hypervisor needs, in whole pages.
 * UINT64_MAX: larger than any host. */
uint64_t charge_memory(const struct broker *broker, uint64_t memory_bytes);

/* The memory.high that the policy wants beside a memory.max; LIMIT_NONE: none. */
uint64_t charge_memory_high(const struct lease *lease, uint64_t max_bytes);

/* The VM's limits, as they will be written. */
void charge_limits(const struct broker *broker, const struct lease *lease, struct limits *limits);

/* What it waits for, by the name users see, and the sentence to it; @position: how many are before
 * it. */
enum wait_reason claim_reason(const struct lease *lease);
void claim_detail(const struct lease *lease, uint64_t position, char *text, size_t size);

/*
 * The sentence for a shortage: "memory: 2G asked, the host has 512M left (limit 4G at ratio 1, 3.5G
 * allocated): a claim for no more than that would fit now".
 */
void shortage_describe(const struct shortage *shortage, bool never, char *text, size_t size);

/*
 * The same of what queue_check() answered: the name of its reason ("too_large" where it can never
 * fit, "none" if it would start), and the sentence to it; both are what a waiting claim is told.
 */
const char *answer_reason(int answer);
void answer_describe(const struct broker *broker, int answer, const struct shortage *shortage,
                     char *text, size_t size);

/* The parameters of a refusal. New reference, or NULL. */
json_t *shortage_json(const struct shortage *shortage, const char *reason);

#endif
