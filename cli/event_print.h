/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_EVENT_PRINT_H
#define PROVIUM_CLI_EVENT_PRINT_H

/*
 * Events for people: one line each, with time, kind, whom it is about, and what belongs to it in
 * the broker's order. A line with the date stands before the first of another day. Whatever a VM is
 * called, it is fit for a terminal.
 */

#include <jansson.h>
#include <stdio.h>

#include <base/macro.h>

struct event_printer {
        FILE *file;
        bool colours; /* what needs attention is marked */
        int day;      /* of the last line, as days since 1900; 0: none yet */
};

/* Colours if @file is a terminal that has them, and NO_COLOR is not set (no-color.org). */
void event_printer_init(struct event_printer *printer, FILE *file);
void event_print(struct event_printer *printer, const json_t *event);

#endif
