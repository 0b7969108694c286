/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Ways to put a file on disks, with what resolve is to answer for each: made of the rig's disks
 * vda, vdb and vdc (rig: --disk, three times) by the system's own tools.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct stack {
        const char *name;
        const char *up;     /* shell, below set -e; the functions of stacks.c are there */
        const char *path;   /* a block device, or a directory for a file */
        const char *wanted; /* the answer in any order; "loop0+" is `through`; NULL: refused */
        const char *why;    /* what the refusal says */
        const char *top;    /* the device that sees the VM's own bytes; NULL: those of `wanted` */
        bool more_below;    /* it writes more than it is given (parity) */
};

extern const struct stack stacks[];
extern const size_t n_stacks;

const struct stack *stack_find(const char *name);

void need_disks(void);
/* Makes the stack and opens it (O_PATH); after a failure of the shell the test ends. */
int stack_up(const struct stack *stack);
/* Unmakes whatever stack there is. */
void stacks_down(void);
/* Runs shell code with the functions of stacks.c; the test ends if it fails. */
void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

enum job { READ_DIRECT, WRITE_DIRECT, READ_BUFFERED, WRITE_BUFFERED, _JOB_N };
extern const char *const job_names[_JOB_N];

/* A file of JOB_BYTES in the stack, really written; for a device, the device. */
#define JOB_BYTES (UINT64_C(48) << 20)
void job_file(const struct stack *stack, char path[256]);

/* A group below /sys/fs/cgroup/io with a memory of 64 MiB; its descriptor. */
int group_open(const char *name);
void group_close(int fd, const char *name);

/* A process of the group that does the job until it is killed. Each 64 KiB that are done are told
 * to @progress (shared memory, or NULL). */
struct progress {
        volatile uint64_t bytes;
        volatile uint64_t gap_max_usec; /* between two requests that were done */
        volatile uint64_t gaps[8];      /* below 1, 2, 5, 10, 50, 100, 500 ms, and above */
};
pid_t job_start(int group_fd, const char *path, enum job job, unsigned nth,
                struct progress *progress);
void job_end(pid_t pid);

uint64_t now_usec(void);
void sleep_usec(uint64_t usec);

/* What a device has moved, from /sys/block/NAME/stat. */
uint64_t device_bytes(const char *name, bool written);
