/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "house.h"
#include "web.h"

static bool connect_to(struct web *web, const void *address, socklen_t length) {
        *web = (struct web){.fd = socket(((const struct sockaddr *)address)->sa_family,
                                         SOCK_STREAM | SOCK_CLOEXEC, 0)};
        need(web->fd >= 0);
        if (connect(web->fd, address, length) == 0)
                return true;
        close(web->fd);
        web->fd = -1;
        return false;
}

bool web_open(struct web *web) {
        const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = WEB_SOCKET};

        return connect_to(web, &address, sizeof(address));
}

bool web_open_tcp(struct web *web, int family, const char *address, unsigned port) {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

        if (family == AF_INET6) {
                need_int(inet_pton(AF_INET6, address, &in6.sin6_addr), 1);
                return connect_to(web, &in6, sizeof(in6));
        }
        need_int(inet_pton(AF_INET, address, &in.sin_addr), 1);
        return connect_to(web, &in, sizeof(in));
}

void web_close(struct web *web) {
        if (web->fd >= 0)
                close(web->fd);
        free(web->got);
        *web = (struct web){.fd = -1};
}

bool web_say(struct web *web, const char *text) {
        size_t length = strlen(text);

        while (length > 0) {
                ssize_t n = send(web->fd, text, length, MSG_NOSIGNAL);

                if (n < 0)
                        return false;
                text += n;
                length -= (size_t)n;
        }
        return true;
}

void web_get(struct web *web, const char *path, const char *lines) {
        char text[8192];

        snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", path, lines);
        need(web_say(web, text));
}

/* What has come by @deadline; false: nothing. */
static bool receive(struct web *web, uint64_t deadline_ms) {
        struct pollfd poll_fd = {.fd = web->fd, .events = POLLIN};
        uint64_t now = now_ms();
        char part[16384], *more;
        ssize_t n;

        if (web->closed || poll(&poll_fd, 1, deadline_ms > now ? (int)(deadline_ms - now) : 0) <= 0)
                return false;
        n = recv(web->fd, part, sizeof(part), 0);
        if (n <= 0) {
                web->closed = true;
                return false;
        }
        more = realloc(web->got, web->n + (size_t)n + 1);
        need(more != NULL);
        memcpy(more + web->n, part, (size_t)n);
        web->got = more;
        web->n += (size_t)n;
        web->got[web->n] = '\0';
        return true;
}

bool web_wait(struct web *web, const char *text, int timeout_ms) {
        uint64_t deadline = now_ms() + (uint64_t)timeout_ms;

        do
                if (web->got && strstr(web->got, text))
                        return true;
        while (receive(web, deadline));
        return false;
}

void web_finish(struct web *web) {
        uint64_t deadline = now_ms() + HOUSE_WAIT_MS;

        while (receive(web, deadline))
                ;
        need_that(web->closed, "the answer has no end; so far: %s", web->got ? web->got : "");
}

int web_status(const struct web *web) {
        int status = 0;

        return web->got && sscanf(web->got, "HTTP/1.1 %d", &status) == 1 ? status : -1;
}

const char *web_body(const struct web *web) {
        const char *end = web->got ? strstr(web->got, "\r\n\r\n") : NULL;

        return end ? end + 4 : "";
}

char *web_fetch(const char *path, int status) {
        struct web web;
        char *body;

        need(web_open(&web));
        web_get(&web, path, "");
        web_finish(&web);
        need_that(web_status(&web) == status, "GET %s: %s", path, web.got ? web.got : "nothing");
        body = strdup(web_body(&web));
        web_close(&web);
        return body;
}

json_t *web_fetch_json(const char *path) {
        char *body = web_fetch(path, 200);
        json_error_t error;
        json_t *object = json_loads(body, 0, &error);

        need_that(object != NULL, "GET %s: %s: %s", path, error.text, body);
        free(body);
        return object;
}
