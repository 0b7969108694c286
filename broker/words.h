/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_WORDS_H
#define PROVIUM_BROKER_WORDS_H

/*
 * What the command of a VM may ask to be told about its network: {tap}, {tap.fd}, {tap.fds},
 * {vhost.fd}, {vhost.fds}, {mac}, and the same of the Nth tap, {tap.N.fd}. Descriptors have their
 * numbers before they are open: the queues of all taps from 3 on, then the disks ({disk.N} is the
 * path of its descriptor: the hypervisor opens exactly the file that was resolved; {disk.N.fd} and
 * {disk.N.fd.ro} are its number, and have it opened by the caller's right), then the socket
 * {qmp.fd} if the command names it, then the files of GPUs ({gpu.N.fd}) that it names, then as many
 * of vhost-net as there are queues.
 *
 * Which GPUs they are is known only when they are taken, after the claim was granted: until then
 * their words have a value that means nothing, and the command is made once more.
 */

#include <cgroup/record.h>
#include <launcher/command.h>
#include <proto/request.h>
#include <tc/shape.h>

struct lease;
struct why;

#define WORDS_GPU 4 /* of each */
#define WORDS_MAX                                                                                  \
        ((SHAPE_TAPS_MAX + 1) * 6 + REQUEST_DISKS_MAX * 4 + 1 + RECORD_GPUS_MAX * WORDS_GPU)
#define WORDS_VALUE_MAX 512

struct words {
        struct placeholder table[WORDS_MAX];
        char names[WORDS_MAX][40], values[WORDS_MAX][WORDS_VALUE_MAX];
        size_t n;
};

/* The words of @lease, whose taps are prepared; without a value if it has none. */
void words_make(const struct lease *lease, struct words *words);

enum {
        _WORDS_E_SUCCESS,
        WORDS_E_BOTH = 350, /* one image is asked for read-write and read-only */
};

/* After @table was put in: vhost-net will be opened if one of its words occurred, a socket for QMP
 * made if {qmp.fd} did, the file of a GPU opened if its {gpu.N.fd} did, and images opened of which
 * the number was asked for. Answers BOTH; negative: out of memory. */
_must_check_ int words_note_used(struct lease *lease, const struct placeholder *table, size_t n,
                                 struct why *why);

#endif
