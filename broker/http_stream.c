/* SPDX-License-Identifier: MIT */
/*
 * A stream whose reader has nothing is suspended within libmicrohttpd's own call for more; so an
 * idle one costs nothing, and one whose peer does not read is not asked at all: the kernel's buffer
 * is full, and libmicrohttpd waits for room in it, until its own timeout.
 */
#include <broker/broker.h>
#include <broker/http_conn.h>

#define BLOCK 4096

static void sleep_until_poked(struct http_request *request) {
        uint64_t idle_usec = request->stream->idle_usec;

        request->suspended = true;
        MHD_suspend_connection(request->client->connection);
        request->wake_usec = idle_usec ? broker_now_usec() + idle_usec : UINT64_MAX;
        if (idle_usec)
                http_turn_at(request->http, request->wake_usec);
}

static ssize_t read_stream(void *userdata, uint64_t position, char *buffer, size_t size) {
        struct http_request *request = userdata;
        size_t n;

        /* What is left of a chunk's buffer may be too little to be of use. */
        n = request->stream->read(request->stream_userdata, buffer, size);
        assert(n <= size);
        if (n == 0)
                sleep_until_poked(request);
        return (ssize_t)n;
}

int http_stream(struct http_request *request, const char *type, const struct http_stream *stream,
                void *userdata) {
        struct MHD_Response *response;
        int r;

        if (request->head) {
                stream->gone(userdata);
                return http_answer(request, MHD_HTTP_OK, type, NULL, 0);
        }
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_stream, request,
                                                     NULL);
        r = response ? http_add_headers(response, type, "no-store") : fault(-ENOMEM);
        if (r < 0) {
                if (response)
                        MHD_destroy_response(response);
                stream->gone(userdata);
                return r;
        }
        request->stream = stream;
        request->stream_userdata = userdata;
        request->wake_usec = UINT64_MAX;
        TAILQ_INSERT_TAIL(&request->http->streams, request, streaming);
        http_set_response(request, MHD_HTTP_OK, response);
        return 0;
}

void http_stream_poke(struct http_request *request) {
        http_ready(request);
}
