/* SPDX-License-Identifier: MIT */

/*
 * One reader and two printers for every kind of number; a kind is a table of units.
 *
 * A text is split into whole digits, digits after the point, and unit. With W the whole part, F the
 * digits after the point as a number, p their count, and the unit's factor f,
 *
 *     value = floor((W x f + F x f / 10^p) / divisor)
 *
 * where the divisor is 8 for rates (their factors are in bits, so that "bps" is a whole one) and 1
 * for everything else. F is below 10^18 and f below 2^44, so both products fit 128 bits and the
 * result is the exact one: no floating point, and so no locale and no NaN either.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <base/text.h>
#include <base/units.h>
#include <base/why.h>

__extension__ typedef unsigned __int128 wide; /* no struct, and only here: products of two u64 */

#define QUOTE_MAX 64 /* characters of a refused text that are shown */

struct unit {
        const char *name;
        uint64_t factor;
};

struct kind {
        const char *what;  /* what it is, for the sentence */
        const char *valid; /* and what it should have looked like */
        const struct unit *units;
        unsigned divisor;
        unsigned places; /* digits allowed after the point */
};

static const struct unit size_units[] = {
        {"", 1},
        {"B", 1},
        {"K", 1ULL << 10},
        {"M", 1ULL << 20},
        {"G", 1ULL << 30},
        {"T", 1ULL << 40},
        {"KiB", 1ULL << 10},
        {"MiB", 1ULL << 20},
        {"GiB", 1ULL << 30},
        {"TiB", 1ULL << 40},
        {"kB", 1000},
        {"MB", 1000000},
        {"GB", 1000000000},
        {"TB", 1000000000000},
        {},
};

static const struct unit rate_units[] = {
        {"bps", 1},
        {"kbps", 1000},
        {"Mbps", 1000000},
        {"Gbps", 1000000000},
        {"bit", 1},
        {"kbit", 1000},
        {"Mbit", 1000000},
        {"Gbit", 1000000000},
        {"B/s", 8},
        {"kB/s", 8000},
        {"MB/s", 8000000},
        {"GB/s", 8000000000},
        {"KiB/s", 8ULL << 10},
        {"MiB/s", 8ULL << 20},
        {"GiB/s", 8ULL << 30},
        {},
};

static const struct unit duration_units[] = {
        {"us", 1},         {"ms", 1000},      {"s", 1000000},     {"m", 60000000},
        {"min", 60000000}, {"h", 3600000000}, {"d", 86400000000}, {},
};

static const struct unit milli_units[] = {{"", 1000}, {}};
static const struct unit count_units[] = {{"", 1}, {}};

static const struct kind kind_size = {
        .what = "a size",
        .valid =
                "bytes, or a number with K M G T or KiB MiB GiB TiB (1024), or kB MB GB TB (1000), "
                "such as 512M or 1.5G",
        .units = size_units,
        .divisor = 1,
        .places = UNITS_PLACES_MAX,
};

static const struct kind kind_rate = {
        .what = "a rate",
        .valid =
                "a number with bps kbps Mbps Gbps or bit kbit Mbit Gbit (bits), B/s kB/s MB/s GB/s "
                "or KiB/s MiB/s GiB/s (bytes), such as 2.5Gbps or 200MB/s",
        .units = rate_units,
        .divisor = 8,
        .places = UNITS_PLACES_MAX,
};

static const struct kind kind_duration = {
        .what = "a duration",
        .valid = "a number with us ms s m h d, such as 500ms or 30s",
        .units = duration_units,
        .divisor = 1,
        .places = UNITS_PLACES_MAX,
};

static const struct kind kind_cpus = {
        .what = "a number of CPUs",
        .valid = "a decimal number with up to three places, such as 2 or 0.5",
        .units = milli_units,
        .divisor = 1,
        .places = 3,
};

static const struct kind kind_ratio = {
        .what = "a ratio",
        .valid = "a decimal number with up to three places, such as 1 or 2.5",
        .units = milli_units,
        .divisor = 1,
        .places = 3,
};

static const struct kind kind_count = {
        .what = "a count",
        .valid = "a whole number without a unit, such as 64",
        .units = count_units,
        .divisor = 1,
        .places = 0,
};

static int refuse(const struct kind *kind, int code, const char *text, const char *reason,
                  struct why *why) {
        char quoted[QUOTE_MAX];

        return why_set(why, code, "\"%s\" %s %s; valid is %s",
                       text_escape(text, quoted, sizeof(quoted)), reason, kind->what, kind->valid);
}

static size_t count_digits(const char *text) {
        size_t n = 0;

        while (text[n] >= '0' && text[n] <= '9')
                n++;
        return n;
}

/* The value of @n digits, or false if it is above UNITS_VALUE_MAX. */
static bool read_digits(const char *digits, size_t n, uint64_t *valuep) {
        uint64_t value = 0;

        for (size_t i = 0; i < n; i++) {
                if (value > UNITS_VALUE_MAX / 10)
                        return false;
                value = value * 10 + (uint64_t)(digits[i] - '0');
        }
        if (value > UNITS_VALUE_MAX)
                return false;
        *valuep = value;
        return true;
}

static const struct unit *find_unit(const struct kind *kind, const char *name) {
        for (const struct unit *unit = kind->units; unit->name; unit++)
                if (strcmp(unit->name, name) == 0)
                        return unit;
        return NULL;
}

static int parse(const struct kind *kind, const char *text, uint64_t *valuep, struct why *why) {
        const char *fraction = "";
        const struct unit *unit;
        uint64_t whole, part, power = 1;
        size_t n_whole, n_fraction = 0;
        const char *end;
        wide value;

        n_whole = count_digits(text);
        end = text + n_whole;
        if (*end == '.') {
                fraction = end + 1;
                n_fraction = count_digits(fraction);
                end = fraction + n_fraction;
                if (n_fraction == 0 || n_fraction > kind->places)
                        return refuse(kind, UNITS_E_INVALID, text, "is not", why);
        }
        if (n_whole == 0)
                return refuse(kind, UNITS_E_INVALID, text, "is not", why);
        if (strcmp(text, "0") == 0) {
                *valuep = 0;
                return 0;
        }
        unit = find_unit(kind, end);
        if (!unit)
                return refuse(kind, UNITS_E_INVALID, text, "is not", why);

        if (!read_digits(text, n_whole, &whole) || !read_digits(fraction, n_fraction, &part))
                return refuse(kind, UNITS_E_RANGE, text, "is too large for", why);
        for (size_t i = 0; i < n_fraction; i++)
                power *= 10;
        value = ((wide)whole * unit->factor + (wide)part * unit->factor / power) / kind->divisor;
        if (value > UNITS_VALUE_MAX)
                return refuse(kind, UNITS_E_RANGE, text, "is too large for", why);
        if (value == 0 && (whole > 0 || part > 0))
                return refuse(kind, UNITS_E_RANGE, text, "is not zero, yet would round to zero as",
                              why);
        *valuep = (uint64_t)value;
        return 0;
}

int units_parse_size(const char *text, uint64_t *bytesp, struct why *why) {
        return parse(&kind_size, text, bytesp, why);
}

int units_parse_rate(const char *text, uint64_t *bytes_per_sp, struct why *why) {
        return parse(&kind_rate, text, bytes_per_sp, why);
}

int units_parse_cpus(const char *text, uint64_t *millip, struct why *why) {
        return parse(&kind_cpus, text, millip, why);
}

int units_parse_ratio(const char *text, uint64_t *millip, struct why *why) {
        return parse(&kind_ratio, text, millip, why);
}

int units_parse_duration(const char *text, uint64_t *usecp, struct why *why) {
        return parse(&kind_duration, text, usecp, why);
}

int units_parse_count(const char *text, uint64_t *countp, struct why *why) {
        return parse(&kind_count, text, countp, why);
}

int units_parse_bool(const char *text, bool *valuep, struct why *why) {
        static const char *const words[][2] = {
                {"no", "yes"}, {"false", "true"}, {"off", "on"}, {"0", "1"}};
        char quoted[QUOTE_MAX];

        for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
                for (size_t j = 0; j < 2; j++) {
                        if (strcmp(text, words[i][j]) == 0) {
                                *valuep = j == 1;
                                return 0;
                        }
                }
        }
        return why_set(
                why, UNITS_E_INVALID,
                "\"%s\" is neither yes nor no; valid is yes, true, on, 1, no, false, off or 0",
                text_escape(text, quoted, sizeof(quoted)));
}

/*
 * @value in @unit with at most three significant digits. Answers false if rounding lifts it to
 * @next, the number of these units that make the next larger one (0: there is none): "1024K".
 */
static bool format_in(uint64_t value, const struct unit *unit, uint64_t next, char *buffer,
                      size_t size) {
        uint64_t whole = value / unit->factor;
        unsigned places = whole < 10 ? 2 : whole < 100 ? 1 : 0;
        unsigned power = places == 2 ? 100 : places == 1 ? 10 : 1;
        wide scaled = ((wide)value * power * 2 + unit->factor) / ((wide)unit->factor * 2);
        unsigned part = (unsigned)(scaled % power);

        whole = (uint64_t)(scaled / power);
        if (next > 0 && whole >= next)
                return false;
        while (places > 0 && part % 10 == 0) {
                part /= 10;
                places--;
        }
        if (places > 0)
                snprintf(buffer, size, "%" PRIu64 ".%0*u%s", whole, (int)places, part, unit->name);
        else
                snprintf(buffer, size, "%" PRIu64 "%s", whole, unit->name);
        return true;
}

/* @units ascend, and each begins at @first times its factor (the first one at 0). */
static const char *format(uint64_t value, const struct unit *units, size_t n, unsigned first,
                          char *buffer, size_t size) {
        if (value == UINT64_MAX) {
                snprintf(buffer, size, "infinity");
                return buffer;
        }
        for (size_t i = n; i-- > 0;) {
                uint64_t next = i + 1 < n ? first * (units[i + 1].factor / units[i].factor) : 0;

                if (i > 0 && value < first * units[i].factor)
                        continue;
                if (!format_in(value, &units[i], next, buffer, size))
                        format_in(value, &units[i + 1], 0, buffer, size);
                break;
        }
        return buffer;
}

static const char *exact(uint64_t value, const struct unit *units, size_t n, char *buffer,
                         size_t size) {
        size_t i = n - 1;

        if (value == UINT64_MAX)
                return format(value, units, n, 1, buffer, size);
        if (value == 0) {
                snprintf(buffer, size, "0");
                return buffer;
        }
        while (i > 0 && value % units[i].factor != 0)
                i--;
        snprintf(buffer, size, "%" PRIu64 "%s", value / units[i].factor, units[i].name);
        return buffer;
}

/* The units we print, ascending, in the unit the value is kept in. */
static const struct unit size_print[] = {
        {"B", 1}, {"K", 1ULL << 10}, {"M", 1ULL << 20}, {"G", 1ULL << 30}, {"T", 1ULL << 40}};
static const struct unit rate_print[] = {
        {"B/s", 1}, {"kB/s", 1000}, {"MB/s", 1000000}, {"GB/s", 1000000000}};
static const struct unit duration_print[] = {{"us", 1},         {"ms", 1000},
                                             {"s", 1000000},    {"m", 60000000},
                                             {"h", 3600000000}, {"d", 86400000000}};

const char *units_format_size(uint64_t bytes, char *buffer, size_t size) {
        return format(bytes, size_print, ARRAY_SIZE(size_print), 1, buffer, size);
}

const char *units_format_rate(uint64_t bytes_per_s, char *buffer, size_t size) {
        return format(bytes_per_s, rate_print, ARRAY_SIZE(rate_print), 1, buffer, size);
}

const char *units_format_milli(uint64_t milli, char *buffer, size_t size) {
        unsigned part = (unsigned)(milli % 1000);
        int places = 3;

        if (milli == UINT64_MAX) {
                snprintf(buffer, size, "infinity");
                return buffer;
        }
        while (places > 0 && part % 10 == 0) {
                part /= 10;
                places--;
        }
        if (places > 0)
                snprintf(buffer, size, "%" PRIu64 ".%0*u", milli / 1000, places, part);
        else
                snprintf(buffer, size, "%" PRIu64, milli / 1000);
        return buffer;
}

const char *units_format_duration(uint64_t usec, char *buffer, size_t size) {
        if (usec == 0) {
                snprintf(buffer, size, "0s");
                return buffer;
        }
        /* us and ms end where the next begins; from seconds on, at two of the next. */
        if (usec < 1000000)
                return format(usec, duration_print, 3, 1, buffer, size);
        return format(usec, duration_print + 2, ARRAY_SIZE(duration_print) - 2, 2, buffer, size);
}

const char *units_exact_size(uint64_t bytes, char *buffer, size_t size) {
        return exact(bytes, size_print, ARRAY_SIZE(size_print), buffer, size);
}

const char *units_exact_rate(uint64_t bytes_per_s, char *buffer, size_t size) {
        return exact(bytes_per_s, rate_print, ARRAY_SIZE(rate_print), buffer, size);
}

const char *units_exact_duration(uint64_t usec, char *buffer, size_t size) {
        return exact(usec, duration_print, ARRAY_SIZE(duration_print), buffer, size);
}
