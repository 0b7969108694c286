/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BASE_UNITS_H
#define PROVIUM_BASE_UNITS_H

/*
 * Numbers with units, as people write them and as we print them.
 *
 * Sizes are bytes, or K M G T / KiB MiB GiB TiB (1024), or kB MB GB TB (1000). Rates are decimal
 * bits per second (bps kbps Mbps Gbps, bit kbit Mbit Gbit), decimal bytes (B/s kB/s MB/s GB/s) or
 * binary bytes (KiB/s MiB/s GiB/s), and are kept in bytes per second. CPUs are decimals with up to
 * three places, kept in thousandths, and so are ratios. Durations are us ms s m h (d), kept in
 * microseconds. Fractions are allowed and must come out whole after rounding down; nothing is
 * guessed: a negative, overflowing, empty or trailing-garbage text is refused with a sentence that
 * quotes it and says what is valid.
 *
 * All parsers leave *valuep untouched unless they return 0; @text is a NUL-terminated string;
 * none depends on the locale. Answers: UNITS_E_INVALID, UNITS_E_RANGE.
 */

#include <base/macro.h>

struct why;

enum {
        _UNITS_E_SUCCESS,
        UNITS_E_INVALID, /* not a number of this kind, or an unknown unit */
        UNITS_E_RANGE,   /* a number of this kind, but larger than we can hold */
};

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
 * person reads: at most three significant digits after rounding to nearest, the largest fitting
 * unit ("1.5G", "250MB/s", "2.5", "90s").
 */
#define UNITS_TEXT_MAX 32
const char *units_format_size(uint64_t bytes, char *buffer, size_t size);
const char *units_format_rate(uint64_t bytes_per_s, char *buffer, size_t size);
const char *units_format_milli(uint64_t milli, char *buffer, size_t size);
const char *units_format_duration(uint64_t usec, char *buffer, size_t size);

#endif
