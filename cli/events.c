/* SPDX-License-Identifier: MIT */
/*
 * provium events: what happened, from the broker's ring; with --follow as it happens, over the
 * broker's restarts.
 *
 * Whoever follows has asked to be told whatever comes: so when the broker leaves, its successor is
 * waited for, and asked to go on behind the last number. What was lost in between is a "gap", which
 * the broker tells; that there was something in between is told on the error output.
 */
#include <inttypes.h>
#include <poll.h>
#include <string.h>

#include <base/text.h>
#include <base/units.h>
#include <base/why.h>
#include <cli/cli.h>
#include <cli/client.h>
#include <cli/event_print.h>
#include <cli/human.h>
#include <cli/save.h>
#include <proto/event.h>

#define RETRY_MSEC 200
#define LOST (-1) /* no status: the broker has left, and is waited for */

enum { OPTION_FOLLOW = 1, OPTION_SINCE, OPTION_KIND, OPTION_SAVE };

const struct option_row events_option_rows[] = {
        {OPTION_FOLLOW, "follow", NULL, "print events as they come, from now or from --since on"},
        {OPTION_SINCE, "since", "SEQ", "begin with the event of that number"},
        {OPTION_KIND, "kind", "KIND[,...]", "these kinds only; may be given several times"},
        {OPTION_SAVE, "save-events", "FILE",
         "append them to FILE: JSON lines, or MessagePack if it ends in .msgpack"},
        {},
};

struct session {
        struct cli *cli;
        struct client client;
        bool follow, placed; /* placed: the broker has answered */
        bool left;           /* that it has left was said */
        uint64_t kinds;
        int64_t next; /* since; less than 0: what the broker takes by itself */
        const char *path;
        struct save save;
        struct event_printer printer;
};

static int parse_options(struct words *words, struct session *session) {
        struct cli *cli = session->cli;
        uint64_t since;
        struct why why;
        int option;

        while ((option = words_option(cli, words)) > 0) {
                if (option == OPTION_FOLLOW) {
                        session->follow = true;
                } else if (option == OPTION_SAVE) {
                        session->path = words->value;
                } else if (option == OPTION_KIND) {
                        if (event_kinds_parse(words->value, &session->kinds, &why)) {
                                words->status = cli_misused(cli, "--kind: %s", why.text);
                                return -1;
                        }
                } else if (units_parse_count(words->value, &since, &why) || since > INT64_MAX) {
                        words->status = cli_misused(cli, "--since: give the seq of an event");
                        return -1;
                } else {
                        session->next = (int64_t)since;
                }
        }
        return option ?: words_count(cli, words, 0, 0);
}

/* A person is not told every second that nothing has changed, unless he asks for it. */
static void choose_kinds(struct session *session) {
        if (session->kinds)
                session->kinds |= event_kind_bit(event_kind_find("gap"));
        else if (session->path || session->cli->json)
                session->kinds = EVENT_KINDS_ALL;
        else
                for (const struct event_kind *kind = event_kinds; kind->name; kind++)
                        if (strcmp(kind->name, "pool_state") != 0)
                                session->kinds |= event_kind_bit(kind);
}

static json_t *make_parameters(const struct session *session) {
        json_t *parameters = json_object(), *kinds;

        if (session->next >= 0)
                json_object_set_new(parameters, "since", json_integer(session->next));
        if (session->kinds == EVENT_KINDS_ALL)
                return parameters;
        kinds = json_array();
        for (const struct event_kind *kind = event_kinds; kind->name; kind++)
                if (session->kinds & event_kind_bit(kind))
                        json_array_append_new(kinds, json_string(kind->name));
        json_object_set_new(parameters, "kinds", kinds);
        return parameters;
}

/* A connection that did not come about, or is over. */
static int lost(struct session *session, int answer, const struct why *why) {
        bool denied =
                answer == CLIENT_E_NO_BROKER && (why->errnum == EACCES || why->errnum == EPERM);
        char safe[HUMAN_TEXT_MAX];

        if (!session->placed || !session->follow || denied ||
            (answer != CLIENT_E_GONE && answer != CLIENT_E_NO_BROKER))
                return cli_disconnected(session->cli, answer, why);
        if (!session->left)
                cli_say(session->cli, "the broker has left (%s); waiting for the next one",
                        human_safe(why->text, safe));
        session->left = true;
        client_deinit(&session->client);
        return LOST;
}

static int start(struct session *session) {
        struct why why = {};
        int r;

        r = client_connect(&session->client, session->cli->socket, &why);
        if (!r)
                r = client_call(&session->client, "Events", make_parameters(session),
                                session->follow, NULL, 0, &why);
        if (r < 0)
                return cli_fault(session->cli, r);
        return r ? lost(session, r, &why) : STATUS_OK;
}

/* Prints or saves one. */
static int take_event(struct session *session, const json_t *event) {
        char safe[HUMAN_TEXT_MAX];
        struct why why = {};
        uint64_t seq;
        int r = 0;

        if (session->path)
                r = save_add(&session->save, event, &why);
        if (r < 0)
                return cli_fault(session->cli, r);
        if (r && session->next >= 0)
                return cli_fail(session->cli, STATUS_OUTPUT,
                                "%s; --since %" PRId64 " goes on from here",
                                human_safe(why.text, safe), session->next);
        if (r)
                return cli_fail(session->cli, STATUS_OUTPUT, "%s", human_safe(why.text, safe));
        if (session->cli->json)
                cli_print_json(session->cli, event);
        else if (!session->path)
                event_print(&session->printer, event);
        if (human_number(event, "seq", &seq) && seq < INT64_MAX)
                session->next = (int64_t)seq + 1;
        return STATUS_OK;
}

static int take_reply(struct session *session, const struct reply *reply) {
        const json_t *events = json_object_get(reply->parameters, "events");
        uint64_t next;
        int status = STATUS_OK;

        if (session->left && human_number(reply->parameters, "next", &next))
                cli_say(session->cli, "the broker is there again; going on with event %" PRIu64,
                        next);
        session->placed = true;
        session->left = false;
        for (size_t i = 0; !status && i < json_array_size(events); i++)
                status = take_event(session, json_array_get(events, i));
        /* Behind what is not ours to see, or of no wanted kind, as well. */
        if (!status && human_number(reply->parameters, "next", &next) && next <= INT64_MAX)
                session->next = (int64_t)next;
        fflush(session->cli->out);
        return status;
}

/* One reply; *continuesp: more will come. */
static int step(struct session *session, bool *continuesp) {
        struct reply reply = REPLY_NULL;
        struct why why = {};
        int r, status;

        r = client_wait(&session->client, &reply, &why);
        if (r < 0)
                return cli_fault(session->cli, r);
        if (r)
                return lost(session, r, &why);
        *continuesp = reply.continues;
        status = reply.error ? cli_refused(session->cli, &reply) : take_reply(session, &reply);
        reply_deinit(&reply);
        return status;
}

/* Tells what was taken away from a file that a killed writer had left. */
static void tell_mended(struct session *session, uint64_t *toldp) {
        char safe[HUMAN_TEXT_MAX];

        if (session->save.n_mended > *toldp)
                cli_say(session->cli,
                        "'%s' ended with a part of an event (%" PRIu64 " bytes), which was removed",
                        human_safe(session->path, safe), session->save.n_mended - *toldp);
        *toldp = session->save.n_mended;
}

static int read_events(struct session *session) {
        bool continues = true;
        uint64_t told = 0;
        int status;

        status = start(session);
        while (!status && continues && !ferror(session->cli->out)) {
                status = step(session, &continues);
                tell_mended(session, &told);
                while (status == LOST) {
                        poll(NULL, 0, RETRY_MSEC);
                        status = start(session);
                }
        }
        return status;
}

int command_events(struct cli *cli, struct words *words) {
        struct session session = {
                .cli = cli,
                .client = CLIENT_NULL,
                .next = -1,
                .save = SAVE_NULL,
        };
        char safe[HUMAN_TEXT_MAX];
        struct why why = {};
        int status = STATUS_OK, r;

        if (parse_options(words, &session) < 0)
                return words->status;
        choose_kinds(&session);
        event_printer_init(&session.printer, cli->out);
        r = session.path ? save_open(&session.save, session.path, &why) : 0;
        if (r)
                return r < 0 ? cli_fault(cli, r)
                             : cli_fail(cli, STATUS_OUTPUT, "%s", human_safe(why.text, safe));
        status = read_events(&session);
        client_deinit(&session.client);
        if (save_close(&session.save, &why) && !status)
                status = cli_fail(cli, STATUS_OUTPUT, "%s", human_safe(why.text, safe));
        return status;
}
