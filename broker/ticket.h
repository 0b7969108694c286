/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_TICKET_H
#define PROVIUM_BROKER_TICKET_H

/*
 * Tickets: what a waiting client shows to get its place back after the broker was restarted.
 *
 * Nothing about those who wait is kept anywhere: the ticket itself says the claim's id, its place
 * and whose it is, signed (libsodium's crypto_auth, HMAC-SHA512-256) with a key that lives with the
 * tree. It cannot be made up, moved to another user, or moved forward.
 */

#include <sys/types.h>

#include <cgroup/record.h>
#include <cgroup/root.h>
#include <proto/request.h>

/* Writes the ticket's text. */
void ticket_format(char text[REQUEST_TOKEN_MAX + 1], const unsigned char key[CGROUP_ROOT_KEY_SIZE],
                   const char *id, uint64_t order, uid_t uid);

/* Is @text a ticket of @uid's signed with @key? Then its id and order. */
_must_check_ bool ticket_parse(const char *text, const unsigned char key[CGROUP_ROOT_KEY_SIZE],
                               uid_t uid, char id[RECORD_ID_MAX + 1], uint64_t *orderp);

#endif
