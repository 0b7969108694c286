/* SPDX-License-Identifier: MIT */
/*
 * provium resize: changes what a running VM is sold of the network, and tells what that is then.
 */
#include <base/units.h>
#include <base/why.h>
#include <cli/cli.h>
#include <cli/client.h>
#include <cli/human.h>
#include <proto/request.h>

enum { OPTION_DOWNLOAD = 1, OPTION_UPLOAD };

const struct option_row resize_option_rows[] = {
        {OPTION_DOWNLOAD, "download", "RATE", "network to the VM, such as 100Mbps or 10MB/s"},
        {OPTION_UPLOAD, "upload", "RATE", "network from the VM"},
        {},
};

static int parse_options(struct cli *cli, struct words *words, struct resize_request *request) {
        struct why why;
        int option;

        while ((option = words_option(cli, words)) > 0) {
                bool down = option == OPTION_DOWNLOAD;

                if (units_parse_rate(words->value,
                                     down ? &request->download_bytes_per_s
                                          : &request->upload_bytes_per_s,
                                     &why)) {
                        words->status = cli_misused(cli, "--%s: %s", down ? "download" : "upload",
                                                    why.text);
                        return -1;
                }
        }
        return option ?: words_count(cli, words, 1, 1);
}

/* What is sold now; the kernel's own figures are in `provium show`. */
static void tell(struct cli *cli, const char *vm, const json_t *sold) {
        char download[UNITS_TEXT_MAX], upload[UNITS_TEXT_MAX];

        fprintf(cli->out, "%s: download %s, upload %s\n", vm,
                human_amount(sold, "download", RESOURCE_NETWORK, download, sizeof(download)),
                human_amount(sold, "upload", RESOURCE_NETWORK_UPLOAD, upload, sizeof(upload)));
}

int command_resize(struct cli *cli, struct words *words) {
        struct resize_request request = {.download_bytes_per_s = REQUEST_DEFAULT,
                                         .upload_bytes_per_s = REQUEST_DEFAULT};
        struct reply reply = REPLY_NULL;
        struct why why;
        int status;

        for (size_t i = 0; i < _RESOURCE_N; i++)
                request.claim.amount[i] = REQUEST_DEFAULT;
        if (parse_options(cli, words, &request) < 0)
                return words->status;
        if (text_check_name("VM", words->argv[0], &why) ||
            !text_copy(request.vm, sizeof(request.vm), words->argv[0]))
                return cli_misused(cli, "%s", why.text);
        if (request.download_bytes_per_s == REQUEST_DEFAULT &&
            request.upload_bytes_per_s == REQUEST_DEFAULT)
                return cli_misused(cli, "give --download, --upload or both");

        status = cli_ask(cli, "Resize", resize_request_format(&request), &reply);
        if (status)
                return status;
        if (cli->json)
                cli_print_json(cli, reply.parameters);
        else
                tell(cli, request.vm, reply.parameters);
        reply_deinit(&reply);
        return STATUS_OK;
}
