/* SPDX-License-Identifier: MIT */
/*
 * provium explain: why a VM or a waiting claim is where it is, axis by axis, who holds what it
 * waits for, and until when. A dry run tells the same of a claim that is not made.
 */
#include <inttypes.h>
#include <string.h>

#include <base/units.h>
#include <cli/cli.h>
#include <cli/client.h>
#include <cli/explain.h>
#include <cli/human.h>
#include <cli/table.h>

static const struct column columns[] = {
        {"RESOURCE", false, false}, {"REQUESTED", true, false}, {"AVAILABLE", true, false},
        {"ALLOCATED", true, false}, {"LIMIT", true, false},     {"NOTE", false, true},
};

/* What is special about an axis. */
static const char *note_of(const json_t *axis, bool waits) {
        uint64_t requested, available;

        if (json_is_false(json_object_get(axis, "enforced")))
                return "counted, not enforced";
        if (waits && human_number(axis, "requested", &requested) &&
            human_number(axis, "available", &available) && requested > available)
                return "does not fit";
        return "";
}

static void add_axis(struct table *table, const json_t *axis, bool waits) {
        static const char *const keys[] = {"requested", "available", "allocated",
                                           "effective_limit"};
        const char *name = human_string(axis, "resource");
        char safe[HUMAN_TEXT_MAX], text[64];
        enum resource resource;
        bool known = resource_from_name(name, &resource);

        table_add(table, human_safe(name, safe));
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                table_add(table,
                          known ? human_amount(axis, keys[i], resource, text, sizeof(text)) : "-");
        table_add(table, note_of(axis, waits));
}

static int print_axes(struct cli *cli, const json_t *axes, bool waits) {
        _cleanup_(table_deinit) struct table table = {};

        if (json_array_size(axes) == 0)
                return 0;
        table_init(&table, columns, ARRAY_SIZE(columns));
        for (size_t i = 0; i < json_array_size(axes); i++)
                add_axis(&table, json_array_get(axes, i), waits);
        return table_print(&table, cli->out, table_terminal_width(cli->out));
}

/* What one axis comes to, with the numbers it comes from. */
static void print_arithmetic(struct cli *cli, const json_t *axes, const char *resource) {
        char safe[HUMAN_TEXT_MAX];

        for (size_t i = 0; i < json_array_size(axes); i++) {
                const json_t *axis = json_array_get(axes, i);

                if (strcmp(human_string(axis, "resource"), resource) == 0 &&
                    *human_string(axis, "arithmetic"))
                        fprintf(cli->out, "%s: %s\n", resource,
                                human_member(axis, "arithmetic", safe));
        }
}

/* "in 5m", "late by 2m", or "?": it did not say. */
static const char *leaves(const json_t *holder, char *text, size_t size) {
        uint64_t until, now = cli_now_usec();
        char rest[UNITS_TEXT_MAX];

        if (!human_number(holder, "until_usec", &until) || until == 0)
                return "?";
        units_format_duration((until > now ? until - now : now - until) / 1000000 * 1000000, rest,
                              sizeof(rest));
        snprintf(text, size, "%s %s", until > now ? "in" : "late by", rest);
        return text;
}

static const struct column holder_columns[] = {
        {"HELD BY", false, true},
        {"SLICE", false, true},
        {"AMOUNT", true, false},
        {"LEAVES", false, false},
};

static int print_holders(struct cli *cli, const json_t *object, const char *name) {
        const json_t *holders = json_object_get(object, "holders");
        const json_t *others = json_object_get(object, "others");
        _cleanup_(table_deinit) struct table table = {};
        char safe[HUMAN_TEXT_MAX], text[64];
        enum resource resource;
        bool known = resource_from_name(name, &resource);
        uint64_t number;

        table_init(&table, holder_columns, ARRAY_SIZE(holder_columns));
        for (size_t i = 0; i < json_array_size(holders); i++) {
                const json_t *holder = json_array_get(holders, i);

                table_add(&table, human_member(holder, "vm", safe));
                table_add(&table, human_member(holder, "slice", safe));
                table_add(&table,
                          known ? human_amount(holder, "amount", resource, text, sizeof(text))
                                : "1");
                table_add(&table, leaves(holder, text, sizeof(text)));
        }
        if (human_number(others, "vms", &number) && number > 0) {
                snprintf(safe, sizeof(safe), "%" PRIu64 " %s", number,
                         number == 1 ? "other" : "others");
                table_add(&table, safe);
                table_add(&table, "");
                table_add(&table,
                          known ? human_amount(others, "amount", resource, text, sizeof(text))
                                : "");
                table_add(&table, "");
        }
        return table_print(&table, cli->out, table_terminal_width(cli->out));
}

int explain_print(struct cli *cli, const json_t *object, bool waits) {
        const json_t *axes = json_object_get(object, "axes");
        const char *name = human_string(object, "short_of");
        char safe[HUMAN_TEXT_MAX];
        uint64_t position, waiting;
        int r;

        r = print_axes(cli, axes, waits);
        if (r == 0 && *name) {
                enum resource resource;

                if (resource_from_name(name, &resource))
                        print_arithmetic(cli, axes, resource_name(resource));
                r = print_holders(cli, object, name);
        }
        if (human_number(object, "position", &position) &&
            human_number(object, "waiting", &waiting))
                fprintf(cli->out, "place: %" PRIu64 " of %" PRIu64 "\n", position + 1,
                        max_u64(waiting, position + 1));
        if (json_object_get(object, "estimate"))
                fprintf(cli->out, "start: %s\n",
                        human_member(json_object_get(object, "estimate"), "detail", safe));
        return r;
}

int command_explain(struct cli *cli, struct words *words) {
        char verdict[HUMAN_TEXT_MAX], reason[HUMAN_TEXT_MAX], detail[HUMAN_TEXT_MAX];
        struct reply reply = REPLY_NULL;
        int status, r = 0;

        if (words_only(cli, words, 1, 1) < 0)
                return words->status;
        status = cli_ask(cli, "Explain", json_pack("{ss}", "vm", words->argv[0]), &reply);
        if (status)
                return status;

        if (cli->json) {
                cli_print_json(cli, reply.parameters);
        } else {
                bool waits = strcmp(human_string(reply.parameters, "verdict"), "waits") == 0;
                const char *why = human_member(reply.parameters, "reason", reason);
                const char *more = human_member(reply.parameters, "detail", detail);
                bool known = *why && strcmp(why, "none") != 0;

                fprintf(cli->out, "%s%s%s%s%s\n",
                        human_member(reply.parameters, "verdict", verdict), known ? ": " : "",
                        known ? why : "", *more ? ": " : "", more);
                r = explain_print(cli, reply.parameters, waits);
        }
        reply_deinit(&reply);
        return r < 0 ? cli_fault(cli, r) : STATUS_OK;
}
