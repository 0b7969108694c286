/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_CONTROL_H
#define PROVIUM_BROKER_CONTROL_H

/*
 * The control socket: who may connect, whose turn it is, and what follows when somebody leaves.
 */

#include <broker/connection.h>

struct why;

/* Listens at "control" in the run directory, or takes the socket systemd passed. Answers
 * BROKER_E_HOST. */
_must_check_ int control_init(struct control *control, struct broker *broker, struct why *why);
void control_deinit(struct control *control);

/* For a broker that cannot start: whoever waits at the socket that systemd passed is hung up on, as
 * when a broker leaves. Otherwise systemd would start the next one for them, and the next. */
void control_refuse_all(void);

/* Takes over a connected socket (accepted, or kept over a re-execution). Negative: a fault. NULL in
 * *connectionp if the peer was turned away. */
_must_check_ int control_adopt(struct broker *broker, int fd, struct connection **connectionp);

/* Takes up a connection whose state was put back: what can be written or was read already is seen
 * to. */
_must_check_ int control_resume(struct connection *connection);

#endif
