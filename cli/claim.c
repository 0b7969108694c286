/* SPDX-License-Identifier: MIT */
/*
 * provium claim and provium release: an owner's peak, reserved at once. The claim itself is
 * followed as that of a VM is (session.c); what runs under it is a child of ours (hold.c).
 */
#include <string.h>
#include <unistd.h>

#include <base/units.h>
#include <base/why.h>
#include <cli/human.h>
#include <cli/run.h>

int command_claim(struct cli *cli, struct words *words) {
        _cleanup_(run_options_deinit) struct run_options options = RUN_OPTIONS_NULL;
        struct run_request *request = &options.request;

        request->reserves = true;
        if (run_options_parse(&options, cli, words, environ) < 0)
                return words->status;
        if (!request->owner[0])
                return cli_misused(cli, "give --owner TOKEN: what is run with the same is inside");
        return session_run(cli, &options);
}

enum { OPTION_GRACE = 1 };

const struct option_row release_option_rows[] = {
        {OPTION_GRACE, "grace", "DURATION", "how long its VMs have to end (the policy's)"},
        {},
};

int command_release(struct cli *cli, struct words *words) {
        struct release_request request = {.grace_usec = REQUEST_DEFAULT};
        struct reply reply = REPLY_NULL;
        struct why why = {};
        int option, status;

        while ((option = words_option(cli, words)) > 0)
                if (units_parse_duration(words->value, &request.grace_usec, &why) ||
                    request.grace_usec > INT64_MAX)
                        return cli_misused(cli, "--grace: %s", why.text);
        if (option < 0 || words_count(cli, words, 1, 1) < 0)
                return words->status;
        if (text_check_name("owner", words->argv[0], &why))
                return cli_misused(cli, "%s", why.text);
        strcpy(request.owner, words->argv[0]);
        status = cli_ask(cli, "Release", release_request_format(&request), &reply);
        if (status)
                return status;
        if (cli->json)
                cli_print_json(cli, reply.parameters);
        reply_deinit(&reply);
        return STATUS_OK;
}
