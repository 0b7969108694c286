/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <cli/top_view.h>

void top_draw_help(struct grid *grid) {
        static const char *const lines[][2] = {
                {"arrows PgUp PgDn", "choose a VM (Home: always the first)"},
                {"Enter, d", "all about it: limits and use as the kernel has them"},
                {"k", "end it; asks first"},
                {"s S, > <", "sort by the next column, by the one before"},
                {"C M I N A V", "by CPU, memory, disk I/O, net, age, VM's name"},
                {"r", "the other way round"},
                {"/, f", "only what has these letters in name, slice, state, command"},
                {"Esc", "all again"},
                {"p", "pause;  Space: look now;  + -: less often, more often"},
                {"Ctrl-L", "draw anew"},
                {"q", "quit"},
                {"", ""},
                {"The bars", "# used now  = guaranteed  - sold  | limit of what is sold"},
                {"CPU 0.98/2", "uses 0.98 CPUs of the 2 it was sold; so with the others"},
                {"%HELD", "time in which it wanted more CPU than it was sold"},
                {"DISK-IO, NET", "bytes per second: read and written; down or up, the larger"},
                {"-", "not known, or not yet: a rate needs two looks"},
                {"pressure", "share of 10 s in which some, or all, tasks had to wait"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                int row = (int)i + 2;

                grid_put(grid, row, 1, GRID_BOLD, lines[i][0]);
                grid_put(grid, row, 18, GRID_PLAIN, lines[i][1]);
        }
}
