/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include <broker/http_parse.h>

#define HOST_MAX 255

static bool list_has(const char *list, const char *name,
                     int (*compare)(const char *a, const char *b, size_t n)) {
        size_t length = strlen(name);

        while (length > 0 && *list) {
                size_t n;

                list += strspn(list, " \t");
                n = strcspn(list, " \t");
                if (n == length && compare(list, name, n) == 0)
                        return true;
                list += n;
        }
        return false;
}

bool http_list_has(const char *list, const char *name) {
        return list_has(list, name, strncmp);
}

bool http_etag_matches(const char *header, const char *etag) {
        size_t length = strlen(etag);

        header += strspn(header, " \t");
        if (strcmp(header, "*") == 0)
                return true;
        while (*header) {
                header += strspn(header, " \t,");
                if (strncmp(header, "W/", 2) == 0)
                        header += 2;
                if (strncmp(header, etag, length) == 0 &&
                    (header[length] == '\0' || strchr(" \t,", header[length])))
                        return true;
                /* Past this one: a comma within its quotes does not end it. */
                if (*header == '"') {
                        const char *end = strchr(header + 1, '"');

                        if (!end)
                                return false;
                        header = end + 1;
                }
                header += strcspn(header, ",");
        }
        return false;
}

bool http_parse_seq(const char *text, uint64_t *seqp) {
        uint64_t value = 0;

        if (!*text)
                return false;
        for (; *text; text++) {
                uint64_t digit = (uint64_t)(*text - '0');

                if (*text < '0' || *text > '9' || value > (INT64_MAX - digit) / 10)
                        return false;
                value = value * 10 + digit;
        }
        *seqp = value;
        return true;
}

static bool is_port(const char *text) {
        return *text && strspn(text, "0123456789") == strlen(text) && strlen(text) <= 5;
}

static bool is_address(int family, const char *text) {
        unsigned char bytes[16];

        return inet_pton(family, text, bytes) == 1;
}

static bool is_localhost(const char *name) {
        static const char suffix[] = ".localhost";
        size_t n = strlen(name);

        return strcasecmp(name, suffix + 1) == 0 ||
               (n > strlen(suffix) && strcasecmp(name + n - strlen(suffix), suffix) == 0);
}

bool http_host_is_ours(const char *host, const char *names, bool plain) {
        char name[HOST_MAX + 1];
        const char *port;
        size_t length;

        if (strlen(host) > HOST_MAX)
                return false;
        if (host[0] == '[') {
                const char *end = strchr(host, ']');

                if (!end || (end[1] && (end[1] != ':' || !is_port(end + 2))))
                        return false;
                length = (size_t)(end - host - 1);
                memcpy(name, host + 1, length);
                name[length] = '\0';
                return is_address(AF_INET6, name);
        }
        port = strchr(host, ':');
        if (port && !is_port(port + 1))
                return false;
        length = port ? (size_t)(port - host) : strlen(host);
        memcpy(name, host, length);
        name[length] = '\0';
        /* The root's dot says the same name. */
        if (length > 0 && name[length - 1] == '.')
                name[--length] = '\0';
        if (length == 0)
                return plain;
        if (is_address(AF_INET, name) || is_localhost(name))
                return true;
        if (list_has(names, name, strncasecmp))
                return true;
        return plain && !strchr(name, '.');
}
