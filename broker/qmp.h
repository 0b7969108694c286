/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_QMP_H
#define PROVIUM_BROKER_QMP_H

/*
 * A socket for QEMU's machine protocol (broker/endpoint), which the hypervisor itself inherits
 * ({qmp.fd}). What it makes of the socket is not looked at.
 */

#include <broker/endpoint.h>

/* The socket of a lease whose command asks for it, into lease->qmp_fd. Answers ENDPOINT_E_HOST. */
_must_check_ int qmp_make(struct lease *lease, struct why *why);

/* Takes the socket's name away, if it has one. Before the lease is over; as often as one likes. */
void qmp_remove(const struct lease *lease);

/* Where it is, in @path; NULL: it has none. */
const char *qmp_path(const struct lease *lease, char path[ENDPOINT_PATH_MAX]);

/* After all that runs was adopted: notes whose sockets are there, and removes what is nobody's. */
void qmp_adopt(struct broker *broker);

#endif
