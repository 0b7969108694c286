/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_INTERRUPT_H
#define PROVIUM_CLI_INTERRUPT_H

/*
 * SIGINT, SIGTERM, SIGHUP and SIGQUIT as something to look at between two steps: for a command that
 * has to clean up before it ends.
 */

#include <base/macro.h>

struct interrupt {
        int fd;    /* readable when one has come */
        int signo; /* the first that came; 0: none yet */
};

#define INTERRUPT_NULL                                                                             \
        { .fd = -1 }

/* Takes the signals over, but for those our parent had us ignore (nohup). Negative on a fault. */
_must_check_ int interrupt_init(struct interrupt *interrupt);
/* Gives them back: what came meanwhile and nobody looked at ends us here. */
void interrupt_deinit(struct interrupt *interrupt);

/* Looks without waiting whether one has come; once it has, it stays so. */
_must_check_ bool interrupt_came(struct interrupt *interrupt);

#endif
