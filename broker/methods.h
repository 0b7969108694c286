/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_METHODS_H
#define PROVIUM_BROKER_METHODS_H

/*
 * The methods of the interface: from a parsed call to what the rest of the broker does.
 */

#include <base/macro.h>

struct call;
struct connection;

/*
 * Carries out one call that came with the descriptors @fds (owned here: taken or closed). The
 * connection is answered now, or has become busy and is answered later. Negative on a fault; every
 * mistake of the peer is an answer to the peer.
 */
_must_check_ int methods_dispatch(struct connection *connection, const struct call *call, int *fds,
                                  size_t n_fds);

/* The next part of a list that is being told. Negative on a fault. */
_must_check_ int methods_list_part(struct connection *connection);

#endif
