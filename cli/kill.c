/* SPDX-License-Identifier: MIT */
/*
 * provium kill: ends VMs one after the other; each call returns when that VM's charge was given
 * back. All are tried, and the first failure is the exit status.
 */
#include <base/units.h>
#include <base/why.h>
#include <cli/cli.h>
#include <cli/client.h>
#include <cli/human.h>
#include <cli/signals.h>
#include <proto/request.h>

enum { OPTION_SIGNAL = 1, OPTION_GRACE };

const struct option_row kill_option_rows[] = {
        {OPTION_SIGNAL, "signal", "SIGNAL", "what to send first, by name or number (TERM)"},
        {OPTION_GRACE, "grace", "DURATION", "how long to wait for it to end, such as 500ms or 30s"},
        {},
};

static int parse_options(struct cli *cli, struct words *words, struct vm_request *request) {
        struct why why;
        int option;

        while ((option = words_option(cli, words)) > 0) {
                int r = option == OPTION_SIGNAL
                                ? signals_parse(words->value, &request->signal, &why)
                                : units_parse_duration(words->value, &request->grace_usec, &why);

                if (r) {
                        words->status =
                                cli_misused(cli, "--%s: %s",
                                            option == OPTION_SIGNAL ? "signal" : "grace", why.text);
                        return -1;
                }
        }
        return option ?: words_count(cli, words, 1, REQUEST_ARGS_MAX);
}

static int kill_one(struct cli *cli, struct vm_request *request, const char *vm) {
        struct reply reply = REPLY_NULL;
        char safe[HUMAN_TEXT_MAX];
        struct why why;
        int status;

        if (text_check_name("VM", vm, &why) || !text_copy(request->vm, sizeof(request->vm), vm))
                return cli_fail(cli, STATUS_USAGE, "%s", why.text);
        status = cli_ask(cli, "Kill", vm_request_format(request), &reply);
        if (status)
                return status;
        if (cli->json)
                cli_print_json(cli, reply.parameters);
        else
                fprintf(cli->out, "%s\n", human_member(reply.parameters, "id", safe));
        reply_deinit(&reply);
        return STATUS_OK;
}

int command_kill(struct cli *cli, struct words *words) {
        struct vm_request request = VM_REQUEST_NULL;
        int status = STATUS_OK;

        if (parse_options(cli, words, &request) < 0)
                return words->status;
        for (int i = 0; i < words->argc; i++) {
                int one = kill_one(cli, &request, words->argv[i]);

                status = status ?: one;
        }
        return status;
}
