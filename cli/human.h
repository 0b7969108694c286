/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_HUMAN_H
#define PROVIUM_CLI_HUMAN_H

/*
 * JSON from the broker, made fit for a person's eyes; and tolerant: an absent or odd member is an
 * empty text or no number, never an error, since the broker may be newer or older than we are.
 */

#include <jansson.h>
#include <stdio.h>

#include <base/demand.h>

#define HUMAN_TEXT_MAX 1024

/* The string member @key, "" if there is none. Not yet fit for a terminal. */
const char *human_string(const json_t *object, const char *key);
/* The number member @key. False, and *numberp left alone, if there is none or it is below 0. */
_must_check_ bool human_number(const json_t *object, const char *key, uint64_t *numberp);

/*
 * A text that can go to a terminal: @text itself if it is harmless, else escaped in @buffer of
 * HUMAN_TEXT_MAX bytes.
 */
const char *human_safe(const char *text, char buffer[HUMAN_TEXT_MAX]);
/* human_safe() of a member. */
const char *human_member(const json_t *object, const char *key, char buffer[HUMAN_TEXT_MAX]);
/* Prints a text of several lines; control characters other than newline and tab become '?'. */
void human_print_text(FILE *file, const char *text);

/*
 * An amount of @resource that is the member @key, as text, perhaps in @buffer: "-" if absent.
 * CPUs are thousandths if a whole number, CPUs if a fraction.
 */
const char *human_amount(const json_t *object, const char *key, enum resource resource,
                         char *buffer, size_t size);
/* How long ago a time of the broker's (*_ns: since the epoch, or since boot) was: "5m", or "-". */
const char *human_age(const json_t *object, const char *key, char *buffer, size_t size);
/* A time of the broker's as a clock shows it ("14:03:07.120"), or seconds since boot. */
const char *human_time(uint64_t ns, char *buffer, size_t size);

/*
 * What a kernel file's value means ("memory.max" "1073741824": "1G"; "cpu.max" "200000 100000": "2
 * CPUs"), "" if it says all by itself.
 */
const char *human_kernel_value(const char *file, const char *value, char *buffer, size_t size);

#endif
