/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <base/why.h>
#include <cli/human.h>
#include <cli/show.h>
#include <cli/top_link.h>
#include <cli/top_usage.h>
#include <proto/event.h>

#define RETRY_USEC UINT64_C(500000)     /* between two looks for a broker that is gone */
#define PATIENCE_USEC UINT64_C(5000000) /* an answer that takes longer is worth a word */

void top_link_init(struct top_link *link, const char *path, struct top_model *model) {
        *link = (struct top_link){.path = path,
                                  .model = model,
                                  .client = CLIENT_NULL,
                                  .events = CLIENT_NULL,
                                  .details = CLIENT_NULL};
        for (size_t i = 0; i < TOP_KILLS_MAX; i++)
                link->kills[i].client = (struct client)CLIENT_NULL;
}

void top_link_deinit(struct top_link *link) {
        client_deinit(&link->client);
        client_deinit(&link->events);
        client_deinit(&link->details);
        for (size_t i = 0; i < TOP_KILLS_MAX; i++)
                client_deinit(&link->kills[i].client);
        free(link->text);
        link->text = NULL;
}

/* It has left, or does not speak as a broker does. */
static void lose(struct top_link *link, uint64_t now) {
        client_deinit(&link->client);
        client_deinit(&link->events);
        client_deinit(&link->details);
        link->round = TOP_ROUND_NONE;
        if (!link->gone_usec)
                link->gone_usec = now;
        link->retry_usec = now + RETRY_USEC;
}

/* Follows all events that are told on the screen: those once a second for numbers that are on it
 * anyway are not even made, as long as nobody else asks for them. */
static json_t *events_wanted(const struct top_model *model) {
        json_t *kinds = json_array();

        for (const struct event_kind *kind = event_kinds; kind->name; kind++)
                if (strcmp(kind->name, "pool_state") != 0)
                        json_array_append_new(kinds, json_string(kind->name));
        /* At first all that its ring holds, of which the last ones are kept. */
        return json_pack("{sI so}", "since", (json_int_t)model->next_event, "kinds", kinds);
}

/* Connects @client and asks; 0 although nobody is there: it is not connected then. */
static int open_and_ask(struct top_link *link, struct client *client, const char *method,
                        json_t *parameters, bool more) {
        struct why why = {};
        int r;

        r = client_connect(client, link->path, &link->why);
        if (r) {
                json_decref(parameters);
                return r < 0 ? r : 0;
        }
        link->why = (struct why){};
        r = client_call(client, method, parameters, more, NULL, 0, &why);
        return r < 0 ? r : 0;
}

/* ---- rounds ---- */

static int ask(struct top_link *link, enum top_round round, const char *method, bool more,
               uint64_t now) {
        struct why why = {};
        int r;

        link->round = round;
        link->first = true;
        link->asked_usec = now;
        r = client_call(&link->client, method, NULL, more, NULL, 0, &why);
        return r < 0 ? r : 0;
}

int top_link_ask(struct top_link *link, uint64_t now) {
        int r;

        if (link->round != TOP_ROUND_NONE || now < link->retry_usec)
                return 0;
        r = top_model_begin_list(link->model);
        if (r < 0)
                return r;
        if (client_connected(&link->client))
                return ask(link, TOP_ROUND_LIST, "List", true, now);

        link->no_usage = false;
        r = open_and_ask(link, &link->client, "List", NULL, true);
        if (r < 0)
                return r;
        if (!client_connected(&link->client)) {
                lose(link, now);
                return 0;
        }
        link->round = TOP_ROUND_LIST;
        link->asked_usec = now;
        return open_and_ask(link, &link->events, "Events", events_wanted(link->model), true);
}

static int ask_next(struct top_link *link, uint64_t now) {
        if (link->round == TOP_ROUND_LIST && !link->no_usage)
                return ask(link, TOP_ROUND_USAGE, "Stats", true, now);
        if (link->round != TOP_ROUND_RESOURCES)
                return ask(link, TOP_ROUND_RESOURCES, "Resources", false, now);
        link->round = TOP_ROUND_NONE;
        link->rounds++;
        return 0;
}

/* An answer of a round; *endp: the last of its question. */
static int take_reply(struct top_link *link, const struct reply *reply, bool *endp) {
        int r = 0;

        *endp = !reply->continues;
        switch (link->round) {
        case TOP_ROUND_LIST:
                r = top_model_add_list(link->model, reply->parameters);
                return r || !*endp ? r : top_model_end_list(link->model);
        case TOP_ROUND_USAGE:
                if (reply->error)
                        link->no_usage = strstr(reply->error, "MethodNotFound");
                else
                        r = top_usage_take(link->model, reply->parameters, link->first, *endp);
                link->first = false;
                return r;
        case TOP_ROUND_RESOURCES:
                top_model_take_resources(link->model, reply->parameters);
                return 0;
        case TOP_ROUND_NONE:
                break;
        }
        return 0;
}

static int step_round(struct top_link *link, uint64_t now, bool *changedp) {
        while (client_connected(&link->client)) {
                struct reply reply = REPLY_NULL;
                struct why why = {};
                bool end;
                int r;

                r = client_step(&link->client, &reply, &why);
                if (r == CLIENT_E_AGAIN || r < 0)
                        return r < 0 ? r : 0;
                /* What it says to a question that it does not know is an answer; any other error is
                 * none to go on with. */
                if (r || (reply.error && link->round != TOP_ROUND_USAGE)) {
                        reply_deinit(&reply);
                        lose(link, now);
                        *changedp = true;
                        return 0;
                }
                link->heard_usec = now;
                r = take_reply(link, &reply, &end);
                reply_deinit(&reply);
                if (r == 0 && end)
                        r = ask_next(link, now);
                if (r < 0)
                        return r;
                if (link->round == TOP_ROUND_NONE) {
                        link->gone_usec = 0;
                        *changedp = true;
                }
        }
        return 0;
}

static int step_events(struct top_link *link, bool *changedp) {
        while (client_connected(&link->events)) {
                struct reply reply = REPLY_NULL;
                struct why why = {};
                const json_t *list;
                int r;

                r = client_step(&link->events, &reply, &why);
                if (r == CLIENT_E_AGAIN || r < 0)
                        return r < 0 ? r : 0;
                if (r || reply.error || !reply.continues) {
                        reply_deinit(&reply);
                        client_deinit(&link->events);
                        return 0;
                }
                list = json_object_get(reply.parameters, "events");
                for (size_t i = 0; i < json_array_size(list); i++)
                        top_model_add_event(link->model, json_array_get(list, i));
                reply_deinit(&reply);
                *changedp = true;
        }
        return 0;
}

/* ---- details ---- */

int top_link_ask_details(struct top_link *link, const char *id, bool anew) {
        if (anew) {
                free(link->text);
                link->text = NULL;
        } else if (client_connected(&link->details)) {
                return 0; /* it is being asked */
        }
        client_deinit(&link->details);
        return open_and_ask(link, &link->details, "Show", json_pack("{ss}", "vm", id), false);
}

static int keep_details(struct top_link *link, const struct reply *reply) {
        char *text = NULL, safe[HUMAN_TEXT_MAX];
        size_t size = 0;
        FILE *file;

        /* A VM that is over: what was last known of it stays. */
        if (reply->error && link->text)
                return 0;
        file = open_memstream(&text, &size);
        if (!file)
                return fault(-ENOMEM);
        if (reply->error)
                fprintf(file, "%s\n", human_member(reply->parameters, "message", safe));
        else
                show_print(file, reply->parameters);
        if (fclose(file) != 0) {
                free(text);
                return fault(-ENOMEM);
        }
        free(link->text);
        link->text = text;
        return 0;
}

static int step_details(struct top_link *link, bool *changedp) {
        struct reply reply = REPLY_NULL;
        struct why why = {};
        int r;

        if (!client_connected(&link->details))
                return 0;
        r = client_step(&link->details, &reply, &why);
        if (r == CLIENT_E_AGAIN || r < 0)
                return r < 0 ? r : 0;
        client_deinit(&link->details);
        if (r)
                return 0;
        r = keep_details(link, &reply);
        reply_deinit(&reply);
        *changedp = true;
        return r;
}

/* ---- ending VMs ---- */

static void _printf_(3, 4) say(struct top_link *link, uint64_t now, const char *format, ...) {
        va_list args;

        va_start(args, format);
        vsnprintf(link->message, sizeof(link->message), format, args);
        va_end(args);
        link->message_usec = now;
}

int top_link_kill(struct top_link *link, const char *id, const char *name, uint64_t now) {
        struct top_kill *kill = NULL;
        char safe[HUMAN_TEXT_MAX];
        int r;

        for (size_t i = 0; i < TOP_KILLS_MAX && !kill; i++)
                if (!client_connected(&link->kills[i].client))
                        kill = &link->kills[i];
        human_safe(name, safe);
        if (!kill) {
                say(link, now, "%d VMs are being ended already: try again", TOP_KILLS_MAX);
                return 0;
        }
        snprintf(kill->name, sizeof(kill->name), "%s", human_safe(name, safe));
        r = open_and_ask(link, &kill->client, "Kill", json_pack("{ss}", "vm", id), false);
        if (r < 0)
                return r;
        if (client_connected(&kill->client))
                say(link, now, "%s is being ended ...", kill->name);
        else
                say(link, now, "%s was not ended: the broker is gone", kill->name);
        return 0;
}

static int step_kill(struct top_link *link, struct top_kill *kill, uint64_t now, bool *changedp) {
        struct reply reply = REPLY_NULL;
        char safe[HUMAN_TEXT_MAX];
        struct why why = {};
        int r;

        if (!client_connected(&kill->client))
                return 0;
        r = client_step(&kill->client, &reply, &why);
        if (r == CLIENT_E_AGAIN || r < 0)
                return r < 0 ? r : 0;
        if (r)
                say(link, now, "the broker left before %s had ended", kill->name);
        else if (reply.error)
                say(link, now, "%s was not ended: %s", kill->name,
                    human_member(reply.parameters, "message", safe));
        else
                say(link, now, "%s has ended, and what it held is given back", kill->name);
        reply_deinit(&reply);
        client_deinit(&kill->client);
        *changedp = true;
        return top_link_ask(link, now);
}

/* ---- all of them ---- */

int top_link_step(struct top_link *link, uint64_t now, bool *changedp) {
        int r;

        r = step_round(link, now, changedp);
        if (r == 0)
                r = step_events(link, changedp);
        if (r == 0)
                r = step_details(link, changedp);
        for (size_t i = 0; i < TOP_KILLS_MAX && r == 0; i++)
                r = step_kill(link, &link->kills[i], now, changedp);
        return r;
}

static size_t add_poll(const struct client *client, struct pollfd *pollfd) {
        if (!client_connected(client))
                return 0;
        *pollfd = (struct pollfd){client->stream.fd, client_poll_events(client), 0};
        return 1;
}

size_t top_link_poll(const struct top_link *link, struct pollfd pollfds[TOP_POLLS_MAX]) {
        size_t n = 0;

        n += add_poll(&link->client, pollfds + n);
        n += add_poll(&link->events, pollfds + n);
        n += add_poll(&link->details, pollfds + n);
        for (size_t i = 0; i < TOP_KILLS_MAX; i++)
                n += add_poll(&link->kills[i].client, pollfds + n);
        return n;
}

const char *top_link_notice(const struct top_link *link, uint64_t now, char *buffer, size_t size) {
        if (link->gone_usec)
                snprintf(buffer, size, "%s, trying again (%" PRIu64 "s)",
                         link->why.errnum == EACCES ? "this user may not ask the broker"
                                                    : "broker is gone",
                         (now - link->gone_usec) / 1000000);
        else if (link->round != TOP_ROUND_NONE && now > link->asked_usec + PATIENCE_USEC)
                snprintf(buffer, size, "the broker has not answered for %" PRIu64 "s",
                         (now - link->asked_usec) / 1000000);
        else
                return NULL;
        return buffer;
}
