/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_KSM_H
#define PROVIUM_BROKER_KSM_H

/*
 * Merging of equal pages (KSM), as the policy wants it while the broker runs.
 *
 * What was there before is noted on the root before anything is written, and put back at the end;
 * after a crash by the next broker, at its own end or at once if the policy no longer wants it. A
 * value that somebody else has changed meanwhile is his, and left alone. Pages that were merged
 * stay so.
 *
 * What it can leak: a write to a merged page copies it first, and takes longer. By that one VM
 * tells whether another has a page of a given content. The kernel merges only what a hypervisor
 * offers (madvise; QEMU does by default), and across all VMs alike.
 */

struct broker;

/* Takes the policy: tunes, or puts back. Logs what it does, and what it cannot. */
void ksm_configure(struct broker *broker);
/* Puts back what was there before, if it is tuned. */
void ksm_put_back(struct broker *broker);

#endif
