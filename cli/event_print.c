/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <base/units.h>
#include <cli/event_print.h>
#include <cli/human.h>
#include <proto/event.h>

#define SYSLOG_WARNING 4
#define YELLOW "\033[33m"
#define PLAIN "\033[0m"

void event_printer_init(struct event_printer *printer, FILE *file) {
        const char *term = getenv("TERM");

        *printer = (struct event_printer){.file = file};
        printer->colours = fileno(file) >= 0 && isatty(fileno(file)) && !getenv("NO_COLOR") &&
                           term && strcmp(term, "dumb") != 0;
}

/* "cpu:1,memory:512M": what of a charge is not nothing. */
static bool print_demand(FILE *file, const json_t *value) {
        bool first = true;

        if (!json_is_object(value))
                return false;
        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                char text[UNITS_TEXT_MAX];
                uint64_t amount;

                if (!human_number(value, resource_name(i), &amount) || amount == 0)
                        continue;
                fprintf(file, "%s%s:%s", first ? "" : ",", resource_name(i),
                        human_amount(value, resource_name(i), i, text, sizeof(text)));
                first = false;
        }
        if (first)
                fputc('-', file);
        return true;
}

static void print_value(FILE *file, const char *key, const json_t *value) {
        char safe_key[HUMAN_TEXT_MAX], safe[HUMAN_TEXT_MAX];
        const char *text = json_string_value(value);

        fprintf(file, " %s=", human_safe(key, safe_key));
        if (text) {
                text = human_safe(text, safe);
                fprintf(file, strchr(text, ' ') || !*text ? "\"%s\"" : "%s", text);
        } else if (!print_demand(file, value)) {
                /* JSON as jansson writes it, in ASCII, has no control characters. */
                json_dumpf(value, file, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
        }
}

static void print_day(struct event_printer *printer, uint64_t ns) {
        time_t seconds = (time_t)(ns / 1000000000);
        char text[32];
        struct tm tm;
        int day;

        /* A broker without a clock counts from its boot. */
        if (ns < UINT64_C(1000000000000000000) || !localtime_r(&seconds, &tm))
                return;
        day = tm.tm_year * 366 + tm.tm_yday;
        if (day == printer->day)
                return;
        printer->day = day;
        strftime(text, sizeof(text), "%A, %Y-%m-%d", &tm);
        fprintf(printer->file, "-- %s\n", text);
}

/* Whom it is about; a drift has no name of its own. */
static const char *whose(const json_t *event) {
        static const char *const keys[] = {"name", "vm", "slice", "network"};

        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                if (*human_string(event, keys[i]))
                        return keys[i];
        return "";
}

void event_print(struct event_printer *printer, const json_t *event) {
        static const char *const head[] = {"seq", "ts_ns", "kind"};
        const struct event_kind *kind = event_kind_find(human_string(event, "kind"));
        bool marked = printer->colours && kind && kind->level <= SYSLOG_WARNING;
        const char *key, *subject = whose(event), *name;
        char safe[HUMAN_TEXT_MAX], safe_name[HUMAN_TEXT_MAX], time[64] = "-";
        uint64_t ns;
        json_t *value;

        if (human_number(event, "ts_ns", &ns)) {
                print_day(printer, ns);
                human_time(ns, time, sizeof(time));
        }
        name = human_member(event, subject, safe_name);
        fprintf(printer->file, "%-12s  %s%-15s%s  %-12s", time, marked ? YELLOW : "",
                human_member(event, "kind", safe), marked ? PLAIN : "", *name ? name : "-");
        json_object_foreach((json_t *)event, key, value) {
                size_t i = 0;

                while (i < ARRAY_SIZE(head) && strcmp(head[i], key) != 0)
                        i++;
                if (i == ARRAY_SIZE(head) && strcmp(key, subject) != 0)
                        print_value(printer->file, key, value);
        }
        fputc('\n', printer->file);
}
