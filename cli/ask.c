/* SPDX-License-Identifier: MIT */
/*
 * Questions with one answer, and what each "no" means to whoever called us: the one place where
 * errors of the interface become exit statuses and sentences.
 *
 *   Refused     75  no room now; 77 if its reason says that the policy forbids it
 *   Invalid     64  a value of the request
 *   Denied      77  not this user, or not this slice (and the standard PermissionDenied)
 *   NotFound    66  no such VM, claim or slice
 *   Exists      73  the name is taken
 *   BadPolicy   78  the policy files; the old policy stays
 *   ExecFailed  126 or 127, as the broker says
 *   others      125
 */
#include <string.h>

#include <base/why.h>
#include <cli/cli.h>
#include <cli/client.h>
#include <cli/human.h>
#include <proto/request.h>

static int refused_status(const json_t *parameters) {
        const char *reason = human_string(parameters, "reason");

        if (strcmp(reason, "policy") == 0 || strcmp(reason, "not_allowed") == 0)
                return STATUS_DENIED;
        return STATUS_FULL;
}

static int exec_status(const json_t *parameters) {
        uint64_t status;

        if (!human_number(parameters, "exit_code", &status) || status == 0 || status > 255)
                return STATUS_BROKER;
        return (int)status;
}

static int error_status(const char *name, const json_t *parameters) {
        static const struct {
                const char *name;
                int status;
        } rows[] = {
                {"Invalid", STATUS_USAGE},        {"Denied", STATUS_DENIED},
                {"NotFound", STATUS_NOT_FOUND},   {"Exists", STATUS_EXISTS},
                {"BadPolicy", STATUS_BAD_POLICY}, {"PermissionDenied", STATUS_DENIED},
        };

        if (strcmp(name, "Refused") == 0)
                return refused_status(parameters);
        if (strcmp(name, "ExecFailed") == 0)
                return exec_status(parameters);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                if (strcmp(name, rows[i].name) == 0)
                        return rows[i].status;
        return STATUS_BROKER;
}

static void tell_errors(struct cli *cli, const json_t *parameters) {
        const json_t *errors = json_object_get(parameters, "errors");
        char safe[HUMAN_TEXT_MAX];

        for (size_t i = 0; i < json_array_size(errors); i++)
                fprintf(cli->err, "  %s\n",
                        human_safe(json_string_value(json_array_get(errors, i)) ?: "?", safe));
}

static void print_error(struct cli *cli, const char *name, const json_t *parameters) {
        json_t *object = json_copy((json_t *)parameters);

        if (json_object_set_new(object, "error", json_string(name)) == 0)
                cli_print_json(cli, object);
        json_decref(object);
}

int cli_refused(struct cli *cli, const struct reply *reply) {
        const char *name = strrchr(reply->error, '.') + 1;
        const char *message = human_string(reply->parameters, "message");
        char safe[HUMAN_TEXT_MAX];

        if (cli->json)
                print_error(cli, name, reply->parameters);
        if (*message)
                cli_say(cli, "%s", human_safe(message, safe));
        else
                cli_say(cli, "the broker answers %s", name);
        tell_errors(cli, reply->parameters);
        return error_status(name, reply->parameters);
}

int cli_disconnected(struct cli *cli, int answer, const struct why *why) {
        char safe[HUMAN_TEXT_MAX];

        switch (answer) {
        case CLIENT_E_NO_BROKER:
                if (why->errnum == EACCES || why->errnum == EPERM)
                        return cli_fail(cli, STATUS_DENIED, "%s; this user may not ask the broker",
                                        human_safe(why->text, safe));
                return cli_fail(cli, STATUS_NO_BROKER, "%s; is provium-broker running?",
                                human_safe(why->text, safe));
        case CLIENT_E_TOO_BIG:
                return cli_fail(cli, STATUS_USAGE, "%s", human_safe(why->text, safe));
        case CLIENT_E_PROTOCOL:
                return cli_fail(cli, STATUS_BROKER, "the broker's reply makes no sense: %s",
                                human_safe(why->text, safe));
        default:
                return cli_fail(cli, STATUS_BROKER, "the broker left without an answer: %s",
                                human_safe(why->text, safe));
        }
}

int cli_start(struct cli *cli, struct client *client, const char *method, json_t *parameters,
              bool more) {
        struct why why = {};
        int r;

        r = client_connect(client, cli->socket, &why);
        if (r) {
                json_decref(parameters);
                return cli_disconnected(cli, r, &why);
        }
        r = client_call(client, method, parameters, more, NULL, 0, &why);
        if (r < 0)
                return cli_fault(cli, r);
        return r ? cli_disconnected(cli, r, &why) : STATUS_OK;
}

int cli_next_reply(struct cli *cli, struct client *client, struct reply *reply) {
        struct reply next = REPLY_NULL;
        struct why why = {};
        int r, status;

        r = client_wait(client, &next, &why);
        if (r < 0)
                return cli_fault(cli, r);
        if (r)
                return cli_disconnected(cli, r, &why);
        if (next.error) {
                status = cli_refused(cli, &next);
                reply_deinit(&next);
                return status;
        }
        *reply = next;
        return STATUS_OK;
}

int cli_ask(struct cli *cli, const char *method, json_t *parameters, struct reply *reply) {
        _cleanup_(client_deinitp) struct client client = CLIENT_NULL;
        int status;

        status = cli_start(cli, &client, method, parameters, false);
        return status ?: cli_next_reply(cli, &client, reply);
}
