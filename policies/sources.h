/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_POLICIES_SOURCES_H
#define PROVIUM_POLICIES_SOURCES_H

/*
 * From two directory trees to the files that make up one object: which main file, which drop-ins,
 * in which order.
 */

#include <policies/files.h>

struct unit;

/* Directories of the same purpose, the one that takes precedence first. */
enum { TREE_CONFIG, TREE_VENDOR, _TREES_N };

/*
 * Reads @base ("demo.slice") from the first of @trees that has it, then the drop-ins of both, those
 * in "@base.d" and in "@stem.d" ("demo.d"), into @unit, and judges the result (policies/check.h).
 * @path (FILES_PATH_MAX bytes) becomes the main file's, or "" if there is none. Negative if out of
 * memory; errors go to the unit's list.
 */
_must_check_ int sources_load(struct unit *unit, const struct dir trees[_TREES_N], const char *base,
                              const char *stem, char *path);

#endif
