/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_ASIDE_H
#define PROVIUM_BROKER_ASIDE_H

/*
 * A piece of work in a thread beside the loop, and its end on the loop: for what takes long, or may
 * have to wait for the kernel, and shares nothing with the broker while it runs.
 *
 * The thread gets its argument and nothing else; the loop does not touch that until it is told. A
 * broker that leaves does not wait: the process ends, and the thread with it.
 */

#include <base/macro.h>

struct asides;
struct broker;

/* On the loop, when @work has returned. Negative: a fault. */
typedef int (*aside_done_fn)(struct broker *broker, void *userdata);

/*
 * Runs @work(@userdata) in a thread and then @done. Answers 1 if the kernel has no thread for it
 * now. Unless it is 0 nothing was begun, and @userdata is the caller's.
 */
_must_check_ int aside_run(struct broker *broker, void (*work)(void *userdata), aside_done_fn done,
                           void *userdata);
void asides_close(struct broker *broker);

#endif
