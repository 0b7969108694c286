/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_SIM_SVG_H
#define PROVIUM_CLI_SIM_SVG_H

/*
 * Simulations of one trace as a picture (SVG): how long claims waited, how many waited when, and
 * what of CPU and memory was sold when; a colour for each simulation.
 */

#include <stdio.h>

#include <cli/sim_report.h>

#define SIM_SVG_MAX 12 /* simulations in one picture */

/* Prints the picture of @n outcomes. Whether it could be written, @file tells. */
void sim_svg_print(FILE *file, const struct sim_outcome *outcomes, size_t n);

#endif
