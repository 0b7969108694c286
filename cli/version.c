/* SPDX-License-Identifier: MIT */
/*
 * The commands that are one question or none.
 */
#include <cli/cli.h>
#include <cli/client.h>

int command_upgrade(struct cli *cli, struct words *words) {
        struct reply reply = REPLY_NULL;
        int status;

        if (words_only(cli, words, 0, 0) < 0)
                return words->status;
        status = cli_ask(cli, "Upgrade", NULL, &reply);
        if (!status && cli->json)
                cli_print_json(cli, reply.parameters);
        reply_deinit(&reply);
        return status;
}

int command_version(struct cli *cli, struct words *words) {
        if (words && words_only(cli, words, 0, 0) < 0)
                return words->status;
        if (cli->json)
                fprintf(cli->out, "{\"version\":\"%s\"}\n", PROVIUM_VERSION);
        else
                fprintf(cli->out, "provium %s\n", PROVIUM_VERSION);
        return STATUS_OK;
}
