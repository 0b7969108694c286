/* SPDX-License-Identifier: MIT */
/*
 * Usage and help, printed from the table of commands and their tables of options.
 */
#include <string.h>

#include <cli/cli.h>

static void print_row(FILE *file, const char *left, const char *right) {
        if (strlen(left) < 26)
                fprintf(file, "  %-26s%s\n", left, right);
        else
                fprintf(file, "  %s\n  %-26s%s\n", left, "", right);
}

static void print_option(FILE *file, const char *name, const char *argument, const char *help) {
        char left[64];

        snprintf(left, sizeof(left), "--%s%s%s", name, argument ? " " : "", argument ?: "");
        print_row(file, left, help);
}

static void print_shared_options(FILE *file) {
        print_option(file, "json", NULL, "one JSON object per line instead of text");
        print_option(file, "socket", "PATH", "where the broker listens (" CLI_SOCKET ")");
        print_option(file, "help", NULL, "print this");
}

void help_print_all(FILE *file) {
        fputs("Usage: provium [--socket PATH] [--json] COMMAND ...\n\n"
              "Starts virtual machines under the claims that the broker admits and enforces.\n\n"
              "Commands:\n",
              file);
        for (const struct command *command = commands; command->name; command++)
                print_row(file, command->name, command->help);
        fputs("\nOptions of every command:\n", file);
        print_shared_options(file);
        fputs("\n'provium COMMAND --help' tells more about one; all of it is in provium(1).\n",
              file);
}

void help_print_command(FILE *file, const struct command *command) {
        fprintf(file, "Usage: provium %s [OPTION]...%s%s\n\n%s.\n", command->name,
                *command->arguments ? " " : "", command->arguments, command->help);
        if (command->more)
                fprintf(file, "\n%s\n", command->more);
        fputs("\nOptions:\n", file);
        for (const struct option_row *row = command->options; row && row->name; row++)
                print_option(file, row->name, row->argument, row->help);
        print_shared_options(file);
}

bool help_print(FILE *file, const char *name) {
        size_t length = strlen(name);
        bool found = false;

        for (const struct command *command = commands; command->name; command++) {
                if (strncmp(command->name, name, length) != 0 ||
                    (command->name[length] && command->name[length] != ' '))
                        continue;
                if (found)
                        fputc('\n', file);
                help_print_command(file, command);
                found = true;
        }
        return found;
}

int command_help(struct cli *cli, struct words *words) {
        char name[64];

        if (words_only(cli, words, 0, 2) < 0)
                return words->status;
        if (words->argc == 0) {
                help_print_all(cli->out);
                return STATUS_OK;
        }
        snprintf(name, sizeof(name), "%s%s%s", words->argv[0], words->argc > 1 ? " " : "",
                 words->argc > 1 ? words->argv[1] : "");
        if (!help_print(cli->out, name))
                return cli_misused(cli, "there is no such command; 'provium help' lists all");
        return STATUS_OK;
}
