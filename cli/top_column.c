/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <base/units.h>
#include <base/why.h>
#include <cli/human.h>
#include <cli/top_column.h>

const struct top_column_info top_columns[_TOP_COLUMN_N] = {
        [TOP_NAME] = {"NAME", "name", 11, 25, 0, false},
        [TOP_SLICE] = {"SLICE", "slice", 7, 17, 3, false},
        [TOP_USER] = {"USER", "user", 8, 4, 9, false},
        [TOP_STATE] = {"STATE", "state", 7, 2, 2, false},
        [TOP_CPU] = {"CPU", "cpu", 9, 2, 1, true},
        [TOP_CPU_SHARE] = {"%CPU", "cpu%", 5, 0, 7, true},
        [TOP_CPU_BAR] = {"OF ITS CPUS", NULL, 14, 8, 13, false},
        [TOP_HELD] = {"%HELD", "held", 6, 0, 10, true},
        [TOP_MEMORY] = {"MEMORY", "memory", 11, 0, 1, true},
        [TOP_MEMORY_SHARE] = {"%MEM", "memory%", 5, 0, 8, true},
        [TOP_MEMORY_BAR] = {"OF ITS MEMORY", NULL, 14, 8, 14, false},
        [TOP_DISK_IO] = {"DISK-IO", "disk-io", 11, 0, 4, true},
        [TOP_READ] = {"READ", "read", 6, 1, 11, true},
        [TOP_WRITE] = {"WRITE", "write", 6, 1, 11, true},
        [TOP_NET] = {"NET", "net", 11, 0, 5, true},
        [TOP_DOWN] = {"DOWN", "down", 6, 1, 12, true},
        [TOP_UP] = {"UP", "up", 6, 1, 12, true},
        [TOP_AGE] = {"AGE", "age", 5, 1, 6, true},
        [TOP_PID] = {"PID", "pid", 7, 0, 15, true},
        [TOP_COMMAND] = {"COMMAND", "command", 12, 400, 16, false},
};

int top_column_parse(const char *text, enum top_column *columnp, struct why *why) {
        char all[256] = "", quoted[64];
        size_t used = 0;

        for (int c = 0; c < _TOP_COLUMN_N; c++) {
                const char *name = top_columns[c].name;

                if (name && strcmp(name, text) == 0) {
                        *columnp = (enum top_column)c;
                        return 0;
                }
                if (name && used < sizeof(all))
                        used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s",
                                                 used ? ", " : "", name);
        }
        return why_set(why, TOP_COLUMN_E_UNKNOWN, "'%s' is no column; there are %s",
                       text_escape(text, quoted, sizeof(quoted)), all);
}

enum top_column top_column_step(enum top_column column, int step) {
        int c = (int)column;

        do
                c = (c + step + _TOP_COLUMN_N) % _TOP_COLUMN_N;
        while (!top_columns[c].name);
        return (enum top_column)c;
}

/* ---- text ---- */

const char *top_format_cpu(uint64_t milli, char *buffer, size_t size) {
        if (milli == TOP_UNKNOWN)
                return "-";
        if (milli % 1000 == 0 || milli >= 100000)
                snprintf(buffer, size, "%" PRIu64, (milli + 500) / 1000);
        else if (milli >= 10000)
                snprintf(buffer, size, "%.1f", (double)milli / 1000);
        else
                snprintf(buffer, size, "%.2f", (double)milli / 1000);
        return buffer;
}

const char *top_format_size(uint64_t bytes, char *buffer, size_t size) {
        return bytes == TOP_UNKNOWN ? "-" : units_format_size(bytes, buffer, size);
}

/* "12.5MB/s" as "12.5M"; below 1000 the number alone. */
const char *top_format_rate(uint64_t bytes_per_s, char *buffer, size_t size) {
        char *unit;

        if (bytes_per_s == TOP_UNKNOWN)
                return "-";
        units_format_rate(bytes_per_s, buffer, size);
        unit = strstr(buffer, "B/s");
        if (unit)
                *unit = '\0';
        return buffer;
}

const char *top_format_share(uint64_t permille, char *buffer, size_t size) {
        if (permille == TOP_UNKNOWN)
                return "-";
        snprintf(buffer, size, "%" PRIu64 "%%", (permille + 5) / 10);
        return buffer;
}

typedef const char *(*formatter)(uint64_t amount, char *buffer, size_t size);

/* "0.98/2": used, and of how much; the latter left out where there is no claim. */
static const char *format_of(formatter format, uint64_t used, uint64_t claim, char *buffer) {
        char a[UNITS_TEXT_MAX], b[UNITS_TEXT_MAX];

        if (claim == 0 || claim == TOP_UNKNOWN || claim == (uint64_t)INT64_MAX)
                snprintf(buffer, HUMAN_TEXT_MAX, "%s", format(used, a, sizeof(a)));
        else
                snprintf(buffer, HUMAN_TEXT_MAX, "%s/%s", format(used, a, sizeof(a)),
                         format(claim, b, sizeof(b)));
        return buffer;
}

static uint64_t network_used(const struct top_vm *vm) {
        if (vm->down_bytes_per_s == TOP_UNKNOWN || vm->up_bytes_per_s == TOP_UNKNOWN)
                return top_sum(vm->down_bytes_per_s, vm->up_bytes_per_s);
        return max_u64(vm->down_bytes_per_s, vm->up_bytes_per_s);
}

/* What a column of numbers orders by. */
static uint64_t number_of(enum top_column column, const struct top_vm *vm) {
        switch (column) {
        case TOP_CPU:
                return vm->cpu_milli;
        case TOP_CPU_SHARE:
        case TOP_CPU_BAR:
                return top_share(vm->cpu_milli, vm->claim.cpu_milli);
        case TOP_HELD:
                return vm->held_permille;
        case TOP_MEMORY:
                return vm->memory_bytes;
        case TOP_MEMORY_SHARE:
        case TOP_MEMORY_BAR:
                return top_share(vm->memory_bytes, vm->claim.memory_bytes);
        case TOP_DISK_IO:
                return top_sum(vm->read_bytes_per_s, vm->write_bytes_per_s);
        case TOP_READ:
                return vm->read_bytes_per_s;
        case TOP_WRITE:
                return vm->write_bytes_per_s;
        case TOP_NET:
                return network_used(vm);
        case TOP_DOWN:
                return vm->down_bytes_per_s;
        case TOP_UP:
                return vm->up_bytes_per_s;
        case TOP_AGE:
                return vm->created_ns;
        case TOP_PID:
                return vm->pid ?: TOP_UNKNOWN;
        case TOP_USER:
                return vm->uid;
        case TOP_NAME:
        case TOP_SLICE:
        case TOP_STATE:
        case TOP_COMMAND:
        case _TOP_COLUMN_N:
                break;
        }
        return TOP_UNKNOWN;
}

static const char *text_of(enum top_column column, const struct top_vm *vm) {
        switch (column) {
        case TOP_NAME:
                return vm->name;
        case TOP_SLICE:
                return vm->slice;
        case TOP_STATE:
                return vm->state;
        case TOP_COMMAND:
                return vm->command;
        default:
                return "";
        }
}

static bool is_text(enum top_column column) {
        return column == TOP_NAME || column == TOP_SLICE || column == TOP_STATE ||
               column == TOP_COMMAND;
}

static const char *format_age(const struct top_vm *vm, char *buffer) {
        json_t *object = json_pack("{sI}", "at", (json_int_t)vm->created_ns);
        const char *text = human_age(object, "at", buffer, HUMAN_TEXT_MAX);

        json_decref(object);
        return text;
}

const char *top_column_format(enum top_column column, const struct top_vm *vm, struct users *users,
                              char *buffer) {
        if (is_text(column))
                return human_safe(text_of(column, vm), buffer);
        switch (column) {
        case TOP_USER:
                return users_name(users, vm->uid, buffer);
        case TOP_CPU:
                return format_of(top_format_cpu, vm->cpu_milli, vm->claim.cpu_milli, buffer);
        case TOP_MEMORY:
                return format_of(top_format_size, vm->memory_bytes, vm->claim.memory_bytes, buffer);
        case TOP_DISK_IO:
                return format_of(top_format_rate, number_of(column, vm), vm->claim.disk_io, buffer);
        case TOP_NET:
                return format_of(top_format_rate, number_of(column, vm), vm->claim.network, buffer);
        case TOP_READ:
        case TOP_WRITE:
        case TOP_DOWN:
        case TOP_UP:
                return top_format_rate(number_of(column, vm), buffer, HUMAN_TEXT_MAX);
        case TOP_CPU_SHARE:
        case TOP_MEMORY_SHARE:
        case TOP_HELD:
                return top_format_share(number_of(column, vm), buffer, HUMAN_TEXT_MAX);
        case TOP_AGE:
                return format_age(vm, buffer);
        default:
                if (number_of(column, vm) == TOP_UNKNOWN)
                        return "-";
                snprintf(buffer, HUMAN_TEXT_MAX, "%" PRIu64, number_of(column, vm));
                return buffer;
        }
}

/* ---- order ---- */

int top_column_compare(enum top_column column, bool reverse, const struct top_vm *a,
                       const struct top_vm *b) {
        int order = 0;

        if (is_text(column)) {
                order = strcmp(text_of(column, a), text_of(column, b));
        } else {
                uint64_t x = number_of(column, a), y = number_of(column, b);
                /* A user is a number, but none that is larger; who was made later is younger. */
                bool up = column == TOP_USER || column == TOP_AGE || column == TOP_PID;

                if (x == TOP_UNKNOWN || y == TOP_UNKNOWN)
                        order = reverse ? (y == TOP_UNKNOWN) - (x == TOP_UNKNOWN)
                                        : (x == TOP_UNKNOWN) - (y == TOP_UNKNOWN);
                else if (x != y)
                        order = (x < y) == up ? -1 : 1;
        }
        if (order)
                return reverse ? -order : order;
        order = strcmp(a->name, b->name);
        return order ?: strcmp(a->id, b->id);
}
