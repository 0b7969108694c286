/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <base/text.h>
#include <base/units.h>
#include <base/why.h>
#include <cli/trace.h>
#include <cli/trace_csv.h>

#define QUOTED_MAX 80
#define CPUS_MAX (1000 * 1000 * UINT64_C(1000)) /* as in a policy */
#define GPUS_MAX 65536

enum column_type {
        TYPE_SECONDS,
        TYPE_CPUS,
        TYPE_SIZE,
        TYPE_RATE,
        TYPE_COUNT,
        TYPE_PRIORITY,
        TYPE_USER,
        TYPE_SLICE,
};

struct column_row {
        const char *name;
        enum column_type type;
        bool required;
        size_t offset; /* of an uint64_t in the row, but for the last three types */
        uint64_t max;
};

#define AT(member) offsetof(struct row, member)

static const struct column_row columns[] = {
        {"arrival_s", TYPE_SECONDS, true, AT(arrival_usec), TRACE_TIME_MAX_USEC},
        {"duration_s", TYPE_SECONDS, true, AT(duration_usec), TRACE_TIME_MAX_USEC},
        {"cpus", TYPE_CPUS, true, AT(cpu_milli), CPUS_MAX},
        {"memory", TYPE_SIZE, true, AT(memory_bytes), INT64_MAX / 2},
        {"priority", TYPE_PRIORITY, false, AT(priority), TRACE_PRIORITY_MAX},
        {"disk_io", TYPE_RATE, false, AT(disk_io_bytes_per_s), INT64_MAX / 2},
        {"download", TYPE_RATE, false, AT(download_bytes_per_s), INT64_MAX / 2},
        {"upload", TYPE_RATE, false, AT(upload_bytes_per_s), INT64_MAX / 2},
        {"disk", TYPE_SIZE, false, AT(disk_bytes), INT64_MAX / 2},
        {"gpus", TYPE_COUNT, false, AT(gpus), GPUS_MAX},
        {"user", TYPE_USER, false, AT(user), 0},
        {"slice", TYPE_SLICE, false, AT(slice), 0},
};

static bool make_room(struct trace_csv *csv, size_t more) {
        size_t size = csv->size ?: 1024;
        char *text;

        while (size - csv->used < more)
                size *= 2;
        if (size == csv->size)
                return true;
        text = realloc(csv->text, size);
        if (!text)
                return false;
        csv->text = text;
        csv->size = size;
        return true;
}

static void take_field(void *field, size_t length, void *userdata) {
        struct trace_csv *csv = userdata;

        if (csv->n_fields == TRACE_CSV_FIELDS_MAX) {
                csv->too_many = true;
                return;
        }
        if (!make_room(csv, length + 1)) {
                csv->no_memory = true;
                return;
        }
        csv->has_nul |= memchr(field, '\0', length) != NULL;
        csv->fields[csv->n_fields++] = csv->used;
        memcpy(csv->text + csv->used, field, length);
        csv->used += length;
        csv->text[csv->used++] = '\0';
}

static void take_end(int end, void *userdata) {
        struct trace_csv *csv = userdata;

        csv->ended = true;
}

/* The fields of one line. A new line is given to the parser as its end. */
static int split(struct trace_csv *csv, const char *text, struct why *why) {
        size_t length = strlen(text);

        if (!csv->started && csv_init(&csv->parser, CSV_STRICT) != 0)
                return fault(-ENOMEM);
        csv->started = true;
        csv->used = 0;
        csv->n_fields = 0;
        csv->ended = csv->too_many = csv->has_nul = csv->no_memory = false;
        if (csv_parse(&csv->parser, text, length, take_field, take_end, csv) != length ||
            csv_parse(&csv->parser, "\n", 1, take_field, take_end, csv) != 1) {
                if (csv_error(&csv->parser) == CSV_ENOMEM)
                        return fault(-ENOMEM);
                return why_set(why, TRACE_E_INVALID,
                               "a quote stands within a field; write it twice, and the field in "
                               "quotes");
        }
        if (csv->no_memory)
                return fault(-ENOMEM);
        if (!csv->ended)
                return why_set(why, TRACE_E_INVALID, "a quote is opened and not closed");
        if (csv->has_nul)
                return why_set(why, TRACE_E_INVALID, "there is a NUL in this line");
        if (csv->too_many)
                return why_set(why, TRACE_E_INVALID, "there are more than %d fields",
                               TRACE_CSV_FIELDS_MAX);
        return 0;
}

static int read_column(struct trace_csv *csv, const char *name, struct why *why) {
        char quoted[QUOTED_MAX];
        unsigned i = 0;

        while (i < ARRAY_SIZE(columns) && strcmp(columns[i].name, name) != 0)
                i++;
        if (i == ARRAY_SIZE(columns))
                return why_set(why, TRACE_E_INVALID,
                               "unknown column '%s'; the first line names the "
                               "columns: " TRACE_CSV_COLUMNS,
                               text_escape(name, quoted, sizeof(quoted)));
        for (size_t j = 0; j < csv->n_columns; j++)
                if (csv->columns[j] == i)
                        return why_set(why, TRACE_E_INVALID, "column '%s' is there twice", name);
        csv->columns[csv->n_columns++] = i;
        return 0;
}

static int read_header(struct trace_csv *csv, struct why *why) {
        for (size_t i = 0; i < csv->n_fields; i++) {
                int r = read_column(csv, csv->text + csv->fields[i], why);

                if (r)
                        return r;
        }
        for (unsigned i = 0; i < ARRAY_SIZE(columns); i++) {
                bool there = !columns[i].required;

                for (size_t j = 0; j < csv->n_columns; j++)
                        there |= csv->columns[j] == i;
                if (!there)
                        return why_set(why, TRACE_E_INVALID,
                                       "column '%s' is missing; the first line names the "
                                       "columns: " TRACE_CSV_COLUMNS,
                                       columns[i].name);
        }
        csv->headed = true;
        return 0;
}

/* "12.5": a duration of which the unit is said by the column. */
static int parse_seconds(const char *text, uint64_t *usecp, struct why *why) {
        char with_unit[64], quoted[QUOTED_MAX];

        if (strspn(text, "0123456789.") != strlen(text) || strlen(text) + 2 > sizeof(with_unit))
                return why_set(why, TRACE_E_INVALID,
                               "'%s' is no number of seconds; valid are digits with at most one "
                               "point, such as 12.5",
                               text_escape(text, quoted, sizeof(quoted)));
        strcpy(with_unit, text);
        strcat(with_unit, "s");
        return units_parse_duration(with_unit, usecp, why);
}

static int parse_priority(const char *text, int32_t *priorityp, struct why *why) {
        bool below = *text == '-';
        uint64_t number;

        if (units_parse_count(text + below, &number, why) || number > TRACE_PRIORITY_MAX)
                return why_set(why, TRACE_E_INVALID, "give a whole number from -%d to %d",
                               TRACE_PRIORITY_MAX, TRACE_PRIORITY_MAX);
        *priorityp = below ? -(int32_t)number : (int32_t)number;
        return 0;
}

static int parse_user(struct trace *trace, const char *text, uint32_t *placep, struct why *why) {
        if (strlen(text) > TEXT_NAME_MAX || !text_is_printable(text))
                return why_set(why, TRACE_E_INVALID, "a user is at most %d bytes of printable text",
                               TEXT_NAME_MAX);
        return names_find(&trace->users, text, "users", TRACE_USERS_MAX, placep, why);
}

static int parse_slice(struct trace *trace, const char *text, uint32_t *placep, struct why *why) {
        int r = *text ? text_check_slice("name of a slice", text, why) : 0;

        return r ?: names_find(&trace->slices, text, "slices", TRACE_SLICES_MAX, placep, why);
}

static int parse_number(const struct column_row *column, const char *text, uint64_t *valuep,
                        struct why *why) {
        uint64_t value = 0;
        int r = 0;

        switch (column->type) {
        case TYPE_SECONDS:
                r = parse_seconds(text, &value, why);
                break;
        case TYPE_CPUS:
                r = units_parse_cpus(text, &value, why);
                break;
        case TYPE_SIZE:
                r = units_parse_size(text, &value, why);
                break;
        case TYPE_RATE:
                r = units_parse_rate(text, &value, why);
                break;
        case TYPE_COUNT:
                r = units_parse_count(text, &value, why);
                break;
        case TYPE_PRIORITY:
        case TYPE_USER:
        case TYPE_SLICE:
                assert(false);
        }
        if (!r && value > column->max)
                r = why_set(why, TRACE_E_INVALID,
                            column->type == TYPE_SECONDS ? "it is more than 100 years"
                                                         : "it is more than any host has");
        if (!r)
                *valuep = value;
        return r;
}

static int read_field(struct trace *trace, const struct column_row *column, const char *text,
                      struct row *row, struct why *why) {
        void *value = (char *)row + column->offset;

        if (!*text && !column->required)
                return 0;
        switch (column->type) {
        case TYPE_SECONDS:
        case TYPE_CPUS:
        case TYPE_SIZE:
        case TYPE_RATE:
        case TYPE_COUNT:
                break;
        case TYPE_PRIORITY:
                return parse_priority(text, value, why);
        case TYPE_USER:
                return parse_user(trace, text, value, why);
        case TYPE_SLICE:
                return parse_slice(trace, text, value, why);
        }
        return parse_number(column, text, value, why);
}

static int read_row(struct trace_csv *csv, struct trace *trace, uint32_t line, struct why *why) {
        struct row *row;
        int r;

        if (csv->n_fields != csv->n_columns)
                return why_set(why, TRACE_E_INVALID, "there are %zu fields for %zu columns",
                               csv->n_fields, csv->n_columns);
        r = trace_add(trace, &row, why);
        for (size_t i = 0; !r && i < csv->n_fields; i++) {
                const struct column_row *column = &columns[csv->columns[i]];
                struct why field_why = {};

                r = read_field(trace, column, csv->text + csv->fields[i], row, &field_why);
                if (r > 0)
                        r = why_set(why, TRACE_E_INVALID, "%s: %s", column->name, field_why.text);
        }
        if (r)
                return r;
        if (row->cpu_milli == 0 || row->memory_bytes == 0)
                return why_set(why, TRACE_E_INVALID,
                               "a VM needs some CPU and some memory; 0 was asked");
        row->line = line;
        return 0;
}

int trace_csv_line(struct trace_csv *csv, struct trace *trace, const char *text, uint32_t line,
                   struct why *why) {
        int r;

        r = split(csv, text, why);
        if (r)
                return r;
        return csv->headed ? read_row(csv, trace, line, why) : read_header(csv, why);
}

void trace_csv_deinit(struct trace_csv *csv) {
        if (csv->started)
                csv_free(&csv->parser);
        free(csv->text);
        *csv = (struct trace_csv){};
}
