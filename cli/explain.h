/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_EXPLAIN_H
#define PROVIUM_CLI_EXPLAIN_H

#include <jansson.h>

#include <cli/cli.h>

/*
 * Prints what Explain and a dry run tell of a claim: the axes, who holds what is missing, its
 * place, and when it is going to start. @waits: mark what does not fit. Negative: out of memory.
 */
_must_check_ int explain_print(struct cli *cli, const json_t *object, bool waits);

#endif
