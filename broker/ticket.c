/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include <broker/ticket.h>

static_assert(CGROUP_ROOT_KEY_SIZE == crypto_auth_KEYBYTES, "the key is crypto_auth's");
static_assert(RECORD_ID_MAX + 2 * 21 + 2 * crypto_auth_BYTES + 1 <= REQUEST_TOKEN_MAX,
              "a ticket fits its field");

static void sign(char hex[2 * crypto_auth_BYTES + 1], const unsigned char *key, const char *text,
                 size_t length) {
        unsigned char mac[crypto_auth_BYTES];

        crypto_auth(mac, (const unsigned char *)text, length, key);
        sodium_bin2hex(hex, 2 * crypto_auth_BYTES + 1, mac, sizeof(mac));
}

void ticket_format(char text[REQUEST_TOKEN_MAX + 1], const unsigned char key[CGROUP_ROOT_KEY_SIZE],
                   const char *id, uint64_t order, uid_t uid) {
        char mac[2 * crypto_auth_BYTES + 1];
        int n;

        n = snprintf(text, REQUEST_TOKEN_MAX + 1, "%s.%" PRIu64 ".%u", id, order, (unsigned)uid);
        sign(mac, key, text, (size_t)n);
        snprintf(text + n, REQUEST_TOKEN_MAX + 1 - (size_t)n, ".%s", mac);
}

bool ticket_parse(const char *text, const unsigned char key[CGROUP_ROOT_KEY_SIZE], uid_t uid,
                  char id[RECORD_ID_MAX + 1], uint64_t *orderp) {
        char mac[2 * crypto_auth_BYTES + 1], parsed_id[RECORD_ID_MAX + 1];
        const char *last = strrchr(text, '.');
        unsigned parsed_uid;
        uint64_t order;
        int end = 0;

        if (!last || strlen(last + 1) != sizeof(mac) - 1)
                return false;
        sign(mac, key, text, (size_t)(last - text));
        if (sodium_memcmp(mac, last + 1, sizeof(mac) - 1) != 0)
                return false;
        /* Ours, unchanged: what follows is what ticket_format wrote. */
        if (sscanf(text, "%16[a-z0-9].%" SCNu64 ".%u%n", parsed_id, &order, &parsed_uid, &end) !=
                    3 ||
            text + end != last || parsed_uid != uid)
                return false;
        strcpy(id, parsed_id);
        *orderp = order;
        return true;
}
