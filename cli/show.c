/* SPDX-License-Identifier: MIT */
/*
 * provium show: one VM, with the limits as the kernel reports them at this moment, so that what was
 * sold can be compared with what is in force.
 */
#include <inttypes.h>
#include <string.h>

#include <base/units.h>
#include <cli/cli.h>
#include <cli/client.h>
#include <cli/console_kept.h>
#include <cli/human.h>
#include <cli/show.h>
#include <proto/request.h>

#define NAME_WIDTH 26 /* "net.0.download_overlimits" is the longest name */

static void print_pair(FILE *file, const char *name, const char *value, const char *beside) {
        fprintf(file, "  %-*s %s", NAME_WIDTH, name, value);
        if (*beside)
                fprintf(file, "  (%s)", beside);
        fputc('\n', file);
}

static void print_nets(FILE *file, const json_t *nets) {
        for (size_t i = 0; i < json_array_size(nets); i++) {
                const json_t *net = json_array_get(nets, i);
                char bridge[HUMAN_TEXT_MAX], tap[HUMAN_TEXT_MAX], mac[HUMAN_TEXT_MAX], name[32];

                snprintf(name, sizeof(name), "net.%zu", i);
                fprintf(file, "  %-*s %s on %s, %s\n", NAME_WIDTH, name,
                        human_member(net, "tap", tap), human_member(net, "bridge", bridge),
                        human_member(net, "mac", mac));
        }
}

static void print_disks(FILE *file, const json_t *disks) {
        for (size_t i = 0; i < json_array_size(disks); i++) {
                const json_t *disk = json_array_get(disks, i);
                char path[HUMAN_TEXT_MAX], below[HUMAN_TEXT_MAX], name[32];

                snprintf(name, sizeof(name), "disk.%zu", i);
                fprintf(file, "  %-*s %s%s%s\n", NAME_WIDTH, name, human_member(disk, "path", path),
                        *human_string(disk, "disk") ? " on " : "",
                        human_member(disk, "disk", below));
        }
}

/* What was promised of its duration: "promised 5m, over in 90s". */
static void print_time(FILE *file, const json_t *vm) {
        char promised[UNITS_TEXT_MAX], rest[UNITS_TEXT_MAX], text[128];
        uint64_t time, until, now = cli_now_usec();
        const char *what = json_is_true(json_object_get(vm, "ends")) ? "at most" : "promised";
        bool late;

        if (!human_number(vm, "time_usec", &time) || !human_number(vm, "until_usec", &until))
                return;
        late = until <= now;
        units_format_duration(time, promised, sizeof(promised));
        units_format_duration((late ? now - until : until - now) / 1000000 * 1000000, rest,
                              sizeof(rest));
        if (until == 0)
                snprintf(text, sizeof(text), "%s %s", what, promised);
        else
                snprintf(text, sizeof(text), "%s %s, %s %s", what, promised,
                         late ? "late by" : "over in", rest);
        print_pair(file, "time", text, "");
}

static void print_gpus(FILE *file, const json_t *gpus) {
        for (size_t i = 0; i < json_array_size(gpus); i++) {
                const json_t *gpu = json_array_get(gpus, i);
                char slot[HUMAN_TEXT_MAX], device[HUMAN_TEXT_MAX], type[HUMAN_TEXT_MAX], name[32];
                bool made = *human_string(gpu, "type");
                uint64_t group;

                snprintf(name, sizeof(name), "gpu.%zu", i);
                fprintf(file, "  %-*s %s", NAME_WIDTH, name, human_member(gpu, "name", slot));
                if (made)
                        fprintf(file, ", %s of %s", human_member(gpu, "type", type),
                                human_member(gpu, "device", device));
                if (human_number(gpu, "group", &group))
                        fprintf(file, ", IOMMU group %" PRIu64, group);
                fputc('\n', file);
        }
}

static void print_console(FILE *file, const json_t *vm) {
        const char *path = human_string(vm, "console");
        char safe[HUMAN_TEXT_MAX];

        if (*path)
                print_pair(file, "console", human_safe(path, safe),
                           console_is_kept(path) ? "" : "nobody keeps it any more");
        else
                print_pair(file, "console", "none", "");
}

static void print_vm(FILE *file, const json_t *vm) {
        static const char *const members[] = {"id",     "slice",   "owner",  "state",
                                              "detail", "command", "cgroup", "qmp"};
        char safe[HUMAN_TEXT_MAX], text[64];
        uint64_t number;

        fprintf(file, "%s\n", human_member(vm, "name", safe));
        for (size_t i = 0; i < ARRAY_SIZE(members); i++)
                if (*human_string(vm, members[i]))
                        print_pair(file, members[i], human_member(vm, members[i], safe), "");
        if (strcmp(human_string(vm, "state"), "waiting") != 0)
                print_console(file, vm);
        if (human_number(vm, "pid", &number) && number > 0) {
                snprintf(text, sizeof(text), "%" PRIu64, number);
                print_pair(file, "pid", text, "");
        }
        if (human_number(vm, "uid", &number)) {
                snprintf(text, sizeof(text), "%" PRIu64, number);
                print_pair(file, "uid", text, "");
        }
        print_pair(file, "age", human_age(vm, "created_ns", text, sizeof(text)), "");
        print_time(file, vm);
        if (json_is_true(json_object_get(vm, "detached")))
                print_pair(file, "detached", "yes", "");
        print_nets(file, json_object_get(vm, "nets"));
        print_disks(file, json_object_get(vm, "disks"));
        print_gpus(file, json_object_get(vm, "gpus"));
}

static void print_charge(FILE *file, const json_t *charge) {
        char text[64];

        fputs("charge\n", file);
        for (size_t i = 0; i < _RESOURCE_N; i++) {
                const char *name = resource_name((enum resource)i);

                if (json_object_get(charge, name))
                        print_pair(file, name,
                                   human_amount(charge, name, (enum resource)i, text, sizeof(text)),
                                   "");
        }
}

/* One line of a flat keyed file ("usage_usec 1500"), below the file's name. */
static void print_keyed(FILE *file, const char *name, const char *line) {
        char safe[HUMAN_TEXT_MAX], key[64], beside[64] = "";
        const char *space = strchr(line, ' '), *meaning = "";

        if (space && (size_t)(space - line) < sizeof(key)) {
                snprintf(key, sizeof(key), "%.*s", (int)(space - line), line);
                meaning = human_kernel_value(key, space + 1, beside, sizeof(beside));
        }
        print_pair(file, name, human_safe(line, safe), meaning);
}

static void print_value(FILE *file, const char *name, const char *text) {
        char safe_name[HUMAN_TEXT_MAX], safe[HUMAN_TEXT_MAX], beside[64];
        const char *shown = human_safe(name, safe_name);

        if (!strchr(text, '\n')) {
                print_pair(file, shown, human_safe(text, safe),
                           human_kernel_value(name, text, beside, sizeof(beside)));
                return;
        }
        for (const char *next; *text; text = next) {
                size_t length = strcspn(text, "\n");
                char line[HUMAN_TEXT_MAX];

                snprintf(line, sizeof(line), "%.*s", (int)min_u64(length, sizeof(line) - 1), text);
                print_keyed(file, shown, line);
                shown = "";
                next = text + length + (text[length] == '\n');
        }
}

static void print_map(FILE *file, const char *title, const json_t *map) {
        const char *key;
        json_t *value;

        if (json_object_size(map) == 0)
                return;
        fprintf(file, "%s\n", title);
        json_object_foreach((json_t *)map, key, value)
                print_value(file, key, json_string_value(value) ?: "?");
}

static void print_notes(FILE *file, const json_t *notes) {
        char safe[HUMAN_TEXT_MAX];

        for (size_t i = 0; i < json_array_size(notes); i++)
                fprintf(file, "note: %s\n",
                        human_safe(json_string_value(json_array_get(notes, i)) ?: "?", safe));
}

void show_print(FILE *file, const json_t *parameters) {
        const json_t *vm = json_object_get(parameters, "vm");

        print_vm(file, vm);
        print_charge(file, json_object_get(vm, "charge"));
        print_map(file, "limits", json_object_get(parameters, "limits"));
        print_map(file, "use", json_object_get(parameters, "stats"));
        print_notes(file, json_object_get(parameters, "notes"));
}

int command_show(struct cli *cli, struct words *words) {
        struct reply reply = REPLY_NULL;
        int status;

        if (words_only(cli, words, 1, 1) < 0)
                return words->status;

        status = cli_ask(cli, "Show", json_pack("{ss}", "vm", words->argv[0]), &reply);
        if (status)
                return status;
        if (cli->json)
                cli_print_json(cli, reply.parameters);
        else
                show_print(cli->out, reply.parameters);
        reply_deinit(&reply);
        return STATUS_OK;
}
