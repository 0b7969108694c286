/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <base/text.h>
#include <base/why.h>
#include <cli/when.h>

#define SECOND UINT64_C(1000000000)
#define TEXT_MAX 32
#define YEAR_MIN 1970
#define YEAR_MAX 2200

static bool is_digits(const char *text, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (text[i] < '0' || text[i] > '9')
                        return false;
        return true;
}

static int number_of(const char *text, size_t n) {
        int value = 0;

        for (size_t i = 0; i < n; i++)
                value = 10 * value + (text[i] - '0');
        return value;
}

/* False: it is no whole number, or too large for any moment. */
static bool parse_seconds(const char *text, size_t n, uint64_t *valuep) {
        uint64_t value = 0;

        if (n == 0 || n > 12 || !is_digits(text, n))
                return false;
        for (size_t i = 0; i < n; i++)
                value = 10 * value + (uint64_t)(text[i] - '0');
        *valuep = value;
        return true;
}

static bool parse_ago(const char *text, uint64_t now_ns, uint64_t *nsp) {
        static const struct {
                char letter;
                uint64_t seconds;
        } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 7 * 86400}};
        size_t length = strlen(text);
        uint64_t value, ago;

        if (length < 2 || !parse_seconds(text, length - 1, &value))
                return false;
        for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
                if (units[i].letter != text[length - 1])
                        continue;
                if (__builtin_mul_overflow(value, units[i].seconds * SECOND, &ago) || ago > now_ns)
                        ago = now_ns;
                *nsp = now_ns - ago;
                return true;
        }
        return false;
}

/* mktime(3) makes the 2nd of March of a 30th of February: that is nobody's date. */
static bool take_time(const struct tm *asked, bool utc, int offset_s, uint64_t *nsp) {
        struct tm tm = *asked;
        time_t seconds;

        tm.tm_isdst = utc ? 0 : -1;
        seconds = utc ? timegm(&tm) : mktime(&tm);
        if (tm.tm_mday != asked->tm_mday || tm.tm_mon != asked->tm_mon ||
            tm.tm_year != asked->tm_year || seconds - offset_s < 0)
                return false;
        *nsp = (uint64_t)(seconds - offset_s) * SECOND;
        return true;
}

static bool parse_date(const char *text, struct tm *tm) {
        if (!is_digits(text, 4) || text[4] != '-' || !is_digits(text + 5, 2) || text[7] != '-' ||
            !is_digits(text + 8, 2))
                return false;
        *tm = (struct tm){.tm_year = number_of(text, 4) - 1900,
                          .tm_mon = number_of(text + 5, 2) - 1,
                          .tm_mday = number_of(text + 8, 2)};
        return tm->tm_year >= YEAR_MIN - 1900 && tm->tm_year <= YEAR_MAX - 1900;
}

/* "14:30" or "14:30:05"; what is behind it in *restp. */
static bool parse_clock(const char *text, struct tm *tm, const char **restp) {
        if (!is_digits(text, 2) || text[2] != ':' || !is_digits(text + 3, 2))
                return false;
        tm->tm_hour = number_of(text, 2);
        tm->tm_min = number_of(text + 3, 2);
        *restp = text + 5;
        if (text[5] == ':') {
                if (!is_digits(text + 6, 2))
                        return false;
                tm->tm_sec = number_of(text + 6, 2);
                *restp = text + 8;
        }
        return tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec < 60;
}

static bool parse_offset(const char *text, int *offsetp) {
        int minutes;

        if (strcmp(text, "Z") == 0) {
                *offsetp = 0;
                return true;
        }
        if ((*text != '+' && *text != '-') || strlen(text) != 6 || !is_digits(text + 1, 2) ||
            text[3] != ':' || !is_digits(text + 4, 2))
                return false;
        minutes = 60 * number_of(text + 1, 2) + number_of(text + 4, 2);
        *offsetp = 60 * (*text == '-' ? -minutes : minutes);
        return number_of(text + 1, 2) < 24 && number_of(text + 4, 2) < 60;
}

/* A local midnight, @days before the day of @now_ns. */
static bool take_day(uint64_t now_ns, int days, uint64_t *nsp) {
        time_t now = (time_t)(now_ns / SECOND), seconds;
        struct tm tm;

        if (!localtime_r(&now, &tm))
                return false;
        tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
        tm.tm_mday -= days;
        tm.tm_isdst = -1;
        seconds = mktime(&tm);
        *nsp = seconds < 0 ? 0 : (uint64_t)seconds * SECOND;
        return true;
}

/* Padded with NULs, so that no place of a short text is outside it. */
static bool parse(const char text[TEXT_MAX], uint64_t now_ns, uint64_t *nsp) {
        const char *rest = text + 10;
        bool zone = false;
        int offset = 0;
        uint64_t value;
        struct tm tm;

        if (strcmp(text, "now") == 0) {
                *nsp = now_ns;
                return true;
        }
        if (strcmp(text, "today") == 0)
                return take_day(now_ns, 0, nsp);
        if (strcmp(text, "yesterday") == 0)
                return take_day(now_ns, 1, nsp);
        if (*text == '-')
                return parse_ago(text + 1, now_ns, nsp);
        if (*text == '@') {
                if (!parse_seconds(text + 1, strlen(text + 1), &value) ||
                    value > INT64_MAX / SECOND)
                        return false;
                *nsp = value * SECOND;
                return true;
        }
        if (!parse_date(text, &tm))
                return false;
        if (*rest == 'T' || *rest == ' ') {
                if (!parse_clock(rest + 1, &tm, &rest))
                        return false;
                if (*rest) {
                        zone = parse_offset(rest, &offset);
                        rest = zone ? "" : rest;
                }
        }
        return !*rest && take_time(&tm, zone, offset, nsp);
}

int when_parse(const char *text, uint64_t now_ns, uint64_t *nsp, struct why *why) {
        char padded[TEXT_MAX] = {}, safe[64];
        uint64_t ns;

        if (!text_copy(padded, sizeof(padded) - 1, text) || !parse(padded, now_ns, &ns))
                return why_set(why, WHEN_E_INVALID,
                               "'%s' is no time; valid are now, today, yesterday, -7d (s, m, h, d, "
                               "w ago), 2026-11-01, 2026-11-01T14:30:05, with Z or +01:00 behind "
                               "it, and @SECONDS",
                               text_escape(text, safe, sizeof(safe)));
        *nsp = ns;
        return 0;
}
