/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_LAUNCHER_ERRAND_TCP_H
#define PROVIUM_LAUNCHER_ERRAND_TCP_H

/*
 * Sockets of the Internet, for the broker may not make any: as long as nobody asks for a listener
 * in broker.conf, there is none in either process. Whoever is accepted is the broker's alone.
 */

#include <base/macro.h>

struct wire_answer;
struct wire_message;

/* The errands WIRE_LISTEN and WIRE_CONNECT, as launcher/errands calls them. The latter begins a
 * connection and takes it back: 0, or EINPROGRESS, if nothing forbids it. */
_must_check_ int errand_listen(struct wire_message *message, struct wire_answer *answer, int *fdp);
_must_check_ int errand_connect(struct wire_message *message, struct wire_answer *answer, int *fdp);

#endif
