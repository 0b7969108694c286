/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_GPU_TAG_H
#define PROVIUM_BROKER_GPU_TAG_H

/*
 * Whose is a mediated device? A UUID of version 8 (RFC 9562) that begins with a hash of the
 * broker's root is that broker's; the rest of it is chance.
 */

#include <base/macro.h>
#include <broker/gpu_found.h>

#define GPU_TAG_SIZE 6

struct gpu_tag {
        unsigned char bytes[GPU_TAG_SIZE];
};

/* @owner names the broker's root. */
void gpu_tag_init(struct gpu_tag *tag, const char *owner);

/* One that was never there. */
void gpu_tag_make_uuid(const struct gpu_tag *tag, char uuid[GPU_NAME_SIZE]);

_must_check_ bool gpu_tag_is_of(const struct gpu_tag *tag, const char *uuid);

#endif
