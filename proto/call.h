/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_PROTO_CALL_H
#define PROVIUM_PROTO_CALL_H

/*
 * Varlink calls and replies: {"method","parameters","more","oneway"} one way, {"parameters",
 * "continues","error"} the other. Parsed strictly: unknown members, duplicate names, wrong types
 * and NULs in strings are refused with a sentence.
 */

#include <jansson.h>

#include <base/macro.h>

#define CALL_DEPTH_MAX                                                                             \
        16 /* levels of JSON: jansson recurses, about 100 bytes of stack for each                  \
            */
#define CALL_VALUES_MAX                                                                            \
        4096                /* values in a call: jansson takes up to 350 bytes of heap for each    \
                             */
#define CALL_METHOD_MAX 128 /* characters in the name of a method or error */

struct why;

enum {
        _CALL_E_SUCCESS,
        CALL_E_INVALID, /* not a call, or not a reply */
};

struct call {
        json_t *object;     /* owns all that follows */
        const char *method; /* letters, digits, '.' and '-' only: safe to print */
        json_t *parameters; /* an object, never NULL, borrowed */
        bool more, oneway;
};

#define CALL_NULL                                                                                  \
        {}

/*
 * Parses @length bytes of @text, which need no NUL. @call is written only on success. Answers
 * CALL_E_INVALID with a sentence that quotes nothing unescaped. Negative: out of memory.
 */
_must_check_ int call_parse(struct call *call, const char *text, size_t length, struct why *why);
void call_deinit(struct call *call);

struct reply {
        json_t *object;
        json_t *parameters; /* an object, never NULL, borrowed */
        const char *error;  /* NULL: success */
        bool continues;
};

#define REPLY_NULL                                                                                 \
        {}

/* The same for a reply; any number of values, since the reader chose whom to ask. */
_must_check_ int reply_parse(struct reply *reply, const char *text, size_t length, struct why *why);
void reply_deinit(struct reply *reply);

/*
 * Each takes over the reference to @parameters (NULL: an empty object) and returns a malloc'd text
 * with its length in *lengthp, or NULL when out of memory.
 */
char *call_format(const char *method, json_t *parameters, bool more, size_t *lengthp);
char *reply_format(json_t *parameters, bool continues, size_t *lengthp);
char *error_format(const char *error, json_t *parameters, size_t *lengthp);

#endif
