/* SPDX-License-Identifier: MIT */
/*
 * provium usage: what VMs were sold and have used over time, by slice, user or name.
 *
 * The broker adds up; names of users are looked up here. What is only a lower bound, what still
 * runs, and what was cut at the ends of the time is said beneath the table, for a sum that hides
 * such things is worse than none.
 */
#include <inttypes.h>
#include <pwd.h>
#include <string.h>
#include <time.h>

#include <base/units.h>
#include <base/why.h>
#include <cli/cli.h>
#include <cli/client.h>
#include <cli/human.h>
#include <cli/table.h>
#include <cli/when.h>
#include <proto/request.h>

enum { OPTION_SINCE = 1, OPTION_UNTIL, OPTION_BY };

const struct option_row usage_option_rows[] = {
        {OPTION_SINCE, "since", "WHEN", "from then on: 2026-11-01, yesterday, -7d, ... (all)"},
        {OPTION_UNTIL, "until", "WHEN", "up to then (now)"},
        {OPTION_BY, "by", "WHAT", "a row for each slice, user or vm (slice)"},
        {},
};

#define HOUR 3600.0
#define GIB (1024.0 * 1024 * 1024)

/* Behind the name, in all tables. */
static const struct column figure_columns[] = {
        {"VMS", true, false},     {"HOURS", true, false},     {"CPU-HOURS", true, false},
        {"CLAIMED", true, false}, {"GIB-HOURS", true, false}, {"PEAK", true, false},
        {"READ", true, false},    {"WRITTEN", true, false},   {"DOWN", true, false},
        {"UP", true, false},
};
static const struct column name_columns[_USAGE_BY_N][3] = {
        [USAGE_BY_ALL] = {{"", false, false}},
        [USAGE_BY_SLICE] = {{"SLICE", false, true}},
        [USAGE_BY_USER] = {{"USER", false, true}},
        [USAGE_BY_VM] = {{"VM", false, true}, {"SLICE", false, true}, {"USER", false, true}},
};

static size_t count_names(enum usage_by by) {
        return by == USAGE_BY_VM ? 3 : 1;
}

/* ---- asking ---- */

static uint64_t now_ns(void) {
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int parse_by(struct cli *cli, const char *text, enum usage_by *byp) {
        for (enum usage_by by = USAGE_BY_SLICE; by < _USAGE_BY_N; by++)
                if (strcmp(text, usage_by_name(by)) == 0) {
                        *byp = by;
                        return 0;
                }
        return cli_misused(cli, "--by takes slice, user or vm");
}

static int parse_when(struct cli *cli, const char *option, const char *text, uint64_t now,
                      uint64_t *nsp) {
        struct why why = {};

        return when_parse(text, now, nsp, &why) ? cli_misused(cli, "--%s: %s", option, why.text)
                                                : 0;
}

static int parse_options(struct cli *cli, struct words *words, struct usage_request *request) {
        uint64_t now = now_ns();
        int option, status = 0;

        while (!status && (option = words_option(cli, words)) > 0) {
                if (option == OPTION_SINCE)
                        status = parse_when(cli, "since", words->value, now, &request->since_ns);
                else if (option == OPTION_UNTIL)
                        status = parse_when(cli, "until", words->value, now, &request->until_ns);
                else
                        status = parse_by(cli, words->value, &request->by);
        }
        if (!status && option == 0 && request->since_ns >= request->until_ns)
                status = cli_misused(cli, "--until is not after --since");
        if (status) {
                words->status = status;
                return -1;
        }
        return option ?: words_count(cli, words, 0, 0);
}

/* ---- printing ---- */

static double real(const json_t *row, const char *key) {
        return json_number_value(json_object_get(row, key));
}

static uint64_t count(const json_t *row, const char *key) {
        uint64_t number = 0;

        return human_number(row, key, &number) ? number : 0;
}

static bool is_least(const json_t *row, const char *what) {
        return count(json_object_get(row, "at_least"), what) > 0;
}

static void add_hours(struct table *table, double hours, bool least) {
        char text[64];

        snprintf(text, sizeof(text), "%.*f%s",
                 hours < 1      ? 4
                 : hours < 1000 ? 2
                                : 0,
                 hours, least ? "+" : "");
        table_add(table, text);
}

static void add_bytes(struct table *table, const json_t *row, const char *key, bool least) {
        char text[64], size[UNITS_TEXT_MAX];

        snprintf(text, sizeof(text), "%s%s", units_format_size(count(row, key), size, sizeof(size)),
                 least ? "+" : "");
        table_add(table, text);
}

static void add_user(struct table *table, const json_t *row) {
        char text[HUMAN_TEXT_MAX], number[24];
        uint64_t uid = count(row, "uid");
        const struct passwd *user = getpwuid((uid_t)uid);

        snprintf(number, sizeof(number), "%" PRIu64, uid);
        table_add(table, user ? human_safe(user->pw_name, text) : number);
}

static void add_member(struct table *table, const json_t *row, const char *key) {
        char text[HUMAN_TEXT_MAX];

        table_add(table, human_member(row, key, text));
}

/* @title instead of names, for sums. */
static void add_names(struct table *table, const json_t *row, enum usage_by by, const char *title) {
        if (title) {
                table_add(table, title);
                for (size_t i = 1; i < count_names(by); i++)
                        table_add(table, "");
                return;
        }
        if (by == USAGE_BY_VM)
                add_member(table, row, "vm");
        if (by == USAGE_BY_VM || by == USAGE_BY_SLICE)
                add_member(table, row, "slice");
        if (by == USAGE_BY_VM || by == USAGE_BY_USER)
                add_user(table, row);
}

static void add_row(struct table *table, const json_t *row, enum usage_by by, const char *title) {
        bool cpu = is_least(row, "cpu"), disk = is_least(row, "disk"),
             network = is_least(row, "network");
        char vms[24];

        add_names(table, row, by, title);
        snprintf(vms, sizeof(vms), "%" PRIu64, count(row, "vms"));
        table_add(table, vms);
        add_hours(table, real(row, "vm_seconds") / HOUR, false);
        add_hours(table, real(row, "cpu_seconds") / HOUR, cpu);
        add_hours(table, real(row, "cpu_claimed_seconds") / HOUR, false);
        add_hours(table, real(row, "memory_claimed_byte_seconds") / GIB / HOUR, false);
        add_bytes(table, row, "memory_peak", false);
        add_bytes(table, row, "read", disk);
        add_bytes(table, row, "write", disk);
        add_bytes(table, row, "download", network);
        add_bytes(table, row, "upload", network);
}

static int by_claim(const void *a, const void *b) {
        double one = real(*(const json_t *const *)a, "cpu_claimed_seconds");
        double other = real(*(const json_t *const *)b, "cpu_claimed_seconds");

        return one < other ? 1 : one > other ? -1 : 0;
}

/* The largest first. */
static int add_rows(struct table *table, const json_t *rows, enum usage_by by) {
        size_t n = json_array_size(rows);
        _cleanup_(freep) const json_t **sorted = calloc(n + 1, sizeof(void *));

        if (!sorted)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                sorted[i] = json_array_get(rows, i);
        qsort(sorted, n, sizeof(void *), by_claim);
        for (size_t i = 0; i < n; i++)
                add_row(table, sorted[i], by, NULL);
        return 0;
}

static const char *format_time(uint64_t ns, char *text, size_t size) {
        time_t seconds = (time_t)(ns / 1000000000);
        struct tm tm;

        if (!localtime_r(&seconds, &tm) || strftime(text, size, "%Y-%m-%d %H:%M:%S", &tm) == 0)
                snprintf(text, size, "?");
        return text;
}

static void print_span(struct cli *cli, const struct usage_request *request, const json_t *reply) {
        uint64_t since = max_u64(request->since_ns, count(reply, "first_ns"));
        char from[64], to[64];

        if (count(reply, "first_ns") == 0)
                return;
        fprintf(cli->out, "from %s to %s\n\n", format_time(since, from, sizeof(from)),
                request->until_ns == REQUEST_DEFAULT
                        ? "now"
                        : format_time(request->until_ns, to, sizeof(to)));
}

static void print_notes(struct cli *cli, const json_t *reply) {
        const json_t *total = json_object_get(reply, "total");
        const struct {
                uint64_t n;
                const char *text;
        } notes[] = {
                {count(total, "running"), "still run, and count up to now"},
                {count(total, "in_part"), "ran only in part within this time: that share of what "
                                          "they used counts, as if evenly"},
        };
        char safe[HUMAN_TEXT_MAX];
        bool any = false;

        for (size_t i = 0; i < ARRAY_SIZE(notes); i++)
                if (notes[i].n > 0) {
                        fprintf(cli->out, "%s%" PRIu64 " of these VMs %s.\n", any ? "" : "\n",
                                notes[i].n, notes[i].text);
                        any = true;
                }
        if (is_least(total, "cpu") || is_least(total, "disk") || is_least(total, "network"))
                fprintf(cli->out, "%s+: at least; not all could be counted.\n", any ? "" : "\n");
        if (count(reply, "lost") > 0)
                cli_say(cli, "%" PRIu64 " VMs that ended are missing: the log could not be written",
                        count(reply, "lost"));
        if (count(reply, "bad_lines") > 0)
                cli_say(cli, "%" PRIu64 " lines of the log make no sense and do not count",
                        count(reply, "bad_lines"));
        if (*human_string(reply, "unread"))
                cli_say(cli, "a part of the log could not be read: %s",
                        human_member(reply, "unread", safe));
}

static int print_table(struct cli *cli, const struct usage_request *request, const json_t *reply) {
        _cleanup_(table_deinit) struct table table = {};
        struct column columns[3 + ARRAY_SIZE(figure_columns)];
        size_t n = count_names(request->by);
        int r;

        memcpy(columns, name_columns[request->by], n * sizeof(*columns));
        memcpy(columns + n, figure_columns, sizeof(figure_columns));
        table_init(&table, columns, n + ARRAY_SIZE(figure_columns));
        r = add_rows(&table, json_object_get(reply, "rows"), request->by);
        if (json_object_get(reply, "others"))
                add_row(&table, json_object_get(reply, "others"), request->by, "(others)");
        add_row(&table, json_object_get(reply, "total"), request->by, "total");
        print_span(cli, request, reply);
        if (r == 0)
                r = table_print(&table, cli->out, table_terminal_width(cli->out));
        if (r < 0)
                return cli_fault(cli, r);
        print_notes(cli, reply);
        return STATUS_OK;
}

int command_usage(struct cli *cli, struct words *words) {
        struct usage_request request = {.until_ns = REQUEST_DEFAULT, .by = USAGE_BY_SLICE};
        struct reply reply = REPLY_NULL;
        int status;

        if (parse_options(cli, words, &request) < 0)
                return words->status;
        status = cli_ask(cli, "Usage", usage_request_format(&request), &reply);
        if (status)
                return status;
        if (cli->json)
                cli_print_json(cli, reply.parameters);
        else
                status = print_table(cli, &request, reply.parameters);
        reply_deinit(&reply);
        return status;
}
