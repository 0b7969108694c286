/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_SIGNALS_H
#define PROVIUM_CLI_SIGNALS_H

#include <base/macro.h>

struct why;

enum {
        _SIGNALS_E_SUCCESS,
        SIGNALS_E_INVALID, /* neither a number from 1 to 64 nor a name */
};

/* "TERM", "SIGTERM", "term", "15". Answers SIGNALS_E_INVALID with a sentence. */
_must_check_ int signals_parse(const char *text, int *signalp, struct why *why);

#endif
