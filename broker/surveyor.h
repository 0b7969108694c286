/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_SURVEYOR_H
#define PROVIUM_BROKER_SURVEYOR_H

/*
 * The surveyor: the thread that makes surveys (broker/survey), and stays for a minute after each in
 * case somebody asks again, as Prometheus, `provium top` and a dashboard do.
 *
 * It keeps the groups' files open from one survey to the next. For that it has a table of
 * descriptors of its own: nine for each VM in the broker's would be copied at every clone3 and
 * closed by every child. When nobody has asked for a minute the thread ends, and its table with it.
 *
 * In that table is nothing else of the broker's but the root's directory and the pipe on which it
 * tells: a client's connection or a tap that the loop closes is closed.
 */

#include <base/macro.h>

struct broker;
struct survey_kept;
struct surveyor;

/* In the thread: makes @survey of the groups below @root_fd, with the files that are kept. */
typedef void (*surveyor_gather_fn)(void *survey, int root_fd, struct survey_kept *kept);
/* On the loop: it is made. Negative: a fault. */
typedef int (*surveyor_told_fn)(struct broker *broker, void *survey);

/* Without a thread yet. Negative: a fault. */
_must_check_ int surveyor_new(struct surveyor **ret, struct broker *broker,
                              surveyor_gather_fn gather, surveyor_told_fn told);
/* Its thread ends by itself, or with the process. Takes NULL. */
void surveyor_close(struct surveyor *surveyor);

/* Makes @survey, which nobody else looks at until it is told. One at a time. Answers 1 if the
 * kernel has no thread for it now. */
_must_check_ int surveyor_make(struct surveyor *surveyor, void *survey);

#endif
