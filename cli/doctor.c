/* SPDX-License-Identifier: MIT */
/*
 * provium doctor: what the broker finds of this host, one line per finding, and below it the line
 * that mends it. Nothing is cut to the terminal's width: a command that lost its end would mend
 * nothing.
 */
#include <string.h>

#include <cli/cli.h>
#include <cli/client.h>
#include <cli/human.h>
#include <cli/table.h>

#define VERDICT_WIDTH 7 /* of "problem" and "warning" */

struct counts {
        size_t problems, warnings, ok;
};

/* A verdict that a newer broker may have counts as none of them. */
static void count(const json_t *findings, struct counts *counts) {
        *counts = (struct counts){};
        for (size_t i = 0; i < json_array_size(findings); i++) {
                const char *verdict = human_string(json_array_get(findings, i), "verdict");

                counts->problems += strcmp(verdict, "problem") == 0;
                counts->warnings += strcmp(verdict, "warning") == 0;
                counts->ok += strcmp(verdict, "ok") == 0;
        }
}

/* The columns are as wide as the widest name of a check. */
static int check_width(const json_t *findings) {
        size_t widest = 0;

        for (size_t i = 0; i < json_array_size(findings); i++) {
                char safe[HUMAN_TEXT_MAX];

                widest = max_u64(widest, table_text_width(human_member(json_array_get(findings, i),
                                                                       "check", safe)));
        }
        return (int)min_u64(widest, 24);
}

static void print_finding(FILE *file, const json_t *finding, int width) {
        char verdict[HUMAN_TEXT_MAX], check[HUMAN_TEXT_MAX], text[HUMAN_TEXT_MAX];
        const char *mend;

        fprintf(file, "%-*s  %-*s  %s\n", VERDICT_WIDTH, human_member(finding, "verdict", verdict),
                width, human_member(finding, "check", check), human_member(finding, "text", text));
        mend = human_member(finding, "mend", text);
        if (*mend)
                fprintf(file, "%*s  mend: %s\n", VERDICT_WIDTH, "", mend);
}

static void print_findings(FILE *file, const json_t *findings, const struct counts *counts) {
        int width = check_width(findings);

        for (size_t i = 0; i < json_array_size(findings); i++)
                print_finding(file, json_array_get(findings, i), width);
        fprintf(file, "%zu problem%s, %zu warning%s, %zu ok\n", counts->problems,
                counts->problems == 1 ? "" : "s", counts->warnings,
                counts->warnings == 1 ? "" : "s", counts->ok);
}

int command_doctor(struct cli *cli, struct words *words) {
        struct reply reply = REPLY_NULL;
        const json_t *findings;
        struct counts counts;
        int status;

        if (words_only(cli, words, 0, 0) < 0)
                return words->status;
        status = cli_ask(cli, "Doctor", NULL, &reply);
        if (status)
                return status;

        findings = json_object_get(reply.parameters, "findings");
        count(findings, &counts);
        if (cli->json)
                for (size_t i = 0; i < json_array_size(findings); i++)
                        cli_print_json(cli, json_array_get(findings, i));
        else
                print_findings(cli->out, findings, &counts);
        reply_deinit(&reply);
        return counts.problems > 0 ? STATUS_PROBLEM : STATUS_OK;
}
