/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_SHOW_H
#define PROVIUM_CLI_SHOW_H

#include <jansson.h>
#include <stdio.h>

/* Prints what Show answered about a VM, fit for a terminal. */
void show_print(FILE *file, const json_t *parameters);

#endif
