/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_ENDPOINT_H
#define PROVIUM_BROKER_ENDPOINT_H

/*
 * Sockets of single VMs, made before whoever will serve them is there: the broker binds one and
 * listens, and a process of the VM inherits it. So nobody needs a right to make it, nobody can be
 * quicker at its path, and whoever connects early waits instead of being refused.
 *
 * They lie at RUN-DIR/KIND/ID and belong to the user who asked for the VM, whoever the VM runs as;
 * others can neither connect nor list the directory. That a file of that name is there is all that
 * is stored: a broker that starts compares the directory with what it has adopted.
 */

#include <base/macro.h>

struct broker;
struct lease;
struct why;

enum {
        _ENDPOINT_E_SUCCESS,
        ENDPOINT_E_HOST = 340, /* the socket cannot be made */
};

#define ENDPOINT_PATH_MAX 108 /* what an address holds, with its NUL */

struct endpoint {
        const char *directory; /* below the run directory */
        const char *label;     /* for people: "QMP" */
        int type;              /* SOCK_* */
};

/* Makes the socket of @lease; *fdp, which listens, is the caller's. Answers HOST. */
_must_check_ int endpoint_make(const struct endpoint *endpoint, const struct lease *lease, int *fdp,
                               struct why *why);

/* Where it is, or would be, in @path; NULL: the run directory's name is too long. */
const char *endpoint_path(const struct endpoint *endpoint, const struct lease *lease,
                          char path[ENDPOINT_PATH_MAX]);

/* Takes the socket's name away. Before the lease is over; as often as one likes. */
void endpoint_remove(const struct endpoint *endpoint, const struct lease *lease);

/* After all that runs was adopted: calls @note for each VM whose socket is there, and removes what
 * is nobody's. */
void endpoint_adopt(const struct endpoint *endpoint, struct broker *broker,
                    void (*note)(struct lease *lease));

#endif
