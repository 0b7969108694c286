/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BASE_THREAD_H
#define PROVIUM_BASE_THREAD_H

/*
 * For what may have to wait for a disk or for the kernel, and so has no place on a loop that serves
 * everybody: a thread that nobody joins. It has every signal blocked from its first instruction
 * on, for they are the loop's.
 */

#include <stddef.h>

#include <base/macro.h>

/* Runs @run(@userdata) on a stack of @stack_bytes (0: the usual). Answers the errno. */
_must_check_ int thread_start(void *(*run)(void *userdata), void *userdata, size_t stack_bytes);

#endif
