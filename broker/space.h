/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_SPACE_H
#define PROVIUM_BROKER_SPACE_H

/*
 * What lies on the disk: the blocks that images, OCI cache, volumes and overlays really take
 * (sparse files count what they have), as found by walking their directories.
 *
 * A walk reads directories that may be large, cold, or hang: it is done in a thread beside the
 * loop, which shares nothing with it but its result, and only when somebody asks: whoever asks
 * gets what the last walk found, and one that is older than SPACE_FRESH_USEC begins another.
 */

#include <jansson.h>

#include <broker/connection.h>

struct broker;
struct space;

#define SPACE_FRESH_USEC UINT64_C(2000000)

/* Negative: a fault. */
_must_check_ int space_open(struct broker *broker);
void space_close(struct broker *broker);

/* {images_bytes, oci_cache_bytes, volumes_bytes, overlays_bytes}; NULL: no walk has ended yet. */
json_t *space_breakdown(struct broker *broker);

/* Answers whether @size_bytes more of images may come, at once or when a walk has ended. Negative:
 * a fault. */
_must_check_ int space_check_image(struct connection *connection, uint64_t size_bytes);
/* Is somebody waiting for a walk? Then the program is not replaced just now. */
bool space_is_asked(const struct broker *broker);
/* @connection goes and asks no more. */
void space_forget(struct connection *connection);

#endif
