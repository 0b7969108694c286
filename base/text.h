/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BASE_TEXT_H
#define PROVIUM_BASE_TEXT_H

/*
 * Names and untrusted text. A name that a user gives to a VM or a slice ends up as a directory in
 * the cgroup tree, beside files such as "memory.max": it is checked here, once, before anything
 * else sees it, and escaped where it is printed.
 */

#include <base/macro.h>

struct why;

#define TEXT_NAME_MAX 63 /* bytes in the name of a VM or slice, without the NUL */

#define TEXT_INTERFACE_MAX 15 /* the same of a network interface */

enum {
        _TEXT_E_SUCCESS,
        TEXT_E_NAME, /* not a valid name */
};

/*
 * A name is 1 to TEXT_NAME_MAX bytes of [A-Za-z0-9._-], starts with a letter or digit, and does not
 * contain "..". Answers TEXT_E_NAME with a sentence that quotes (escaped) what was given; @what
 * says what it names ("VM name", "slice").
 */
_must_check_ int text_check_name(const char *what, const char *name, struct why *why);

#define TEXT_SLICE_DEPTH_MAX 4 /* slices within each other */

/*
 * The same for the name of a slice, which may lie in others: "parent/child", at most
 * TEXT_SLICE_DEPTH_MAX names in TEXT_NAME_MAX bytes together.
 */
_must_check_ int text_check_slice(const char *what, const char *name, struct why *why);

/* The name of the slice that @name lies in into @buffer of TEXT_NAME_MAX + 1 bytes; false if it
 * lies in none. @name is one that text_check_slice() takes. */
bool text_slice_parent(const char *name, char *buffer);

/* The last part of it, which is within @name. */
const char *text_slice_leaf(const char *name);

/*
 * The same for the name of a network interface: what the kernel takes (dev_valid_name), of
 * printable ASCII: 1 to TEXT_INTERFACE_MAX characters without '/', ':' and blanks, not "." or "..".
 * Without ',' too, which separates names in our lists, and without '%', from which the kernel would
 * make up a name.
 */
_must_check_ int text_check_interface(const char *what, const char *text, struct why *why);

/*
 * Copies @text into @buffer (@size bytes, at least 8) in a form safe for terminals and logs:
 * control bytes, quotes, backslashes and invalid UTF-8 become \xNN; what does not fit ends in
 * "...". Returns @buffer.
 */
const char *text_escape(const char *text, char *buffer, size_t size);

/*
 * Whether @text is valid UTF-8 of which text_escape() would find nothing to escape but quotes and
 * backslashes: fit for a description that is stored and shown.
 */
_must_check_ bool text_is_printable(const char *text);

/* Copies @text into @buffer of @size bytes. Returns false, and leaves @buffer alone, if it is
 * longer. */
_must_check_ bool text_copy(char *buffer, size_t size, const char *text);

#endif
