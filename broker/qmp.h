/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_QMP_H
#define PROVIUM_BROKER_QMP_H

/*
 * A socket for QEMU's machine protocol, made for the VM before it is there: the broker binds it and
 * listens, and the hypervisor inherits it ({qmp.fd}). So the hypervisor needs no right to make it,
 * nobody can be quicker at its path, and whoever connects early waits instead of being refused.
 *
 * It lies at RUN-DIR/qmp/ID and belongs to the user who asked for the VM, whoever the VM runs as;
 * others can neither connect nor list the directory. That a file of that name is there is all that
 * is stored: a broker that starts compares the directory with what it has adopted. What the
 * hypervisor makes of the socket is not looked at.
 */

#include <base/macro.h>

struct broker;
struct lease;
struct why;

enum {
        _QMP_E_SUCCESS,
        QMP_E_HOST = 340, /* the socket cannot be made */
};

#define QMP_PATH_MAX 108 /* what an address holds, with its NUL */

/* The socket of a lease whose command asks for it, into lease->qmp_fd. Answers HOST. */
_must_check_ int qmp_make(struct lease *lease, struct why *why);

/* Takes the socket's name away, if it has one. Before the lease is over; as often as one likes. */
void qmp_remove(const struct lease *lease);

/* Where it is, in @path of QMP_PATH_MAX bytes; NULL: it has none. */
const char *qmp_path(const struct lease *lease, char *path);

/* After all that runs was adopted: notes whose sockets are there, and removes what is nobody's. */
void qmp_adopt(struct broker *broker);

#endif
