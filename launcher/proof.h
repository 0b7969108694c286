/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_LAUNCHER_PROOF_H
#define PROVIUM_LAUNCHER_PROOF_H

/*
 * Who may tell the launcher what to do: one byte with credentials that name init as the sender. The
 * kernel lets a process name another than itself only with CAP_SYS_ADMIN over the namespace of
 * processes that it is in (unix(7), SCM_CREDENTIALS; scm_check_creds() in net/core/scm.c), and in
 * one of its own the first process has another number here.
 */

#include <base/macro.h>

/* Says so. 0 or a positive errno: EPERM is the kernel's word that we may not. */
_must_check_ int proof_give(int fd);

/* Whoever is at the other end of @fd is listened to: before anything is received. 0 or errno. */
_must_check_ int proof_expect(int fd);

/* Takes the byte, and descriptors that nobody asked for. 0; EAGAIN: it has not come; EPERM, or
 * another errno. Then nothing more of this kind is expected of @fd. */
_must_check_ int proof_take(int fd);

#endif
