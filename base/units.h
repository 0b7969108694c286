/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BASE_UNITS_H
#define PROVIUM_BASE_UNITS_H

/*
 * Numbers with units, as people write them and as we print them.
 *
 * Sizes are bytes (a bare number, or B), K M G T / KiB MiB GiB TiB (1024), or kB MB GB TB (1000).
 * Rates are decimal bits per second (bps kbps Mbps Gbps, bit kbit Mbit Gbit), decimal bytes (B/s
 * kB/s MB/s GB/s) or binary bytes (KiB/s MiB/s GiB/s), and are kept in bytes per second. CPUs are
 * decimals with up to three places, kept in thousandths, and so are ratios. Durations are us ms s
 * m (or min) h d, kept in microseconds. A number is ASCII digits, then at most one point with
 * digits on both sides of it, then the unit without a space; there is no sign and no exponent. A
 * rate or duration needs its unit, except for a plain 0, which is the same in all of them.
 *
 * The arithmetic is exact: a fraction is multiplied out and rounded down once, at the end. What is
 * not zero and would come out as zero is refused like an overflow, because a limit of 0 means
 * something else than a small one. Nothing is guessed: any other text is refused with a sentence
 * that quotes it (escaped and cut) and says what is valid.
 *
 * All parsers leave *valuep untouched unless they return 0; @text is a NUL-terminated string;
 * none depends on the locale. Answers: UNITS_E_INVALID, UNITS_E_RANGE.
 */

#include <base/macro.h>

struct why;

enum {
        _UNITS_E_SUCCESS,
        UNITS_E_INVALID, /* not a number of this kind, or an unknown unit */
        UNITS_E_RANGE,   /* a number of this kind, but above UNITS_VALUE_MAX or below one unit */
};

/* The largest value a parser gives. It fits a JSON integer, and leaves room for the words that
 * callers keep as numbers above it ("infinity", "auto"). */
#define UNITS_VALUE_MAX ((uint64_t)INT64_MAX)
#define UNITS_PLACES_MAX 18 /* digits after the point */

_must_check_ int units_parse_size(const char *text, uint64_t *bytesp, struct why *why);
_must_check_ int units_parse_rate(const char *text, uint64_t *bytes_per_sp, struct why *why);
_must_check_ int units_parse_cpus(const char *text, uint64_t *millip, struct why *why);
_must_check_ int units_parse_ratio(const char *text, uint64_t *millip, struct why *why);
_must_check_ int units_parse_duration(const char *text, uint64_t *usecp, struct why *why);
/* A plain decimal number without unit. */
_must_check_ int units_parse_count(const char *text, uint64_t *countp, struct why *why);
/* "yes" "no" "true" "false" "on" "off" "1" "0". */
_must_check_ int units_parse_bool(const char *text, bool *valuep, struct why *why);

/*
 * Formatters write into @buffer (UNITS_TEXT_MAX is always enough) and return it. They print what a
 * person reads: the largest fitting unit and at most three significant digits after rounding to
 * nearest, but never an integer part cut short ("1.5G", "1023K", "250MB/s"). Seconds, minutes and
 * hours go on until there are two of the next ("90s", "2.5m"). Thousandths are few enough to be
 * exact ("2.5", "12.345"). UINT64_MAX prints as "infinity". Everything else that they
 * print, up to UNITS_VALUE_MAX, the parsers read.
 */
#define UNITS_TEXT_MAX 32
const char *units_format_size(uint64_t bytes, char *buffer, size_t size);
const char *units_format_rate(uint64_t bytes_per_s, char *buffer, size_t size);
const char *units_format_milli(uint64_t milli, char *buffer, size_t size);
const char *units_format_duration(uint64_t usec, char *buffer, size_t size);

/*
 * The same for files and for machines: no rounding, the largest unit that divides the value without
 * a rest ("1536M", "2500MB/s", "90s"), so that the parser gives back the very number.
 */
const char *units_exact_size(uint64_t bytes, char *buffer, size_t size);
const char *units_exact_rate(uint64_t bytes_per_s, char *buffer, size_t size);
const char *units_exact_duration(uint64_t usec, char *buffer, size_t size);

#endif
