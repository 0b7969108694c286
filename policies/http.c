/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <policies/http.h>

#include <base/text.h>
#include <base/units.h>
#include <base/why.h>

#define PORT_MAX 65535
#define HOST_MAX 253
#define BLANKS " \t"

static bool read_port(const char *text, uint16_t *portp) {
        uint64_t port;

        if (strspn(text, "0123456789") != strlen(text) || units_parse_count(text, &port, NULL) ||
            port == 0 || port > PORT_MAX)
                return false;
        *portp = (uint16_t)port;
        return true;
}

/* @word is changed. */
static bool read_listen(char *word, struct policy_listen *listen) {
        char *host = word, *port = strrchr(word, ':');

        *listen = (struct policy_listen){.family = AF_INET};
        snprintf(listen->text, sizeof(listen->text), "%s", word);
        if (!port)
                return false;
        *port++ = '\0';
        if (host[0] == '[') {
                size_t length = strlen(host);

                if (host[length - 1] != ']')
                        return false;
                host[length - 1] = '\0';
                host++;
                listen->family = AF_INET6;
        }
        return inet_pton(listen->family, host, listen->bytes) == 1 &&
               read_port(port, &listen->port);
}

/* The next word of *textp into @word; false: there is none. One that is too long is cut, and so
 * is none that anybody takes. */
static bool next_word(const char **textp, char *word, size_t size) {
        const char *text = *textp + strspn(*textp, BLANKS);
        size_t length = strcspn(text, BLANKS);

        *textp = text + length;
        snprintf(word, size, "%.*s", (int)length, text);
        return length > 0;
}

int policy_parse_listens(const char *text, struct policy_listen listens[POLICY_LISTENS_MAX],
                         size_t *np, struct why *why) {
        char word[POLICY_LISTEN_TEXT_MAX + 2], quoted[96];
        size_t n = 0;

        while (next_word(&text, word, sizeof(word))) {
                struct policy_listen listen;
                size_t length = strlen(word);

                text_escape(word, quoted, sizeof(quoted));
                if (length > POLICY_LISTEN_TEXT_MAX || !read_listen(word, &listen))
                        return why_set(why, POLICY_E_INVALID,
                                       "\"%s\" is not an address with its port; valid is "
                                       "A.B.C.D:PORT, such as 127.0.0.1:9787, or [IPv6]:PORT, such "
                                       "as [::1]:9787",
                                       quoted);
                for (size_t i = 0; i < n; i++)
                        if (strcmp(listens[i].text, listen.text) == 0)
                                return why_set(why, POLICY_E_INVALID, "\"%s\" stands there twice",
                                               quoted);
                if (n == POLICY_LISTENS_MAX)
                        return why_set(why, POLICY_E_INVALID, "more than %d addresses",
                                       POLICY_LISTENS_MAX);
                listens[n++] = listen;
        }
        *np = n;
        return 0;
}

int policy_check_hosts(const char *text, struct why *why) {
        static const char valid[] =
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
        char word[HOST_MAX + 2], quoted[96];

        while (next_word(&text, word, sizeof(word)))
                if (strlen(word) > HOST_MAX || strspn(word, valid) != strlen(word))
                        return why_set(why, POLICY_E_INVALID,
                                       "\"%s\" is not the name of a host; valid are letters, "
                                       "digits, '.', '-' and '_', without a port",
                                       text_escape(word, quoted, sizeof(quoted)));
        return 0;
}
