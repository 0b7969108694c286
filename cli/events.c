/* SPDX-License-Identifier: MIT */
/*
 * provium events: what happened, from the broker's ring; with --follow as it happens.
 *
 * A line is time, kind, and the other members as the broker ordered them. A reader that is too slow
 * gets a "gap" from the broker instead of what was lost; it is printed like any other event.
 */
#include <string.h>

#include <base/text.h>
#include <base/units.h>
#include <base/why.h>
#include <cli/cli.h>
#include <cli/client.h>
#include <cli/human.h>

enum { OPTION_FOLLOW = 1, OPTION_SINCE };

const struct option_row events_option_rows[] = {
        {OPTION_FOLLOW, "follow", NULL, "print events as they come, from now or from --since on"},
        {OPTION_SINCE, "since", "SEQ", "begin with the event of that number"},
        {},
};

struct events_options {
        bool follow;
        uint64_t since; /* UINT64_MAX: all that the ring holds */
};

static int parse_options(struct cli *cli, struct words *words, struct events_options *options) {
        struct why why;
        int option;

        while ((option = words_option(cli, words)) > 0) {
                if (option == OPTION_FOLLOW)
                        options->follow = true;
                else if (units_parse_count(words->value, &options->since, &why) ||
                         options->since > INT64_MAX) {
                        words->status = cli_misused(cli, "--since: give the seq of an event");
                        return -1;
                }
        }
        return option ?: words_count(cli, words, 0, 0);
}

static void print_value(FILE *file, const char *key, const json_t *value) {
        char safe_key[HUMAN_TEXT_MAX], safe[HUMAN_TEXT_MAX];
        const char *text = json_string_value(value);

        fprintf(file, " %s=", human_safe(key, safe_key));
        if (text) {
                text = human_safe(text, safe);
                fprintf(file, strchr(text, ' ') ? "\"%s\"" : "%s", text);
        } else {
                /* JSON as jansson writes it, in ASCII, has no control characters. */
                json_dumpf(value, file, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
        }
}

static void print_event(FILE *file, const json_t *event) {
        static const char *const head[] = {"seq", "ts_ns", "kind"};
        char safe[HUMAN_TEXT_MAX], time[64] = "-";
        const char *key;
        uint64_t ns;
        json_t *value;

        if (human_number(event, "ts_ns", &ns))
                human_time(ns, time, sizeof(time));
        fprintf(file, "%s %-16s", time, human_member(event, "kind", safe));
        json_object_foreach ((json_t *)event, key, value) {
                size_t i = 0;

                while (i < ARRAY_SIZE(head) && strcmp(head[i], key) != 0)
                        i++;
                if (i == ARRAY_SIZE(head))
                        print_value(file, key, value);
        }
        fputc('\n', file);
}

static void print_events(struct cli *cli, const json_t *events) {
        for (size_t i = 0; i < json_array_size(events); i++) {
                if (cli->json)
                        cli_print_json(cli, json_array_get(events, i));
                else
                        print_event(cli->out, json_array_get(events, i));
        }
        fflush(cli->out);
}

int command_events(struct cli *cli, struct words *words) {
        _cleanup_(client_deinitp) struct client client = CLIENT_NULL;
        struct events_options options = {.since = UINT64_MAX};
        json_t *parameters;
        bool continues = true;
        int status;

        if (parse_options(cli, words, &options) < 0)
                return words->status;
        parameters = options.since == UINT64_MAX
                             ? json_object()
                             : json_pack("{sI}", "since", (json_int_t)options.since);
        status = cli_start(cli, &client, "Events", parameters, options.follow);
        while (!status && continues && !ferror(cli->out)) {
                struct reply reply = REPLY_NULL;

                status = cli_next_reply(cli, &client, &reply);
                if (status)
                        break;
                continues = reply.continues;
                print_events(cli, json_object_get(reply.parameters, "events"));
                reply_deinit(&reply);
        }
        return status;
}
