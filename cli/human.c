/* SPDX-License-Identifier: MIT */
/*
 * Everything that came over the wire passes through here before it meets a terminal: a VM's command
 * line or a slice's description may hold escape sequences.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include <base/text.h>
#include <base/units.h>
#include <cli/human.h>

/* Times above this count from the epoch (2001 and later), those below from boot (31 years). */
#define EPOCH_NS UINT64_C(1000000000000000000)

const char *human_string(const json_t *object, const char *key) {
        return json_string_value(json_object_get(object, key)) ?: "";
}

bool human_number(const json_t *object, const char *key, uint64_t *numberp) {
        const json_t *value = json_object_get(object, key);

        if (!json_is_integer(value) || json_integer_value(value) < 0)
                return false;
        *numberp = (uint64_t)json_integer_value(value);
        return true;
}

const char *human_safe(const char *text, char buffer[HUMAN_TEXT_MAX]) {
        return text_is_printable(text) ? text : text_escape(text, buffer, HUMAN_TEXT_MAX);
}

const char *human_member(const json_t *object, const char *key, char buffer[HUMAN_TEXT_MAX]) {
        return human_safe(human_string(object, key), buffer);
}

void human_print_text(FILE *file, const char *text) {
        while (*text) {
                _cleanup_(freep) char *line = strndup(text, strcspn(text, "\n\t"));
                size_t length = line ? strlen(line) : 0;

                /* A line without hazards goes out as it is, any other byte by byte. */
                if (line && text_is_printable(line))
                        fputs(line, file);
                else
                        for (size_t i = 0; i < length; i++)
                                fputc(line[i] >= ' ' && line[i] <= '~' ? line[i] : '?', file);
                text += strcspn(text, "\n\t");
                if (*text)
                        fputc(*text++, file);
        }
}

const char *human_amount(const json_t *object, const char *key, enum resource resource,
                         char *buffer, size_t size) {
        const json_t *value = json_object_get(object, key);
        double real = json_real_value(value);
        uint64_t amount;

        if (human_number(object, key, &amount) && amount == INT64_MAX)
                return "unlimited";
        if (human_number(object, key, &amount))
                return resource_format(resource, amount, buffer, size);
        if (!json_is_real(value) || real < 0 || real > 1e15)
                return "-";
        return resource_format(resource, (uint64_t)(resource == RESOURCE_CPU ? real * 1000 : real),
                               buffer, size);
}

static uint64_t now_ns(clockid_t clock) {
        struct timespec now;

        clock_gettime(clock, &now);
        return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

const char *human_age(const json_t *object, const char *key, char *buffer, size_t size) {
        uint64_t then, now;

        if (!human_number(object, key, &then) || then == 0)
                return "-";
        now = now_ns(then >= EPOCH_NS ? CLOCK_REALTIME : CLOCK_BOOTTIME);
        /* Whole seconds: a list is no stopwatch. */
        return units_format_duration(now > then ? (now - then) / 1000000000 * 1000000 : 0, buffer,
                                     size);
}

const char *human_time(uint64_t ns, char *buffer, size_t size) {
        time_t seconds = (time_t)(ns / 1000000000);
        unsigned milliseconds = (unsigned)(ns / 1000000 % 1000);
        struct tm tm;
        size_t used;

        if (ns < EPOCH_NS || !localtime_r(&seconds, &tm)) {
                snprintf(buffer, size, "%" PRIu64 ".%03us", ns / 1000000000, milliseconds);
                return buffer;
        }
        used = strftime(buffer, size, "%H:%M:%S", &tm);
        snprintf(buffer + used, size - used, ".%03u", milliseconds);
        return buffer;
}

static bool ends_with(const char *text, const char *end) {
        size_t a = strlen(text), b = strlen(end);

        return a >= b && strcmp(text + a - b, end) == 0;
}

/* "200000 100000": quota and period in microseconds. */
static const char *cpu_quota(const char *value, char *buffer, size_t size) {
        uint64_t quota, period;
        char milli[UNITS_TEXT_MAX];

        if (sscanf(value, "%" SCNu64 " %" SCNu64, &quota, &period) != 2 || period == 0 ||
            quota > UINT64_MAX / 1000)
                return "";
        snprintf(buffer, size, "%s CPUs",
                 units_format_milli(quota * 1000 / period, milli, sizeof(milli)));
        return buffer;
}

const char *human_kernel_value(const char *file, const char *value, char *buffer, size_t size) {
        static const char *const sizes[] = {".max",     ".high", ".low", ".min",
                                            ".current", ".peak", "bytes"};
        static const char *const rates[] = {"rate", "ceil", "bytes_per_s"};
        bool memory = strncmp(file, "memory.", 7) == 0;
        uint64_t number;

        if (ends_with(file, "cpu.max"))
                return cpu_quota(value, buffer, size);
        if (units_parse_count(value, &number, NULL))
                return "";
        if (ends_with(file, "_usec"))
                return units_format_duration(number, buffer, size);
        for (size_t i = 0; i < ARRAY_SIZE(rates); i++)
                if (ends_with(file, rates[i]))
                        return units_format_rate(number, buffer, size);
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
                if (ends_with(file, sizes[i]) && (memory || sizes[i][0] != '.'))
                        return units_format_size(number, buffer, size);
        return "";
}
