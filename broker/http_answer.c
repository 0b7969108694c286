/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <broker/broker.h>
#include <broker/http_conn.h>
#include <broker/http_parse.h>

/*
 * For the dashboard, and for everybody who opens one of the others in a browser: nothing but our
 * own files, nothing inline, in nobody's frame. What is answered changes, and must not be kept by
 * anybody on the way, unless it has a tag by which it is asked for again.
 */
static const struct {
        const char *name, *value;
} fixed_headers[] = {
        {"Content-Security-Policy",
         "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src "
         "'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
         "require-trusted-types-for 'script'; trusted-types 'none'"},
        {"X-Content-Type-Options", "nosniff"},
        {"X-Frame-Options", "DENY"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Cross-Origin-Opener-Policy", "same-origin"},
        /* One request for a connection: nobody holds one for later. */
        {"Connection", "close"},
};

struct broker *http_broker(struct http_request *request) {
        return request->http->broker;
}

uid_t http_sees_as(const struct http_request *request) {
        const struct http_policy *policy = &request->http->broker->policy->broker.http;

        if (!request->client->peer.tcp)
                return request->client->peer.uid;
        return policy->show == HTTP_SHOW_ALL ? 0 : HTTP_NOBODY;
}

const char *http_argument(const struct http_request *request, const char *name) {
        return MHD_lookup_connection_value(request->client->connection, MHD_GET_ARGUMENT_KIND,
                                           name);
}

const char *http_header(const struct http_request *request, const char *name) {
        return MHD_lookup_connection_value(request->client->connection, MHD_HEADER_KIND, name);
}

bool http_is_head(const struct http_request *request) {
        return request->head;
}

int http_add_headers(struct MHD_Response *response, const char *type, const char *cache) {
        bool good = true;

        for (size_t i = 0; i < ARRAY_SIZE(fixed_headers); i++)
                good &= MHD_add_response_header(response, fixed_headers[i].name,
                                                fixed_headers[i].value) == MHD_YES;
        if (type)
                good &= MHD_add_response_header(response, "Content-Type", type) == MHD_YES;
        good &= MHD_add_response_header(response, "Cache-Control", cache) == MHD_YES;
        return good ? 0 : fault(-ENOMEM);
}

void http_ready(struct http_request *request) {
        if (!request->suspended || request->ready)
                return;
        request->ready = true;
        TAILQ_INSERT_TAIL(&request->http->ready, request, waiting);
        http_turn_at(request->http, 0);
}

void http_turn_at(struct http *http, uint64_t usec) {
        if (http->resting)
                usec = max_u64(usec, http->rest_usec);
        if (!http->timer || usec >= http->timer_usec)
                return;
        http->timer_usec = usec;
        sd_event_source_set_time(http->timer, usec);
        sd_event_source_set_enabled(http->timer, SD_EVENT_ONESHOT);
}

void http_set_response(struct http_request *request, unsigned status,
                       struct MHD_Response *response) {
        assert(!request->response);
        request->status = status;
        request->response = response;
        request->gone = NULL;
        http_ready(request);
}

int http_answer(struct http_request *request, unsigned status, const char *type, char *body,
                size_t length) {
        struct MHD_Response *response;
        int r;

        response = MHD_create_response_from_buffer(
                length, body ?: (char *)"", body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
        if (!response) {
                free(body);
                return fault(-ENOMEM);
        }
        r = http_add_headers(response, type, "no-store");
        if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
                (void)MHD_add_response_header(response, "Allow", "GET, HEAD");
        if (r < 0) {
                MHD_destroy_response(response);
                return r;
        }
        http_set_response(request, status, response);
        return 0;
}

int http_answer_shared(struct http_request *request, const char *type, const char *body,
                       size_t length, void (*put)(void *), void *userdata) {
        struct MHD_Response *response;
        int r;

        response = MHD_create_response_from_buffer_with_free_callback_cls(length, (void *)body, put,
                                                                          userdata);
        if (!response) {
                put(userdata);
                return fault(-ENOMEM);
        }
        r = http_add_headers(response, type, "no-store");
        if (r < 0)
                MHD_destroy_response(response);
        else
                http_set_response(request, MHD_HTTP_OK, response);
        return r;
}

int http_answer_json(struct http_request *request, unsigned status, json_t *object) {
        char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
        size_t length;

        json_decref(object);
        if (!text)
                return fault(-ENOMEM);
        length = strlen(text);
        /* A line for people with a terminal, in the place of the NUL. */
        text[length] = '\n';
        return http_answer(request, status, HTTP_JSON, text, length + 1);
}

int http_answer_error(struct http_request *request, unsigned status, const char *format, ...) {
        char text[768];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        return http_answer_json(request, status,
                                json_pack("{s:s s:i}", "error", text, "status", (int)status));
}

int http_answer_asset(struct http_request *request, const struct http_asset *asset) {
        const char *known = http_header(request, "If-None-Match");
        bool same = asset->etag && known && http_etag_matches(known, asset->etag);
        struct MHD_Response *response;
        int r;

        response = MHD_create_response_from_buffer(same ? 0 : asset->length, (void *)asset->body,
                                                   MHD_RESPMEM_PERSISTENT);
        if (!response)
                return fault(-ENOMEM);
        r = http_add_headers(response, asset->type, asset->etag ? "no-cache" : "no-store");
        if (r == 0 && asset->etag &&
            MHD_add_response_header(response, "ETag", asset->etag) != MHD_YES)
                r = fault(-ENOMEM);
        if (r < 0) {
                MHD_destroy_response(response);
                return r;
        }
        http_set_response(request, same ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, response);
        return 0;
}

void http_later(struct http_request *request, void (*gone)(void *userdata), void *userdata) {
        request->gone = gone;
        request->userdata = userdata;
}
