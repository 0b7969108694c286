/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_LAUNCHER_WIRE_SPAWN_H
#define PROVIUM_LAUNCHER_WIRE_SPAWN_H

/*
 * The arguments of a child as the payload of WIRE_SPAWN. Descriptors go beside it, each once
 * however often it is named, and are named by their places among them.
 */

#include <launcher/child.h>
#include <launcher/child_learn.h>
#include <launcher/wire.h>
#include <linux/filter.h>

/* Bytes that grow; an error is kept until it is looked at. */
struct wire_buffer {
        char *bytes; /* owned */
        size_t n, size;
        int error; /* ENOMEM; E2BIG: longer than WIRE_LENGTH_MAX */
};

struct wire_fds {
        int fd[WIRE_FDS_MAX]; /* borrowed */
        size_t n;
        bool failed; /* more than fit */
};

/* Writes @args, in place of what @buffer and @fds hold; 0, ENOMEM, or E2BIG. note and nofile stay
 * behind: they are the launcher's. */
_must_check_ int wire_spawn_write(struct wire_buffer *buffer, struct wire_fds *fds,
                                  const struct child_args *args);
void wire_buffer_deinit(struct wire_buffer *buffer);

/* What arguments lead to. Strings and groups are in the payload, which must stay. */
struct wire_spawn {
        struct child_args args;
        struct child_quota quota;
        struct child_open open;
        struct child_walls walls;
        struct sock_fprog program;
        int pass[CHILD_PASS_MAX];
        char **strings;           /* owned */
        struct child_learn learn; /* last: its own last member is of variable size */
};

/*
 * Reads @length bytes of @payload, which is followed by a NUL, and takes none of @fds; they must
 * lie above 2, as the child's must. 0, ENOMEM, or EBADMSG: it was not written by
 * wire_spawn_write(), whatever else it is. @spawn points into itself and into @payload.
 */
_must_check_ int wire_spawn_read(struct wire_spawn *spawn, char *payload, size_t length,
                                 const int *fds, size_t n_fds);
void wire_spawn_deinit(struct wire_spawn *spawn);

#endif
