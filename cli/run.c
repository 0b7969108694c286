/* SPDX-License-Identifier: MIT */
#include <unistd.h>

#include <cli/run.h>

int command_run(struct cli *cli, struct words *words) {
        _cleanup_(run_options_deinit) struct run_options options = RUN_OPTIONS_NULL;

        if (run_options_parse(&options, cli, words, environ) < 0)
                return words->status;
        return session_run(cli, &options);
}
