/* SPDX-License-Identifier: MIT */
/*
 * provium image-check: whether the disk has room for one more image, for whatever is about to pull
 * it. The sentence is the broker's; the status is what a script asks for.
 */
#include <base/units.h>
#include <base/why.h>
#include <cli/cli.h>
#include <cli/client.h>
#include <cli/human.h>
#include <proto/request.h>

int command_image_check(struct cli *cli, struct words *words) {
        struct image_request request = {};
        struct reply reply = REPLY_NULL;
        char safe[HUMAN_TEXT_MAX];
        const json_t *allowed;
        struct why why;
        int status;

        if (words_only(cli, words, 1, 1) < 0)
                return words->status;
        if (units_parse_size(words->argv[0], &request.size_bytes, &why))
                return cli_misused(cli, "%s", why.text);

        status = cli_ask(cli, "ImageCheck", image_request_format(&request), &reply);
        if (status)
                return status;
        allowed = json_object_get(reply.parameters, "allowed");
        if (!json_is_boolean(allowed))
                status = cli_fail(cli, STATUS_BROKER,
                                  "the broker's reply makes no sense: it does not say whether");
        else
                status = json_is_true(allowed) ? STATUS_OK : STATUS_FULL;
        if (cli->json)
                cli_print_json(cli, reply.parameters);
        else if (*human_string(reply.parameters, "reason"))
                fprintf(cli->out, "%s\n", human_member(reply.parameters, "reason", safe));
        reply_deinit(&reply);
        return status;
}
