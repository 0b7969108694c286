/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <broker/broker.h>
#include <broker/http_conn.h>
#include <broker/http_work.h>

struct http_work {
        const struct http_maker *maker;
        uid_t sees_as;
        char what[HTTP_WHAT_MAX + 1];
        void *state; /* NULL: not begun */
        struct http_requests sharers;
        TAILQ_ENTRY(http_work) link;
};

uint64_t http_thread_ns(void) {
        struct timespec now;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static struct http_work *find(struct http *http, const struct http_maker *maker, uid_t sees_as,
                              const char *what) {
        struct http_work *work;

        TAILQ_FOREACH(work, &http->works, link)
                if (!work->state && work->maker == maker && work->sees_as == sees_as &&
                    strcmp(work->what, what) == 0)
                        return work;
        return NULL;
}

static void work_free(struct http *http, struct http_work *work) {
        TAILQ_REMOVE(&http->works, work, link);
        work->maker->free(work->state);
        free(work);
}

int http_make(struct http_request *request, const struct http_maker *maker, const char *what) {
        struct http *http = request->http;
        uid_t sees_as = http_sees_as(request);
        struct http_work *work;

        assert(strlen(what) <= HTTP_WHAT_MAX);
        work = find(http, maker, sees_as, what);
        if (!work) {
                work = calloc(1, sizeof(*work));
                if (!work)
                        return fault(-ENOMEM);
                work->maker = maker;
                work->sees_as = sees_as;
                snprintf(work->what, sizeof(work->what), "%s", what);
                TAILQ_INIT(&work->sharers);
                TAILQ_INSERT_TAIL(&http->works, work, link);
        }
        request->work = work;
        TAILQ_INSERT_TAIL(&work->sharers, request, sharer);
        http_turn_at(http, 0);
        return 0;
}

void http_work_leave(struct http_request *request) {
        struct http_work *work = request->work;

        if (!work)
                return;
        request->work = NULL;
        TAILQ_REMOVE(&work->sharers, request, sharer);
        if (TAILQ_EMPTY(&work->sharers))
                work_free(request->http, work);
}

/* A body that many answers have in common. */
struct shared {
        char *body;
        uint64_t n;
};

static void shared_put(void *userdata) {
        struct shared *shared = userdata;

        if (--shared->n > 0)
                return;
        free(shared->body);
        free(shared);
}

static int share(struct shared *shared, size_t length, const char *type,
                 struct http_request *request) {
        struct MHD_Response *response;
        int r;

        response = MHD_create_response_from_buffer_with_free_callback_cls(length, shared->body,
                                                                          shared_put, shared);
        if (!response)
                return fault(-ENOMEM);
        shared->n++;
        r = http_add_headers(response, type, "no-store");
        if (r < 0)
                MHD_destroy_response(response);
        else
                http_set_response(request, MHD_HTTP_OK, response);
        return r;
}

static int give_to_all(struct http_work *work, char *body, size_t length) {
        struct shared *shared = malloc(sizeof(*shared));
        struct http_request *request;
        int r = 0;

        if (!shared) {
                free(body);
                return fault(-ENOMEM);
        }
        *shared = (struct shared){.body = body, .n = 1};
        while (r == 0 && (request = TAILQ_FIRST(&work->sharers))) {
                TAILQ_REMOVE(&work->sharers, request, sharer);
                request->work = NULL;
                r = share(shared, length, work->maker->type, request);
        }
        shared_put(shared);
        return r;
}

int http_work_advance(struct http *http, uint64_t until_ns) {
        struct http_work *work;

        while ((work = TAILQ_FIRST(&http->works))) {
                char *body = NULL;
                size_t length = 0;
                int r;

                if (!work->state)
                        work->state = work->maker->begin(http->broker, work->sees_as, work->what);
                if (!work->state)
                        return fault(-ENOMEM);
                r = work->maker->step(work->state, &body, &length);
                if (r == 0 && body) {
                        r = give_to_all(work, body, length);
                        work_free(http, work);
                }
                if (r < 0)
                        return r;
                if (http_thread_ns() >= until_ns)
                        break;
        }
        return 0;
}
