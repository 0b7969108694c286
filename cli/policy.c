/* SPDX-License-Identifier: MIT */
/*
 * provium policy: check files before they are put in force, show what is in force, reload.
 *
 * check and show --offline use the broker's own reader, so that what passes here passes there, and
 * check its compiler of the lists of system calls that slices name; only what needs the host
 * (whether a guarantee fits a capacity that is discovered) is the broker's alone.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <base/text.h>
#include <base/why.h>
#include <cli/cli.h>
#include <cli/client.h>
#include <cli/human.h>
#include <launcher/seccomp_program.h>
#include <policies/policy.h>

enum { OPTION_CONFIG_DIR = 1, OPTION_VENDOR_DIR, OPTION_OFFLINE };

const struct option_row policy_option_rows[] = {
        {OPTION_CONFIG_DIR, "config-dir", "DIR", "the operator's files (" CLI_CONFIG_DIR ")"},
        {OPTION_VENDOR_DIR, "vendor-dir", "DIR", "the vendor's files (" CLI_VENDOR_DIR ")"},
        {},
};

const struct option_row policy_show_option_rows[] = {
        {OPTION_OFFLINE, "offline", NULL, "read the files instead of asking the broker"},
        {OPTION_CONFIG_DIR, "config-dir", "DIR", "the operator's files (" CLI_CONFIG_DIR ")"},
        {OPTION_VENDOR_DIR, "vendor-dir", "DIR", "the vendor's files (" CLI_VENDOR_DIR ")"},
        {},
};

struct policy_options {
        const char *config_dir, *vendor_dir;
        bool offline;
};

#define POLICY_OPTIONS_DEFAULT                                                                     \
        { .config_dir = CLI_CONFIG_DIR, .vendor_dir = CLI_VENDOR_DIR }

static int parse_options(struct cli *cli, struct words *words, struct policy_options *options) {
        int option;

        while ((option = words_option(cli, words)) > 0) {
                switch (option) {
                case OPTION_CONFIG_DIR:
                        options->config_dir = words->value;
                        break;
                case OPTION_VENDOR_DIR:
                        options->vendor_dir = words->value;
                        break;
                case OPTION_OFFLINE:
                        options->offline = true;
                        break;
                }
        }
        return option ?: words_count(cli, words, 0, 1);
}

static void print_error(struct cli *cli, const struct policy_error *error) {
        char line[2048], safe[HUMAN_TEXT_MAX];
        json_t *object;

        if (!cli->json) {
                fprintf(cli->out, "%s\n",
                        human_safe(policy_error_format(error, line, sizeof(line)), safe));
                return;
        }
        object = json_pack("{ss* si ss* ss* ss*}", "path", error->path, "line", (int)error->line,
                           "section", error->section, "key", error->key, "message", error->text);
        if (object)
                cli_print_json(cli, object);
        json_decref(object);
}

/* Loads the files. Returns STATUS_OK and a set to free, or a status after every error was printed.
 */
static int load(struct cli *cli, const struct policy_options *options, struct policy **policyp) {
        _cleanup_(freep) struct policy_errors *errors = calloc(1, sizeof(*errors));
        char safe[HUMAN_TEXT_MAX];
        int r;

        if (!errors)
                return cli_fault(cli, -ENOMEM);
        /* A directory that is not there means "all defaults", but not if somebody named it. */
        if (strcmp(options->config_dir, CLI_CONFIG_DIR) != 0 &&
            access(options->config_dir, R_OK) < 0)
                return cli_fail(cli, STATUS_NOT_FOUND, "cannot read %s: %s",
                                human_safe(options->config_dir, safe), strerror(errno));
        r = policy_load(policyp, options->config_dir, options->vendor_dir, errors);
        if (r < 0)
                return cli_fault(cli, r);
        if (r == 0)
                return STATUS_OK;

        for (size_t i = 0; i < errors->n; i++)
                print_error(cli, &errors->list[i]);
        return cli_fail(cli, STATUS_BAD_POLICY, "%zu error%s", errors->n + errors->n_more,
                        errors->n + errors->n_more == 1 ? "" : "s");
}

/* Whether a slice before @slice names the same list. */
static bool is_repeated(const struct policy *policy, const struct slice_policy *slice) {
        for (const struct slice_policy *at = policy->slices; at < slice; at++)
                if (strcmp(at->sandbox.seccomp, slice->sandbox.seccomp) == 0)
                        return true;
        return false;
}

/* Compiles the list that @slice names. 0; 1: it is wrong, which was printed; negative. */
static int check_list(struct cli *cli, const char *const *dirs, const struct slice_policy *slice) {
        struct seccomp_program program = SECCOMP_PROGRAM_NULL;
        struct policy_error error = {.section = "Sandbox", .key = "Seccomp"};
        struct why why = {};
        int r;

        r = seccomp_program_load(&program, dirs, slice->sandbox.seccomp, &why);
        seccomp_program_deinit(&program);
        if (r <= 0)
                return r;
        snprintf(error.path, sizeof(error.path), "%s", slice->path);
        snprintf(error.text, sizeof(error.text), "%.*s", (int)sizeof(error.text) - 1, why.text);
        print_error(cli, &error);
        return 1;
}

/* Each list that slices name, from where the broker would take it. */
static int check_lists(struct cli *cli, const struct policy_options *options,
                       const struct policy *policy) {
        char config[512], vendor[512];
        const char *const dirs[] = {config, vendor, NULL};
        size_t n = 0;

        snprintf(config, sizeof(config), "%s/seccomp", options->config_dir);
        snprintf(vendor, sizeof(vendor), "%s/seccomp", options->vendor_dir);
        for (size_t i = 0; i < policy->n_slices; i++) {
                const struct slice_policy *slice = &policy->slices[i];
                int r;

                if (!*slice->sandbox.seccomp || strcmp(slice->sandbox.seccomp, "none") == 0 ||
                    is_repeated(policy, slice))
                        continue;
                r = check_list(cli, dirs, slice);
                if (r < 0)
                        return cli_fault(cli, r);
                n += (size_t)r;
        }
        if (n == 0)
                return STATUS_OK;
        return cli_fail(cli, STATUS_BAD_POLICY, "%zu list%s of system calls cannot be used", n,
                        n == 1 ? "" : "s");
}

int command_policy_check(struct cli *cli, struct words *words) {
        _cleanup_(policy_freep) struct policy *policy = NULL;
        struct policy_options options = POLICY_OPTIONS_DEFAULT;
        int status;

        if (parse_options(cli, words, &options) < 0)
                return words->status;
        if (words->argc == 1)
                options.config_dir = words->argv[0];

        status = load(cli, &options, &policy);
        if (status == STATUS_OK)
                status = check_lists(cli, &options, policy);
        if (status)
                return status;
        if (cli->json)
                fprintf(cli->out, "{\"slices\":%zu}\n", policy->n_slices);
        else
                fprintf(cli->out, "no errors; %zu slice%s\n", policy->n_slices,
                        policy->n_slices == 1 ? "" : "s");
        return STATUS_OK;
}

static void print_policy(struct cli *cli, const char *text) {
        json_t *object;

        if (!cli->json) {
                human_print_text(cli->out, text);
                return;
        }
        object = json_pack("{ss}", "text", text);
        if (object)
                cli_print_json(cli, object);
        json_decref(object);
}

static int show_offline(struct cli *cli, const struct policy_options *options, const char *name) {
        _cleanup_(policy_freep) struct policy *policy = NULL;
        const struct slice_policy *slice = NULL;
        _cleanup_(freep) char *text = NULL;
        char safe[HUMAN_TEXT_MAX];
        int status;

        status = load(cli, options, &policy);
        if (status)
                return status;
        if (name) {
                slice = policy_find_slice(policy, name);
                if (!slice)
                        return cli_fail(cli, STATUS_NOT_FOUND, "there is no slice '%s' in %s or %s",
                                        human_safe(name, safe), options->config_dir,
                                        options->vendor_dir);
        }
        text = policy_show(policy, slice);
        if (!text)
                return cli_fault(cli, -ENOMEM);
        print_policy(cli, text);
        return STATUS_OK;
}

int command_policy_show(struct cli *cli, struct words *words) {
        struct policy_options options = POLICY_OPTIONS_DEFAULT;
        struct reply reply = REPLY_NULL;
        const char *name;
        int status;

        if (parse_options(cli, words, &options) < 0)
                return words->status;
        name = words->argc == 1 ? words->argv[0] : NULL;
        if (options.offline)
                return show_offline(cli, &options, name);

        status = cli_ask(cli, "PolicyShow", json_pack("{ss*}", "slice", name), &reply);
        if (status)
                return status;
        print_policy(cli, human_string(reply.parameters, "text"));
        reply_deinit(&reply);
        return STATUS_OK;
}

int command_policy_reload(struct cli *cli, struct words *words) {
        struct reply reply = REPLY_NULL;
        char safe[HUMAN_TEXT_MAX];
        const json_t *notices;
        uint64_t slices = 0;
        int status;

        if (words_only(cli, words, 0, 0) < 0)
                return words->status;
        status = cli_ask(cli, "PolicyReload", NULL, &reply);
        if (status)
                return status;

        if (cli->json) {
                cli_print_json(cli, reply.parameters);
        } else {
                notices = json_object_get(reply.parameters, "notices");
                for (size_t i = 0; i < json_array_size(notices); i++)
                        fprintf(cli->out, "notice: %s\n",
                                human_safe(json_string_value(json_array_get(notices, i)) ?: "?",
                                           safe));
                if (human_number(reply.parameters, "slices", &slices))
                        fprintf(cli->out, "in force; %zu slice%s\n", (size_t)slices,
                                slices == 1 ? "" : "s");
        }
        reply_deinit(&reply);
        return STATUS_OK;
}
