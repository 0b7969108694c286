/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BASE_FILE_H
#define PROVIUM_BASE_FILE_H

/*
 * Small kernel files, always relative to a directory descriptor, so that tests can hand in a
 * directory of their own and no name is ever looked up twice. kernfs files say st_size 0, so they
 * are read to the end into a bounded buffer.
 */

#include <base/macro.h>

/*
 * Reads the whole of @name below @dir_fd (AT_FDCWD allowed) into @buffer and ends it with a NUL,
 * without the last newline. Returns 0, or a positive errno: what the kernel said, or EFBIG if the
 * file does not fit into @size - 1 bytes.
 */
_must_check_ int file_read_at(int dir_fd, const char *name, char *buffer, size_t size);

/* Reads a file that holds one number; "max" reads as UINT64_MAX. Returns 0 or a positive errno;
 * EBADMSG if it holds anything else. */
_must_check_ int file_read_u64_at(int dir_fd, const char *name, uint64_t *valuep);

/* Writes @text in one write(2) into an existing file. Returns 0 or a positive errno. */
_must_check_ int file_write_at(int dir_fd, const char *name, const char *text);

/* Our own binary; of one that a package has replaced, the name that the next one has. Returns 0 or
 * a positive errno. */
_must_check_ int file_own_path(char *path, size_t size);

/*
 * Finds the line "@key VALUE" in a flat keyed file's text (cgroup.events, memory.events, cpu.stat)
 * and parses VALUE. Returns false, and leaves @valuep alone, if there is none.
 */
_must_check_ bool file_keyed_u64(const char *text, const char *key, uint64_t *valuep);

#endif
