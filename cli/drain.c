/* SPDX-License-Identifier: MIT */
/*
 * provium drain: no VM is started on this host any more; with --wait until the last one has ended.
 *
 * The events are listened to before the first count, so that no end is missed between the two; what
 * counts is the broker's own number, asked again after each end.
 */
#include <inttypes.h>
#include <string.h>

#include <cli/cli.h>
#include <cli/client.h>
#include <cli/human.h>

enum { OPTION_UNDO = 1, OPTION_WAIT };

const struct option_row drain_option_rows[] = {
        {OPTION_UNDO, "undo", NULL, "let VMs be started again"},
        {OPTION_WAIT, "wait", NULL, "return when no VM is left"},
        {},
};

static int parse_options(struct cli *cli, struct words *words, bool *undop, bool *waitp) {
        int option;

        while ((option = words_option(cli, words)) > 0)
                *(option == OPTION_UNDO ? undop : waitp) = true;
        if (option == 0 && *undop && *waitp) {
                words->status = cli_misused(cli, "--undo and --wait exclude each other");
                return -1;
        }
        return option ?: words_count(cli, words, 0, 0);
}

static int set(struct cli *cli, bool draining, uint64_t *vmsp) {
        struct reply reply = REPLY_NULL;
        uint64_t waiting = 0;
        int status;

        *vmsp = 0;
        status = cli_ask(cli, "Drain", draining ? NULL : json_pack("{s:b}", "undo", true), &reply);
        if (status)
                return status;
        if (!human_number(reply.parameters, "vms", vmsp) ||
            !human_number(reply.parameters, "waiting", &waiting))
                status = cli_fail(cli, STATUS_BROKER, "the broker does not tell how many VMs run");
        else if (cli->json)
                cli_print_json(cli, reply.parameters);
        else
                fprintf(cli->out, "%s: %" PRIu64 " VMs run, %" PRIu64 " claims wait\n",
                        draining ? "draining" : "not draining", *vmsp, waiting);
        fflush(cli->out);
        reply_deinit(&reply);
        return status;
}

static int count(struct cli *cli, uint64_t *vmsp) {
        struct reply reply = REPLY_NULL;
        const json_t *resources;
        int status;

        status = cli_ask(cli, "Resources", NULL, &reply);
        if (status)
                return status;
        resources = json_object_get(reply.parameters, "resources");
        if (!human_number(json_object_get(resources, "queue"), "vms", vmsp))
                status = cli_fail(cli, STATUS_BROKER, "the broker does not tell how many VMs run");
        reply_deinit(&reply);
        return status;
}

/* The next reply of Events; *endedp: a charge was given back, or news was lost. */
static int next_events(struct cli *cli, struct client *client, bool *endedp) {
        struct reply reply = REPLY_NULL;
        const json_t *events;
        int status;

        *endedp = false;
        status = cli_next_reply(cli, client, &reply);
        if (status)
                return status;
        events = json_object_get(reply.parameters, "events");
        for (size_t i = 0; i < json_array_size(events); i++) {
                const char *kind = human_string(json_array_get(events, i), "kind");

                *endedp |= strcmp(kind, "claim_released") == 0 || strcmp(kind, "gap") == 0;
        }
        reply_deinit(&reply);
        return STATUS_OK;
}

int command_drain(struct cli *cli, struct words *words) {
        _cleanup_(client_deinitp) struct client client = CLIENT_NULL;
        bool undo = false, wait = false, ended;
        uint64_t vms = 0;
        int status = STATUS_OK;

        if (parse_options(cli, words, &undo, &wait) < 0)
                return words->status;
        if (wait)
                status = cli_start(cli, &client, "Events",
                                   json_pack("{s[s]}", "kinds", "claim_released"), true);
        /* The first reply says that we are heard. */
        if (!status && wait)
                status = next_events(cli, &client, &ended);
        if (!status)
                status = set(cli, !undo, &vms);
        while (!status && wait && vms > 0) {
                status = next_events(cli, &client, &ended);
                if (!status && ended)
                        status = count(cli, &vms);
        }
        return status;
}
