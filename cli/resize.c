/* SPDX-License-Identifier: MIT */
/*
 * provium resize: changes what a running VM is sold, and tells what that is then.
 *
 * Less memory takes a while, because it is taken from the VM first: on a terminal one line tells
 * how far that is. Who leaves before does not stop it.
 */
#include <unistd.h>

#include <base/units.h>
#include <base/why.h>
#include <cli/cli.h>
#include <cli/client.h>
#include <cli/human.h>
#include <proto/request.h>

#define CLEAR_LINE "\r\033[K"

enum { OPTION_CPUS = 1, OPTION_MEM, OPTION_DOWNLOAD, OPTION_UPLOAD, OPTION_DISK_IO };

const struct option_row resize_option_rows[] = {
        {OPTION_CPUS, "cpus", "N", "CPUs, such as 2 or 0.5"},
        {OPTION_MEM, "mem", "SIZE", "memory, such as 512M or 1.5G"},
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

static int set_option(struct resize_request *request, int option, const char *value,
                      struct why *why) {
        switch (option) {
        case OPTION_CPUS:
                return units_parse_cpus(value, &request->claim.amount[RESOURCE_CPU], why);
        case OPTION_MEM:
                return units_parse_size(value, &request->claim.amount[RESOURCE_MEMORY], why);
        case OPTION_DISK_IO:
                return units_parse_rate(value, &request->claim.amount[RESOURCE_DISK_IO], why);
        case OPTION_DOWNLOAD:
                return units_parse_rate(value, &request->download_bytes_per_s, why);
        default:
                return units_parse_rate(value, &request->upload_bytes_per_s, why);
        }
}

static int parse_options(struct cli *cli, struct words *words, struct resize_request *request) {
        struct why why;
        int option;

        while ((option = words_option(cli, words)) > 0) {
                if (set_option(request, option, words->value, &why)) {
                        words->status = cli_misused(cli, "--%s: %s", option_name(option), why.text);
                        return -1;
                }
        }
        return option ?: words_count(cli, words, 1, 1);
}

static bool names_nothing(const struct resize_request *request) {
        for (size_t i = 0; i < _RESOURCE_N; i++)
                if (request->claim.amount[i] != REQUEST_DEFAULT)
                        return false;
        return request->download_bytes_per_s == REQUEST_DEFAULT &&
               request->upload_bytes_per_s == REQUEST_DEFAULT;
}

/* What is sold now; the kernel's own figures are in `provium show`. */
static void tell(struct cli *cli, const char *vm, const json_t *sold) {
        const json_t *charge = json_object_get(sold, "charge");
        char download[UNITS_TEXT_MAX], upload[UNITS_TEXT_MAX], disk_io[UNITS_TEXT_MAX];
        char cpu[UNITS_TEXT_MAX], memory[UNITS_TEXT_MAX];

        fprintf(cli->out, "%s: ", vm);
        if (json_object_get(sold, "cpu"))
                fprintf(cli->out, "cpu %s, memory %s, ",
                        human_amount(sold, "cpu", RESOURCE_CPU, cpu, sizeof(cpu)),
                        human_amount(sold, "memory", RESOURCE_MEMORY, memory, sizeof(memory)));
        fprintf(cli->out, "download %s, upload %s",
                human_amount(sold, "download", RESOURCE_NETWORK, download, sizeof(download)),
                human_amount(sold, "upload", RESOURCE_NETWORK_UPLOAD, upload, sizeof(upload)));
        if (json_object_get(charge, "disk_io"))
                fprintf(cli->out, ", disk I/O %s",
                        human_amount(charge, "disk_io", RESOURCE_DISK_IO, disk_io,
                                     sizeof(disk_io)));
        fputc('\n', cli->out);
}

/* How far it is: a line of JSON each time, or one on the terminal that is written anew. */
static void tell_progress(struct cli *cli, const char *vm, const json_t *sold) {
        const json_t *reclaiming = json_object_get(sold, "reclaiming");
        char in_use[UNITS_TEXT_MAX], target[UNITS_TEXT_MAX];

        if (cli->json) {
                cli_print_json(cli, sold);
        } else if (isatty(fileno(cli->err))) {
                fprintf(cli->err, CLEAR_LINE "provium: %s: %s in use, taking memory down to %s", vm,
                        human_amount(reclaiming, "in_use", RESOURCE_MEMORY, in_use, sizeof(in_use)),
                        human_amount(reclaiming, "target", RESOURCE_MEMORY, target,
                                     sizeof(target)));
                fflush(cli->err);
        }
}

/* Follows it to its end; the exit status, and the last reply if that is 0. */
static int follow(struct cli *cli, const struct resize_request *request, struct reply *reply) {
        _cleanup_(client_deinitp) struct client client = CLIENT_NULL;
        bool shown = false;
        int status;

        status = cli_start(cli, &client, "Resize", resize_request_format(request), true);
        while (status == STATUS_OK) {
                if (shown && !cli->json && isatty(fileno(cli->err)))
                        fputs(CLEAR_LINE, cli->err);
                status = cli_next_reply(cli, &client, reply);
                shown = status == STATUS_OK && reply->continues;
                if (!shown)
                        break;
                tell_progress(cli, request->vm, reply->parameters);
                reply_deinit(reply);
        }
        return status;
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
        if (names_nothing(&request))
                return cli_misused(cli, "give at least one of --cpus, --mem, --download, --upload "
                                        "and --disk-io");

        status = follow(cli, &request, &reply);
        if (status)
                return status;
        if (cli->json)
                cli_print_json(cli, reply.parameters);
        else
                tell(cli, request.vm, reply.parameters);
        reply_deinit(&reply);
        return STATUS_OK;
}
