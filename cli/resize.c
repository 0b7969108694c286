/* SPDX-License-Identifier: MIT */
/*
 * provium resize: changes what a running VM is sold of the network, and tells what is in force
 * then. That is asked of the kernel once more, through Show: the reply tells what is charged, and
 * of that the larger way hides the other.
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

/* One way of the network: as the kernel reports it, else as it was asked for and granted; nothing
 * if it was neither. */
static void print_way(FILE *file, const char **separatorp, const char *name, const char *reported,
                      uint64_t asked) {
        char safe[HUMAN_TEXT_MAX], rate[UNITS_TEXT_MAX];

        if (!*reported && asked == REQUEST_DEFAULT)
                return;
        fprintf(file, "%s %s %s", *separatorp, name,
                *reported ? human_safe(reported, safe)
                          : units_format_rate(asked, rate, sizeof(rate)));
        *separatorp = ",";
}

static int tell(struct cli *cli, const struct resize_request *request) {
        struct reply reply = REPLY_NULL;
        const char *separator = ":";
        const json_t *limits, *vm;
        char safe[HUMAN_TEXT_MAX];
        int status;

        status = cli_ask(cli, "Show", json_pack("{ss}", "vm", request->vm), &reply);
        if (status)
                return status;
        limits = json_object_get(reply.parameters, "limits");
        vm = json_object_get(reply.parameters, "vm");
        fputs(*human_string(vm, "name") ? human_member(vm, "name", safe) : request->vm, cli->out);
        print_way(cli->out, &separator, "download", human_string(limits, "net.0.download"),
                  request->download_bytes_per_s);
        print_way(cli->out, &separator, "upload", human_string(limits, "net.upload"),
                  request->upload_bytes_per_s);
        fputc('\n', cli->out);
        reply_deinit(&reply);
        return STATUS_OK;
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
        reply_deinit(&reply);
        return cli->json ? STATUS_OK : tell(cli, &request);
}
