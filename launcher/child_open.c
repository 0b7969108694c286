/* SPDX-License-Identifier: MIT */
/*
 * setfsuid(2): permission to open a file is asked of the ids for files, and with one that is not
 * root's the capabilities that would override it are not in force. It answers the id that was in
 * force before, never an error: whether it did anything tells a second call, with an id that no one
 * can have.
 */
#include <fcntl.h>

#include <launcher/bare.h>
#include <launcher/child_note.h>
#include <launcher/child_open.h>

#define NO_ID ((uid_t)-1)

static _bare_ long set_id(long number, uint32_t id) {
        call(number, id, 0, 0);
        return (uint32_t)call(number, NO_ID, 0, 0) == id ? 0 : -EPERM;
}

static _bare_ long open_file(const struct child_file *file) {
        long fd, r;

        fd = call5(SYS_openat, AT_FDCWD, (long)file->path,
                   (file->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY, 0, 0);
        if (fd < 0)
                return fd;
        r = call(SYS_dup3, fd, file->fd, O_CLOEXEC);
        call(SYS_close, fd, 0, 0);
        return r < 0 ? r : 0;
}

_bare_ long child_open_files(const struct child_open *open, struct child_note *note) {
        long uid, gid, r;

        uid = call(SYS_setfsuid, NO_ID, 0, 0);
        if (uid < 0)
                return uid;
        gid = call(SYS_setfsgid, NO_ID, 0, 0);
        if (gid < 0)
                return gid;
        r = call(SYS_setgroups, open->n_groups, open->groups, 0);
        if (r == 0)
                r = set_id(SYS_setfsgid, open->gid);
        if (r == 0)
                r = set_id(SYS_setfsuid, open->uid);
        for (size_t i = 0; r == 0 && i < open->n_files; i++) {
                r = open_file(&open->files[i]);
                if (r < 0)
                        note->failed_file = (uint32_t)i + 1;
        }
        if (r < 0)
                return r;
        /* The groups stay until the VM's are set; nothing in between is asked for by them. */
        r = set_id(SYS_setfsuid, (uint32_t)uid);
        return r < 0 ? r : set_id(SYS_setfsgid, (uint32_t)gid);
}
