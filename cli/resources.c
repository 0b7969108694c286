/* SPDX-License-Identifier: MIT */
/*
 * provium resources: per resource what the host has and what of it was sold; then each disk's
 * bandwidth, the GPUs, the slices, the queue, and what fills the disk.
 */
#include <inttypes.h>
#include <string.h>

#include <base/units.h>
#include <cli/cli.h>
#include <cli/client.h>
#include <cli/human.h>
#include <cli/table.h>

static const struct column resource_columns[] = {
        {"RESOURCE", false, false}, {"CAPACITY", true, false}, {"RESERVE", true, false},
        {"RATIO", true, false},     {"LIMIT", true, false},    {"ALLOCATED", true, false},
        {"AVAILABLE", true, false}, {"SOURCE", false, true},
};

static const struct column disk_columns[] = {
        {"DISK", false, true},      {"CAPACITY", true, false},  {"LIMIT", true, false},
        {"ALLOCATED", true, false}, {"AVAILABLE", true, false},
};

static const struct column gpu_columns[] = {
        {"GPU", false, false},  {"DRIVER", false, false}, {"GROUP", true, false},
        {"SLOTS", true, false}, {"USED", true, false},    {"DETAIL", false, true},
};

static const struct column slice_columns[] = {
        {"SLICE", false, true},  {"VMS", true, false}, {"CPU", true, false},
        {"MEMORY", true, false}, {"NET", true, false}, {"DISK-IO", true, false},
};

/* What share of the last ten seconds some, and all, of its tasks waited. */
static const struct column pressure_columns[] = {
        {"PRESSURE", false, true},
        {"CPU", true, false},
        {"MEMORY", true, false},
        {"IO", true, false},
};

static void add_amount(struct table *table, const json_t *row, const char *key,
                       enum resource resource) {
        char text[64];

        table_add(table, human_amount(row, key, resource, text, sizeof(text)));
}

/* The ratio comes as 4.0, or as 4000 thousandths under another name. */
static void add_ratio(struct table *table, const json_t *row) {
        const json_t *ratio = json_object_get(row, "oversub_ratio");
        char text[UNITS_TEXT_MAX] = "-";
        double number = json_number_value(ratio);
        uint64_t milli;

        if (human_number(row, "ratio_milli", &milli))
                units_format_milli(milli, text, sizeof(text));
        else if (json_is_number(ratio) && number >= 0 && number < 1e6)
                units_format_milli((uint64_t)(number * 1000 + 0.5), text, sizeof(text));
        table_add(table, text);
}

static void add_resource(struct table *table, const json_t *row, enum resource resource) {
        bool unknown = strcmp(human_string(row, "source"), "unknown") == 0;
        const json_t *known = unknown ? NULL : row; /* a capacity of 0 that means "who knows" */
        char safe[HUMAN_TEXT_MAX], source[HUMAN_TEXT_MAX + 32];

        snprintf(source, sizeof(source), "%s%s", human_member(row, "source", safe),
                 json_is_false(json_object_get(row, "enforced")) ? ", not enforced" : "");
        table_add(table, resource_name(resource));
        add_amount(table, known, "capacity", resource);
        add_amount(table, row, "reserve", resource);
        add_ratio(table, row);
        add_amount(table, known, "effective_limit", resource);
        add_amount(table, row, "allocated", resource);
        add_amount(table, known, "available", resource);
        table_add(table, source);
}

static void add_disk(struct table *table, const json_t *disk) {
        char safe[HUMAN_TEXT_MAX];

        table_add(table, human_member(disk, "disk", safe));
        add_amount(table, disk, "capacity", RESOURCE_DISK_IO);
        add_amount(table, disk, "effective_limit", RESOURCE_DISK_IO);
        add_amount(table, disk, "allocated", RESOURCE_DISK_IO);
        add_amount(table, disk, "available", RESOURCE_DISK_IO);
}

static void add_count(struct table *table, const json_t *row, const char *key) {
        char text[24] = "-";
        uint64_t number;

        if (human_number(row, key, &number))
                snprintf(text, sizeof(text), "%" PRIu64, number);
        table_add(table, text);
}

static void add_gpu(struct table *table, const json_t *gpu) {
        char safe[HUMAN_TEXT_MAX];

        table_add(table, human_member(gpu, "address", safe));
        table_add(table, *human_string(gpu, "driver") ? human_member(gpu, "driver", safe) : "-");
        add_count(table, gpu, "iommu_group");
        add_count(table, gpu, "slots");
        add_count(table, gpu, "used");
        table_add(table, human_member(gpu, "detail", safe));
}

/* "1.5 of 4" for an axis of a slice. */
static void add_share(struct table *table, const json_t *slice, const char *key,
                      enum resource resource) {
        const json_t *sold = json_object_get(slice, "allocated"),
                     *most = json_object_get(slice, "limit");
        char used[64], limit[64], text[160];

        snprintf(text, sizeof(text), "%s", human_amount(sold, key, resource, used, sizeof(used)));
        if (human_number(most, key, &(uint64_t){0}))
                snprintf(text, sizeof(text), "%s of %s",
                         human_amount(sold, key, resource, used, sizeof(used)),
                         human_amount(most, key, resource, limit, sizeof(limit)));
        table_add(table, text);
}

static void add_slice(struct table *table, const json_t *slice) {
        char safe[HUMAN_TEXT_MAX], text[32] = "-";
        uint64_t vms;

        table_add(table, human_member(slice, "name", safe));
        if (human_number(slice, "vms", &vms))
                snprintf(text, sizeof(text), "%" PRIu64, vms);
        table_add(table, text);
        add_share(table, slice, "cpu", RESOURCE_CPU);
        add_share(table, slice, "memory", RESOURCE_MEMORY);
        add_share(table, slice, "network", RESOURCE_NETWORK);
        add_share(table, slice, "disk_io", RESOURCE_DISK_IO);
}

static void add_pressure(struct table *table, const char *name, const json_t *pressure) {
        static const char *const keys[] = {"cpu", "memory", "io"};
        char safe[HUMAN_TEXT_MAX], text[64];

        table_add(table, human_safe(name, safe));
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
                const json_t *row = json_object_get(pressure, keys[i]);
                const json_t *some = json_object_get(row, "some_avg10"),
                             *full = json_object_get(row, "full_avg10");

                if (json_is_number(some) && json_is_number(full))
                        snprintf(text, sizeof(text), "%.4g%% %.4g%%", json_number_value(some),
                                 json_number_value(full));
                else
                        snprintf(text, sizeof(text), "unknown");
                table_add(table, text);
        }
}

/* The host's, then each slice's that has a group. */
static int print_pressure(FILE *file, const json_t *resources) {
        _cleanup_(table_deinit) struct table table = {};
        const json_t *slices = json_object_get(resources, "slices");
        const json_t *gates = json_object_get(resources, "gates");
        const char *state = human_string(gates, "pressure");
        int r;

        if (!json_is_object(json_object_get(resources, "pressure")))
                return 0;
        table_init(&table, pressure_columns, ARRAY_SIZE(pressure_columns));
        add_pressure(&table, "host", json_object_get(resources, "pressure"));
        for (size_t i = 0; i < json_array_size(slices); i++) {
                const json_t *slice = json_array_get(slices, i);
                const json_t *pressure = json_object_get(slice, "pressure");

                if (json_is_object(json_object_get(pressure, "cpu")))
                        add_pressure(&table, human_string(slice, "name"), pressure);
        }
        fputc('\n', file);
        r = table_print(&table, file, table_terminal_width(file));
        if (r == 0 && (strcmp(state, "paused") == 0 || strcmp(state, "one_by_one") == 0))
                fprintf(file, "  VMs are %s\n",
                        *state == 'p' ? "not started until it is lower" : "started one by one");
        if (r == 0 && json_is_true(json_object_get(gates, "draining")))
                fputs("\ndraining: nothing is started until 'provium drain --undo'\n", file);
        return r;
}

/* What is left: objects of plain numbers, printed by their own names. */
static void print_numbers(FILE *file, const char *title, const json_t *object) {
        char safe[HUMAN_TEXT_MAX], text[UNITS_TEXT_MAX];
        const char *key;
        json_t *value;

        if (json_object_size(object) == 0)
                return;
        fprintf(file, "\n%s\n", title);
        json_object_foreach((json_t *)object, key, value) {
                size_t length = strlen(key);
                bool bytes = length > 6 && strcmp(key + length - 6, "_bytes") == 0;
                uint64_t number;

                if (!human_number(object, key, &number))
                        continue;
                if (bytes)
                        units_format_size(number, text, sizeof(text));
                else
                        snprintf(text, sizeof(text), "%" PRIu64, number);
                fprintf(file, "  %-20s %s\n", human_safe(key, safe), text);
        }
}

/* The members of @list as a table of their own, if there are any. */
static int print_list(FILE *file, const json_t *list, const struct column *columns,
                      size_t n_columns, void (*add)(struct table *table, const json_t *row)) {
        _cleanup_(table_deinit) struct table table = {};

        if (json_array_size(list) == 0)
                return 0;
        table_init(&table, columns, n_columns);
        for (size_t i = 0; i < json_array_size(list); i++)
                add(&table, json_array_get(list, i));
        fputc('\n', file);
        return table_print(&table, file, table_terminal_width(file));
}

static int print_resources(struct cli *cli, const json_t *resources) {
        _cleanup_(table_deinit) struct table table = {};
        int r;

        table_init(&table, resource_columns, ARRAY_SIZE(resource_columns));
        for (size_t i = 0; i < _RESOURCE_N; i++) {
                const json_t *row = json_object_get(resources, resource_name((enum resource)i));

                if (json_is_object(row))
                        add_resource(&table, row, (enum resource)i);
        }
        r = table_print(&table, cli->out, table_terminal_width(cli->out));
        if (r == 0)
                r = print_list(cli->out, json_object_get(resources, "disks"), disk_columns,
                               ARRAY_SIZE(disk_columns), add_disk);
        if (r == 0)
                r = print_list(cli->out,
                               json_object_get(json_object_get(resources, "gpu"), "devices"),
                               gpu_columns, ARRAY_SIZE(gpu_columns), add_gpu);
        if (r == 0)
                r = print_list(cli->out, json_object_get(resources, "slices"), slice_columns,
                               ARRAY_SIZE(slice_columns), add_slice);
        if (r == 0)
                r = print_pressure(cli->out, resources);
        if (r < 0)
                return r;
        print_numbers(cli->out, "queue", json_object_get(resources, "queue"));
        print_numbers(cli->out, "disk", json_object_get(resources, "disk_breakdown"));
        return 0;
}

int command_resources(struct cli *cli, struct words *words) {
        struct reply reply = REPLY_NULL;
        const json_t *resources;
        int status, r = 0;

        if (words_only(cli, words, 0, 0) < 0)
                return words->status;
        status = cli_ask(cli, "Resources", NULL, &reply);
        if (status)
                return status;

        resources = json_object_get(reply.parameters, "resources") ?: reply.parameters;
        if (cli->json)
                cli_print_json(cli, resources);
        else
                r = print_resources(cli, resources);
        reply_deinit(&reply);
        return r < 0 ? cli_fault(cli, r) : STATUS_OK;
}
