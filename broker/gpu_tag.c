/* SPDX-License-Identifier: MIT */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include <broker/gpu_tag.h>

void gpu_tag_init(struct gpu_tag *tag, const char *owner) {
        unsigned char hash[crypto_generichash_BYTES];

        crypto_generichash(hash, sizeof(hash), (const unsigned char *)owner, strlen(owner), NULL,
                           0);
        memcpy(tag->bytes, hash, GPU_TAG_SIZE);
}

void gpu_tag_make_uuid(const struct gpu_tag *tag, char uuid[GPU_NAME_SIZE]) {
        unsigned char b[16];

        randombytes_buf(b, sizeof(b));
        memcpy(b, tag->bytes, GPU_TAG_SIZE);
        b[6] = 0x80 | (b[6] & 0x0f);
        b[8] = 0x80 | (b[8] & 0x3f);
        snprintf(uuid, GPU_NAME_SIZE,
                 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
                 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
                 b[15]);
}

bool gpu_tag_is_of(const struct gpu_tag *tag, const char *uuid) {
        const unsigned char *b = tag->bytes;
        char start[16];

        snprintf(start, sizeof(start), "%02x%02x%02x%02x-%02x%02x-8", b[0], b[1], b[2], b[3], b[4],
                 b[5]);
        return strncmp(uuid, start, strlen(start)) == 0;
}
