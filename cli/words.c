/* SPDX-License-Identifier: MIT */
/*
 * Options of one command, from its table. getopt_long(3) does the reading; its own messages are
 * replaced by ours, which say what is valid. Its state is the C library's; a new command line
 * begins with optind = 0, which dispatch sets.
 */
#include <getopt.h>
#include <string.h>

#include <base/text.h>
#include <cli/cli.h>

#define OPTIONS_MAX 40 /* rows in one table, the shared ones included */
#define QUOTED_MAX 80

/* The shared options have negative ids, out of the way of the commands' own. */
enum { SHARED_HELP = -10, SHARED_JSON = -11, SHARED_SOCKET = -12 };

/* getopt's return value is the index of the row; ids of ours must not meet '?' and ':'. */
enum { ROW_BASE = 1000 };

static const struct option_row shared_rows[] = {
        {SHARED_HELP, "help", NULL, NULL},
        {SHARED_JSON, "json", NULL, NULL},
        {SHARED_SOCKET, "socket", "PATH", NULL},
        {},
};

static size_t add_rows(struct option *options, const struct option_row **table, size_t n,
                       const struct option_row *rows) {
        for (; rows && rows->name; rows++, n++) {
                assert(n + 1 < OPTIONS_MAX);
                table[n] = rows;
                options[n] = (struct option){rows->name,
                                             rows->argument ? required_argument : no_argument, NULL,
                                             ROW_BASE + (int)n};
        }
        options[n] = (struct option){};
        return n;
}

static int stop(struct words *words, int status) {
        words->status = status;
        return -1;
}

/* The row that @word names with a value it does not take ("--json=1"), or NULL. */
static const struct option_row *takes_no_value(const struct option_row *rows, const char *word) {
        size_t length = strcspn(word, "=");

        for (; rows && rows->name; rows++)
                if (!rows->argument && word[length] && strlen(rows->name) + 2 == length &&
                    strncmp(word + 2, rows->name, length - 2) == 0)
                        return rows;
        return NULL;
}

static int bad_option(struct cli *cli, struct words *words, int c) {
        const char *word = words->argv[optind > 1 ? optind - 1 : 1];
        const struct option_row *row;
        char quoted[QUOTED_MAX];

        text_escape(word, quoted, sizeof(quoted));
        if (c == ':')
                return stop(words, cli_misused(cli, "option %s needs a value", quoted));
        row = takes_no_value(shared_rows, word) ?: takes_no_value(cli->command->options, word);
        if (row)
                return stop(words, cli_misused(cli, "option --%s takes no value", row->name));
        return stop(words, cli_misused(cli, "unknown option %s", quoted));
}

int words_option(struct cli *cli, struct words *words) {
        const struct option_row *table[OPTIONS_MAX];
        struct option options[OPTIONS_MAX];
        size_t n;

        n = add_rows(options, table, 0, shared_rows);
        n = add_rows(options, table, n, cli->command->options);

        for (;;) {
                int c = getopt_long(words->argc, words->argv, cli->command->stops ? "+:h" : ":h",
                                    options, NULL);

                if (c == -1) {
                        words->argc -= optind;
                        words->argv += optind;
                        return 0;
                }
                if (c == 'h')
                        c = ROW_BASE;
                if (c < ROW_BASE)
                        return bad_option(cli, words, c);
                words->value = optarg;
                switch (table[c - ROW_BASE]->id) {
                case SHARED_HELP:
                        help_print_command(cli->out, cli->command);
                        return stop(words, STATUS_OK);
                case SHARED_JSON:
                        cli->json = true;
                        continue;
                case SHARED_SOCKET:
                        cli->socket = optarg;
                        continue;
                default:
                        return table[c - ROW_BASE]->id;
                }
        }
}

int words_count(struct cli *cli, struct words *words, int least, int most) {
        char quoted[QUOTED_MAX];

        if (words->argc < least)
                return stop(words, cli_misused(cli, "give %s", cli->command->arguments));
        if (words->argc > most)
                return stop(words,
                            cli_misused(cli, "'%s' is one word too many",
                                        text_escape(words->argv[most], quoted, sizeof(quoted))));
        return 0;
}

int words_only(struct cli *cli, struct words *words, int least, int most) {
        int r = words_option(cli, words);

        return r ?: words_count(cli, words, least, most);
}
