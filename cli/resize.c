/* SPDX-License-Identifier: MIT */
/*
 * provium resize: changes what a running VM is sold of the network and of its disks, and tells what
 * that is then.
 */
#include <base/units.h>
#include <base/why.h>
#include <cli/cli.h>
#include <cli/client.h>
#include <cli/human.h>
#include <proto/request.h>

enum { OPTION_DOWNLOAD = 1, OPTION_UPLOAD, OPTION_DISK_IO };

const struct option_row resize_option_rows[] = {
        {OPTION_DOWNLOAD, "download", "RATE", "network to the VM, such as 100Mbps or 10MB/s"},
        {OPTION_UPLOAD, "upload", "RATE", "network from the VM"},
        {OPTION_DISK_IO, "disk-io", "RATE", "disk reads and writes, such as 250MB/s"},
        {},
};

static const char *option_name(int option) {
        for (const struct option_row *row = resize_option_rows; row->name; row++)
                if (row->id == option)
                        return row->name;
        return "?";
}

static uint64_t *option_rate(struct resize_request *request, int option) {
        if (option == OPTION_DISK_IO)
                return &request->claim.amount[RESOURCE_DISK_IO];
        return option == OPTION_DOWNLOAD ? &request->download_bytes_per_s
                                         : &request->upload_bytes_per_s;
}

static int parse_options(struct cli *cli, struct words *words, struct resize_request *request) {
        struct why why;
        int option;

        while ((option = words_option(cli, words)) > 0) {
                if (units_parse_rate(words->value, option_rate(request, option), &why)) {
                        words->status = cli_misused(cli, "--%s: %s", option_name(option), why.text);
                        return -1;
                }
        }
        return option ?: words_count(cli, words, 1, 1);
}

/* What is sold now; the kernel's own figures are in `provium show`. */
static void tell(struct cli *cli, const char *vm, const json_t *sold) {
        const json_t *charge = json_object_get(sold, "charge");
        char download[UNITS_TEXT_MAX], upload[UNITS_TEXT_MAX], disk_io[UNITS_TEXT_MAX];

        fprintf(cli->out, "%s: download %s, upload %s", vm,
                human_amount(sold, "download", RESOURCE_NETWORK, download, sizeof(download)),
                human_amount(sold, "upload", RESOURCE_NETWORK_UPLOAD, upload, sizeof(upload)));
        if (json_object_get(charge, "disk_io"))
                fprintf(cli->out, ", disk I/O %s",
                        human_amount(charge, "disk_io", RESOURCE_DISK_IO, disk_io,
                                     sizeof(disk_io)));
        fputc('\n', cli->out);
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
            request.upload_bytes_per_s == REQUEST_DEFAULT &&
            request.claim.amount[RESOURCE_DISK_IO] == REQUEST_DEFAULT)
                return cli_misused(cli, "give at least one of --download, --upload and --disk-io");

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
