/* SPDX-License-Identifier: MIT */
/*
 * What provium run tells before the VM has the terminal: on the error output, so that the output is
 * the VM's alone. On a terminal one line is rewritten in place; into a file or a pipe a line goes
 * only when what is waited for changes, not for each place in the queue.
 */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include <base/units.h>
#include <cli/explain.h>
#include <cli/human.h>
#include <cli/run.h>
#include <cli/table.h>

#define CLEAR_LINE "\r\033[K"

void tell_init(struct tell *tell, struct cli *cli) {
        *tell = (struct tell){
                .cli = cli,
                .terminal = isatty(fileno(cli->err)),
                .since_usec = cli_now_usec(),
        };
}

void tell_clear(struct tell *tell) {
        if (tell->shown) {
                fputs(CLEAR_LINE, tell->cli->err);
                fflush(tell->cli->err);
        }
        tell->shown = false;
}

void tell_tick(struct tell *tell) {
        char line[1024], age[UNITS_TEXT_MAX];
        uint64_t seconds = (cli_now_usec() - tell->since_usec) / 1000000;
        size_t width, left;
        const char *end = line;

        if (!tell->terminal || !tell->text[0])
                return;
        units_format_duration(seconds * 1000000, age, sizeof(age));
        snprintf(line, sizeof(line), "provium: waiting %s: %s", age, tell->text);
        /* A line that wraps could not be taken away again. */
        width = table_terminal_width(tell->cli->err);
        for (left = width > 1 ? width - 1 : 79; *end; end++)
                if ((*end & 0xc0) != 0x80 && left-- == 0)
                        break;
        fprintf(tell->cli->err, CLEAR_LINE "%.*s", (int)(end - line), line);
        fflush(tell->cli->err);
        tell->shown = true;
}

/* Takes a new text; on no terminal, prints it if what is waited for (@key) is another than before.
 */
static void set_text(struct tell *tell, const char *key, const char *text) {
        bool same = strcmp(tell->key, key) == 0;

        snprintf(tell->key, sizeof(tell->key), "%s", key);
        snprintf(tell->text, sizeof(tell->text), "%s", text);
        if (tell->terminal)
                tell_tick(tell);
        else if (!same)
                cli_say(tell->cli, "waiting: %s", text);
}

void tell_waiting(struct tell *tell, const json_t *queued) {
        char reason[HUMAN_TEXT_MAX], detail[HUMAN_TEXT_MAX], text[sizeof(tell->text)],
                place[32] = "";
        const char *key = human_member(queued, "reason", reason);
        const char *more = human_member(queued, "detail", detail);
        uint64_t position;

        if (human_number(queued, "position", &position))
                snprintf(place, sizeof(place), ", place %" PRIu64, position + 1);
        snprintf(text, sizeof(text), "%.60s%s%s%.300s", key, place, *more ? ": " : "", more);
        set_text(tell, key, text);
}

void tell_away(struct tell *tell, const char *reason) {
        char text[sizeof(tell->text)];

        snprintf(text, sizeof(text), "the broker is away (%.300s)", reason);
        set_text(tell, "away", text);
}

static void print_row(FILE *file, const char *name, const char *value, const char *beside) {
        fprintf(file, "  %-20s %s%s%s%s\n", name, value, *beside ? "  (" : "", beside,
                *beside ? ")" : "");
}

/* The groups: where they would be, and what is not among the VM's limits. */
static void print_groups(FILE *file, const json_t *objects, const json_t *limits) {
        const json_t *groups = json_object_get(objects, "cgroups");
        char path[HUMAN_TEXT_MAX], name[HUMAN_TEXT_MAX], text[64];
        const char *key;
        json_t *value;

        if (json_array_size(groups) > 0)
                fputs("groups\n", file);
        for (size_t i = 0; i < json_array_size(groups); i++) {
                json_t *group = json_array_get(groups, i);

                fprintf(file, "  %s\n", human_member(group, "path", path));
                json_object_foreach(json_object_get(group, "files"), key, value) {
                        const char *kernel = json_string_value(value) ?: "?";

                        if (!json_equal(value, json_object_get(limits, key)))
                                print_row(file, human_safe(key, name), human_safe(kernel, path),
                                          human_kernel_value(key, kernel, text, sizeof(text)));
                }
        }
}

/* One line for each: its kind, and NAME VALUE of all the rest. */
static void print_links(FILE *file, const json_t *objects) {
        const json_t *links = json_object_get(objects, "links");
        char safe[HUMAN_TEXT_MAX], name[HUMAN_TEXT_MAX];
        const char *key;
        json_t *value;

        if (json_array_size(links) > 0)
                fputs("links\n", file);
        for (size_t i = 0; i < json_array_size(links); i++) {
                json_t *link = json_array_get(links, i);

                fprintf(file, "  %s", human_member(link, "kind", safe));
                json_object_foreach(link, key, value) {
                        if (strcmp(key, "kind") == 0)
                                continue;
                        if (json_is_integer(value))
                                fprintf(file, " %s %" PRId64, human_safe(key, name),
                                        (int64_t)json_integer_value(value));
                        else
                                fprintf(file, " %s %s", human_safe(key, name),
                                        human_safe(json_string_value(value) ?: "?", safe));
                }
                fputc('\n', file);
        }
}

int tell_dry_run(struct cli *cli, const json_t *run) {
        const json_t *charge = json_object_get(run, "charge");
        char verdict[HUMAN_TEXT_MAX], reason[HUMAN_TEXT_MAX], detail[HUMAN_TEXT_MAX], text[64];
        const char *key;
        json_t *value;

        fprintf(cli->out, "%s", human_member(run, "verdict", verdict));
        if (*human_string(run, "reason") && strcmp(human_string(run, "reason"), "none") != 0)
                fprintf(cli->out, ": %s", human_member(run, "reason", reason));
        if (*human_string(run, "detail"))
                fprintf(cli->out, ": %s", human_member(run, "detail", detail));
        fputs("\ncharge\n", cli->out);
        for (size_t i = 0; i < _RESOURCE_N; i++) {
                const char *name = resource_name((enum resource)i);

                if (i == RESOURCE_NETWORK_UPLOAD && !json_object_get(charge, name))
                        continue; /* the link is not full duplex */
                print_row(cli->out, name,
                          human_amount(charge, name, (enum resource)i, text, sizeof(text)), "");
        }
        fputs("limits\n", cli->out);
        json_object_foreach(json_object_get(run, "limits"), key, value) {
                const char *limit = json_string_value(value) ?: "?";

                print_row(cli->out, human_safe(key, reason), human_safe(limit, detail),
                          human_kernel_value(key, limit, text, sizeof(text)));
        }
        print_groups(cli->out, json_object_get(run, "objects"), json_object_get(run, "limits"));
        print_links(cli->out, json_object_get(run, "objects"));
        return json_object_get(run, "axes")
                       ? explain_print(cli, run, strcmp(human_string(run, "verdict"), "start") != 0)
                       : 0;
}
