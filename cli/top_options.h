/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_TOP_OPTIONS_H
#define PROVIUM_CLI_TOP_OPTIONS_H

#include <cli/top_ui.h>

struct cli;
struct words;

#define TOP_WIDTH_MIN 40 /* columns of a printed frame, to GRID_COLUMNS_MAX */

struct top_options {
        bool once;
        uint64_t width; /* 0: not said */
};

/* Takes the command line; what concerns the screen goes into @ui. Less than 0: the command is over,
 * with words->status. */
_must_check_ int top_parse_options(struct cli *cli, struct words *words,
                                   struct top_options *options, struct top_ui *ui);

#endif
