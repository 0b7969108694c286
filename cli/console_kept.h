/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_CONSOLE_KEPT_H
#define PROVIUM_CLI_CONSOLE_KEPT_H

#include <stdbool.h>

/*
 * Whether anybody listens on the console's socket @path; true if that cannot be known, as for a
 * user who may not connect. Nobody who does notices, and none of its places is taken: it is asked
 * for a socket of another type, which the kernel refuses in the listener's stead (EPROTOTYPE, see
 * connect(2)), but with ECONNREFUSED if there is none.
 */
bool console_is_kept(const char *path);

#endif
