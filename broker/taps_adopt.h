/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_TAPS_ADOPT_H
#define PROVIUM_BROKER_TAPS_ADOPT_H

/*
 * The network of VMs that a broker before us started: taps are found by their aliases, classes by
 * the numbers in the records. What is ours and belongs to nobody goes.
 */

#include <base/macro.h>

struct broker;
struct lease;

/* A VM found in the tree: finds its taps again, and puts back what is missing of their shaping.
 * Negative: a fault. */
_must_check_ int taps_adopt(struct lease *lease);
/* When all are adopted: links and classes of ours that belong to nobody go. */
void taps_sweep(struct broker *broker);

/* Bridges of ours that no policy names and no VM is on go. */
void taps_drop_bridges(struct broker *broker);

/* Classes that no lease has go: of a VM whose broker was killed just when it was made or removed.
 */
void taps_sweep_classes(struct broker *broker);

#endif
