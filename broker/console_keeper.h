/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_CONSOLE_KEEPER_H
#define PROVIUM_BROKER_CONSOLE_KEEPER_H

/*
 * The keeper of one VM's console: a process in the VM's own group that holds the master of the pty
 * whose other side is the VM's stdin, stdout and stderr, keeps the last of what the VM prints, and
 * serves whoever connects (proto/console.h). The broker starts it (broker/console) and has no part
 * in it from there: its death, restart or upgrade is no news here.
 *
 * It reads whatever the VM prints, at once, so a VM is never held up by a console that nobody
 * reads; all its memory is allocated before the first byte. It ends when nobody has the other side
 * open any more, and a moment later (LINGER) if somebody is still reading the end; no signal but
 * the last ends it sooner.
 *
 * It has no rights: root's user, so that no process of the VM can signal or trace it, but no
 * capability, and a seccomp filter that lets through what the loop below calls.
 */

#include <sys/types.h>

#define KEEPER_MASTER_FD 0 /* what it inherits: the pty's master, which does not block, */
#define KEEPER_LISTEN_FD 1 /* and the listening socket */

/* Runs the keeper until the end of its VM's console. Only @owner and root are served. Returns the
 * exit status. */
int console_keep(uid_t owner);

#endif
