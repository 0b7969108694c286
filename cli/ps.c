/* SPDX-License-Identifier: MIT */
/*
 * provium ps: the VMs in one table, the claims that wait in a second one.
 *
 * The list may come in parts ("more"), since that of a full host is longer than one message; a
 * broker that answers in one is as good.
 */
#include <inttypes.h>

#include <cli/cli.h>
#include <cli/client.h>
#include <cli/human.h>
#include <cli/table.h>

static const struct column vm_columns[] = {
        {"NAME", false, true},    {"SLICE", false, true},  {"STATE", false, false},
        {"CPU", true, false},     {"MEMORY", true, false}, {"NET", true, false},
        {"DISK-IO", true, false}, {"PID", true, false},    {"AGE", true, false},
        {"COMMAND", false, true},
};

static const struct column waiting_columns[] = {
        {"WAITING", false, true}, {"SLICE", false, true},  {"PLACE", true, false},
        {"CPU", true, false},     {"MEMORY", true, false}, {"AGE", true, false},
        {"REASON", false, false}, {"DETAIL", false, true},
};

static void add_member(struct table *table, const json_t *object, const char *key) {
        char safe[HUMAN_TEXT_MAX];

        table_add(table, human_member(object, key, safe));
}

static void add_amount(struct table *table, const json_t *object, const char *key,
                       enum resource resource) {
        char text[64];

        table_add(table, human_amount(json_object_get(object, "charge"), key, resource, text,
                                      sizeof(text)));
}

static void add_number(struct table *table, const json_t *object, const char *key) {
        char text[32] = "-";
        uint64_t number;

        if (human_number(object, key, &number) && number > 0)
                snprintf(text, sizeof(text), "%" PRIu64, number);
        table_add(table, text);
}

/* A position counts the claims before it; people count from 1. */
static void add_place(struct table *table, const json_t *claim) {
        char text[32] = "-";
        uint64_t position;

        if (human_number(claim, "position", &position))
                snprintf(text, sizeof(text), "%" PRIu64, position + 1);
        table_add(table, text);
}

static void add_age(struct table *table, const json_t *object, const char *key) {
        char text[64];

        table_add(table, human_age(object, key, text, sizeof(text)));
}

static void add_vm(struct table *table, const json_t *vm) {
        add_member(table, vm, "name");
        add_member(table, vm, "slice");
        add_member(table, vm, "state");
        add_amount(table, vm, "cpu", RESOURCE_CPU);
        add_amount(table, vm, "memory", RESOURCE_MEMORY);
        add_amount(table, vm, "network", RESOURCE_NETWORK);
        add_amount(table, vm, "disk_io", RESOURCE_DISK_IO);
        add_number(table, vm, "pid");
        add_age(table, vm, "created_ns");
        add_member(table, vm, "command");
}

static void add_waiting(struct table *table, const json_t *claim) {
        add_member(table, claim, *human_string(claim, "name") ? "name" : "ticket_id");
        add_member(table, claim, "slice");
        add_place(table, claim);
        add_amount(table, claim, "cpu", RESOURCE_CPU);
        add_amount(table, claim, "memory", RESOURCE_MEMORY);
        add_age(table, claim, "since_ns");
        add_member(table, claim, "reason");
        add_member(table, claim, "detail");
}

/* One line per VM and per claim, each with a member that says which it is. */
static void print_objects(struct cli *cli, const json_t *parameters) {
        static const char *const lists[][2] = {{"vms", "vm"}, {"waiting", "waiting"}};

        for (size_t l = 0; l < ARRAY_SIZE(lists); l++) {
                const json_t *array = json_object_get(parameters, lists[l][0]);

                for (size_t i = 0; i < json_array_size(array); i++) {
                        json_t *object = json_array_get(array, i);

                        if (json_object_set_new(object, "kind", json_string(lists[l][1])) == 0)
                                cli_print_json(cli, object);
                }
        }
}

static void add_part(struct cli *cli, const json_t *parameters, struct table *vms,
                     struct table *waiting) {
        const json_t *list;

        if (cli->json) {
                print_objects(cli, parameters);
                return;
        }
        /* In the first part only it is news. */
        if (vms->n_cells == 0 && waiting->n_cells == 0 &&
            json_is_true(json_object_get(parameters, "draining")))
                fputs("draining: nothing is started until 'provium drain --undo'\n\n", cli->out);
        list = json_object_get(parameters, "vms");
        for (size_t i = 0; i < json_array_size(list); i++)
                add_vm(vms, json_array_get(list, i));
        list = json_object_get(parameters, "waiting");
        for (size_t i = 0; i < json_array_size(list); i++)
                add_waiting(waiting, json_array_get(list, i));
}

static int collect(struct cli *cli, struct table *vms, struct table *waiting) {
        _cleanup_(client_deinitp) struct client client = CLIENT_NULL;
        bool continues = true;
        int status;

        status = cli_start(cli, &client, "List", NULL, true);
        while (!status && continues) {
                struct reply reply = REPLY_NULL;

                status = cli_next_reply(cli, &client, &reply);
                if (status)
                        break;
                continues = reply.continues;
                add_part(cli, reply.parameters, vms, waiting);
                reply_deinit(&reply);
        }
        return status;
}

int command_ps(struct cli *cli, struct words *words) {
        _cleanup_(table_deinit) struct table vms = {}, waiting = {};
        size_t width = table_terminal_width(cli->out);
        int status, r = 0;

        table_init(&vms, vm_columns, ARRAY_SIZE(vm_columns));
        table_init(&waiting, waiting_columns, ARRAY_SIZE(waiting_columns));
        if (words_only(cli, words, 0, 0) < 0)
                return words->status;

        status = collect(cli, &vms, &waiting);
        if (status || cli->json)
                return status;
        r = table_print(&vms, cli->out, width);
        if (r == 0 && waiting.n_cells > 0) {
                fputc('\n', cli->out);
                r = table_print(&waiting, cli->out, width);
        }
        return r < 0 ? cli_fault(cli, r) : STATUS_OK;
}
