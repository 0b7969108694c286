/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Two users of one host, each with a slice of its own.
 */

#include "house.h"

#define OWNER 1000     /* slice a */
#define NEIGHBOUR 2000 /* slice b */

/* A broker with both slices; that of the owner has 3 CPUs. */
void tenants_open(struct house *house);
/* A connection is whose it is at connect(2): the broker sees the user @uid and this very process.
 */
void line_open_as(struct line *line, uid_t uid);
/* Of Run: @cpu_milli for "vm MODE"; @name and @ticket may be NULL. */
json_t *claim(const char *slice, const char *name, int cpu_milli, const char *mode,
              const char *ticket);
/* Run by @uid, as far as the reply @word, which is returned; the line stays open. */
json_t *run_by(struct line *line, uid_t uid, json_t *parameters, const char *word);
