/* SPDX-License-Identifier: MIT */
/*
 * provium explain: why a VM or a waiting claim is where it is, axis by axis.
 */
#include <string.h>

#include <cli/cli.h>
#include <cli/client.h>
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
                r = print_axes(cli, json_object_get(reply.parameters, "axes"), waits);
        }
        reply_deinit(&reply);
        return r < 0 ? cli_fault(cli, r) : STATUS_OK;
}
