/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_CLI_DROPIN_H
#define PROVIUM_CLI_DROPIN_H

/*
 * A drop-in of broker.conf that a command writes, whole or not at all.
 */

#include <base/macro.h>

struct why;

#define DROPIN_DIR "broker.conf.d"

enum {
        _DROPIN_E_SUCCESS,
        DROPIN_E_ABSENT, /* @config_dir is not there */
        DROPIN_E_DENIED, /* we may not write there */
        DROPIN_E_HOST,   /* the kernel refused something else */
};

/* Whether a drop-in could be written, as far as that shows without writing: to be asked before
 * something that takes long. */
_must_check_ int dropin_check(const char *config_dir, struct why *why);

/*
 * Writes @text as @name (which ends in ".conf") below broker.conf.d of @config_dir, made if need
 * be. The file that was there before stays until the new one is on the disk. Blocks on the disk.
 */
_must_check_ int dropin_write(const char *config_dir, const char *name, const char *text,
                              struct why *why);

#endif
