/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_FRAME_H
#define PROVIUM_CLI_FRAME_H

/*
 * Events as MessagePack: a frame is one map, and frames stand one behind the other, so that any
 * reader of MessagePack streams can take them.
 */

#include <jansson.h>

#include <base/macro.h>

struct why;

#define FRAME_MAX 65536 /* bytes of one */

enum {
        _FRAME_E_SUCCESS,
        FRAME_E_SHORT,   /* it goes on behind these bytes */
        FRAME_E_INVALID, /* no frame begins here, or one that is too long or too deep */
};

/* Could a frame begin with this byte? No text in UTF-8 does. */
bool frame_begins(unsigned char byte);

/* How long the frame is that begins at @bytes. What is inside it is not looked at further: nothing
 * is allocated, however many values it says it has. Answers FRAME_E_SHORT, FRAME_E_INVALID. */
_must_check_ int frame_length(const void *bytes, size_t size, size_t *lengthp);

/* @event as a frame, malloc'd. Answers FRAME_E_INVALID if it is no object, or too long; negative:
 * out of memory. */
_must_check_ int frame_pack(const json_t *event, char **bytesp, size_t *lengthp);

/* The event that is the whole frame at @bytes. Answers FRAME_E_INVALID, with what is not as in an
 * event; negative: out of memory. */
_must_check_ int frame_unpack(const void *bytes, size_t length, json_t **eventp, struct why *why);

#endif
