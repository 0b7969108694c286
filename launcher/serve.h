/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_LAUNCHER_SERVE_H
#define PROVIUM_LAUNCHER_SERVE_H

/*
 * The launcher itself: one process, one thread, one broker at a time. It starts what it is told to
 * (launcher/spawn), is the parent of it, and keeps how it ended until somebody asks. It reads no
 * policy, keeps no books, writes no file: killed at any moment it leaves nothing behind but VMs
 * that run on, whose exit codes nobody will know.
 *
 * Who may tell it what to do: over a socket that it was born with, whoever holds the other end;
 * over one that it listens at, whoever gives a proof (launcher/proof). A path's mode alone would
 * let in a VM that runs as root without a capability.
 */

#include <base/macro.h>

struct serve_options {
        int listen_fd;     /* owned; -1: none, and it leaves when its broker does */
        int connection_fd; /* owned; -1: nobody is there yet */
        bool renewed;      /* it has executed itself anew: whoever asked for that is told */
        int n_filters;     /* seccomp filters that its children inherit */
        void (*log)(const char *text); /* what an operator must see */
        /* Executes the program anew with what goes along; comes back if it cannot, with an errno.
         */
        int (*renew)(int listen_fd, int connection_fd);
};

/* Serves until its broker has gone (0), or for ever; a positive errno: it cannot begin. */
_must_check_ int serve(const struct serve_options *options);

#endif
