/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_ADOPT_H
#define PROVIUM_BROKER_ADOPT_H

/*
 * What a broker finds when it starts: the tree tells.
 *
 * A group with a record and processes is a VM that runs, and is adopted with its charge. One
 * without the mark of a process was being made when the last broker died: it is ended. One that is
 * empty is over: it is removed. One with processes and a record that cannot be understood keeps its
 * charge, in full where the record's first line says it, and otherwise by what the kernel enforces
 * on it and by all that is left of everything else: never smaller than what was sold. What is not
 * of our making is left alone.
 *
 * A reservation is found before the VMs inside it, by its record alone. The file is longer than
 * others, because what a VM's group and a reservation's may mean is told by the same steps.
 */

#include <signal.h>

#include <base/macro.h>

struct broker;
struct why;

/* Walks the whole tree. Answers BROKER_E_HOST; negative on a fault. */
_must_check_ int adopt_all(struct broker *broker, struct why *why);

/*
 * How a process that is not our child ended (PIDFD_GET_INFO with PIDFD_INFO_EXIT, Linux 6.15), once
 * it was reaped. Fills si_code and si_status. *supportedp: this kernel may tell, if not now then
 * later.
 */
_must_check_ bool adopt_exit_status(int pidfd, bool *supportedp, siginfo_t *status);

#endif
