/* SPDX-License-Identifier: MIT */
/*
 * Tickets: nothing that was not signed is taken, whatever it looks like. The first byte chooses
 * between text as it comes and text signed with the right key (what a key that leaked would allow).
 */
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <broker/ticket.h>

#define check(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const unsigned char key[CGROUP_ROOT_KEY_SIZE] = {1, 2, 3};
        unsigned char mac[crypto_auth_BYTES];
        char text[REQUEST_TOKEN_MAX + 1] = "", id[RECORD_ID_MAX + 1] = "";
        char hex[2 * crypto_auth_BYTES + 1];
        uint64_t order = 0;
        bool taken;

        if (size < 1 || sodium_init() < 0)
                return 0;
        snprintf(text, sizeof(text), "%.*s",
                 (int)(size - 1 > REQUEST_TOKEN_MAX ? REQUEST_TOKEN_MAX : size - 1),
                 (const char *)data + 1);
        if (data[0] & 1) {
                size_t length = strnlen(text, REQUEST_TOKEN_MAX - sizeof(hex) - 1);

                crypto_auth(mac, (const unsigned char *)text, length, key);
                sodium_bin2hex(hex, sizeof(hex), mac, sizeof(mac));
                snprintf(text + length, sizeof(text) - length, ".%s", hex);
        }
        taken = ticket_parse(text, key, 1000, id, &order);
        check(!taken || (data[0] & 1));
        check(!taken ||
              (id[0] && strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789") == strlen(id)));
        return 0;
}
