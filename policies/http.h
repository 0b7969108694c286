/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_POLICIES_HTTP_H
#define PROVIUM_POLICIES_HTTP_H

/*
 * What [HTTP] says in lists: addresses to listen at, and names by which the host is called.
 */

#include <stddef.h>

#include <policies/policy.h>

struct why;

/*
 * "127.0.0.1:9787 [::1]:9787", blanks between: an address of this host, not a name, and a port.
 * Answers POLICY_E_INVALID with what is valid; then @listens is half filled.
 */
_must_check_ int policy_parse_listens(const char *text,
                                      struct policy_listen listens[POLICY_LISTENS_MAX], size_t *np,
                                      struct why *why);

/* Names of a host, blanks between. Answers POLICY_E_INVALID with what is valid. */
_must_check_ int policy_check_hosts(const char *text, struct why *why);

#endif
