/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <broker/meter.h>
#include <broker/metrics_text.h>

#define NS UINT64_C(1000000000)

void metrics_text_deinit(struct metrics_text *text) {
        free(text->body);
        *text = (struct metrics_text){};
}

static bool room_for(struct metrics_text *text, size_t n) {
        size_t room = text->room ?: 4096;
        char *body;

        if (text->failed)
                return false;
        if (text->room - text->n >= n)
                return true;
        while (room - text->n < n)
                room *= 2;
        body = realloc(text->body, room);
        if (!body) {
                text->failed = true;
                return false;
        }
        text->body = body;
        text->room = room;
        return true;
}

static void put(struct metrics_text *text, const char *bytes, size_t n) {
        if (!room_for(text, n))
                return;
        memcpy(text->body + text->n, bytes, n);
        text->n += n;
}

static void put_string(struct metrics_text *text, const char *string) {
        put(text, string, strlen(string));
}

/* Quicker than printf(3), of which a thousand VMs would need thirty thousand. */
static void put_number(struct metrics_text *text, uint64_t value, uint64_t divisor) {
        char digits[48], *end = digits + sizeof(digits), *at = end;
        uint64_t whole = value / divisor, rest = value % divisor;

        if (rest) {
                for (uint64_t place = divisor; place > 1; place /= 10, rest /= 10)
                        *--at = (char)('0' + rest % 10);
                *--at = '.';
        }
        do {
                *--at = (char)('0' + whole % 10);
                whole /= 10;
        } while (whole);
        put(text, at, (size_t)(end - at));
}

const char *metrics_type_name(enum metrics_type type) {
        switch (type) {
        case METRICS_COUNTER:
                return "counter";
        case METRICS_GAUGE:
                return "gauge";
        case METRICS_HISTOGRAM:
                return "histogram";
        }
        assert(!"a type");
        return "";
}

void metrics_begin(struct metrics_text *text, const struct metrics_family *family) {
        put_string(text, "# HELP ");
        put_string(text, family->name);
        put_string(text, " ");
        put_string(text, family->help);
        put_string(text, "\n# TYPE ");
        put_string(text, family->name);
        put_string(text, " ");
        put_string(text, metrics_type_name(family->type));
        put_string(text, "\n");
}

static void put_sample(struct metrics_text *text, const char *name, const char *suffix,
                       const char *labels, const char *more, uint64_t value, uint64_t divisor) {
        bool has_labels = labels && *labels, has_more = more && *more;

        put_string(text, name);
        put_string(text, suffix);
        if (has_labels || has_more) {
                put_string(text, "{");
                put_string(text, has_labels ? labels : "");
                put_string(text, has_labels && has_more ? "," : "");
                put_string(text, has_more ? more : "");
                put_string(text, "}");
        }
        put_string(text, " ");
        put_number(text, value, divisor);
        put_string(text, "\n");
}

void metrics_sample(struct metrics_text *text, const struct metrics_family *family,
                    const char *labels, uint64_t value, uint64_t divisor) {
        put_sample(text, family->name, "", labels, NULL, value, divisor);
}

void metrics_sample_more(struct metrics_text *text, const struct metrics_family *family,
                         const char *labels, const char *more, uint64_t value, uint64_t divisor) {
        put_sample(text, family->name, "", labels, more, value, divisor);
}

void metrics_histogram(struct metrics_text *text, const struct metrics_family *family,
                       const struct histogram *histogram) {
        uint64_t below = 0;

        for (unsigned i = 0; i <= METER_BOUNDS; i++) {
                char label[48];

                below += histogram->buckets[i];
                if (i == METER_BOUNDS)
                        snprintf(label, sizeof(label), "le=\"+Inf\"");
                else
                        snprintf(label, sizeof(label), "le=\"%g\"",
                                 (double)meter_bounds_ns[i] / (double)NS);
                put_sample(text, family->name, "_bucket", label, NULL, below, 1);
        }
        put_sample(text, family->name, "_sum", NULL, NULL, histogram->sum_ns, NS);
        put_sample(text, family->name, "_count", NULL, NULL, histogram->n, 1);
}

static void append(char *labels, size_t size, size_t *np, const char *bytes) {
        size_t n = strlen(bytes);

        if (*np + n + 2 > size) /* a quote and a NUL always fit */
                return;
        memcpy(labels + *np, bytes, n + 1);
        *np += n;
}

void metrics_label(char *labels, size_t size, const char *name, const char *value) {
        size_t n = strlen(labels);

        append(labels, size, &n, n ? "," : "");
        append(labels, size, &n, name);
        append(labels, size, &n, "=\"");
        for (; *value; value++) {
                const char one[2] = {*value};

                append(labels, size, &n,
                       *value == '\\'   ? "\\\\"
                       : *value == '"'  ? "\\\""
                       : *value == '\n' ? "\\n"
                                        : one);
        }
        if (n + 2 <= size)
                memcpy(labels + n, "\"", 2);
}
