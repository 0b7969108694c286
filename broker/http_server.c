/* SPDX-License-Identifier: MIT */
/*
 * libmicrohttpd 0.9.75, and what of it the code relies on:
 *
 *   - with MHD_USE_EPOLL and no thread of its own, everything happens within MHD_run(), which never
 *     waits, and within MHD_add_connection();
 *   - a suspended connection is out of its epoll, and is looked at by nobody until it is resumed;
 *     MHD_resume_connection() makes the epoll readable;
 *   - whoever is called back may suspend;
 *   - MHD_run() looks at every connection that is ready, so how many become ready is what bounds a
 *     turn: connections are accepted a few at a time, and resumed a few at a time;
 *   - the memory of a connection is one block, allocated when it comes; what does not fit into it
 *     (a long URL, many headers) is answered with 414 or 431 by itself.
 */
#include <microhttpd.h>
#include <string.h>
#include <sys/socket.h>

#include <base/fd.h>
#include <broker/broker.h>
#include <broker/http_conn.h>
#include <broker/http_events.h>
#include <broker/http_listen.h>
#include <broker/http_parse.h>
#include <broker/http_routes.h>
#include <broker/http_server.h>
#include <broker/http_work.h>

#define CONNECTION_MEMORY (16 * 1024)  /* a request's head, or a part of an answer */
#define IDLE_S 20                      /* without a byte either way */
#define HEAD_USEC UINT64_C(10000000)   /* from connect(2) to the end of the head */
#define ANSWER_USEC UINT64_C(60000000) /* from there to the end of the answer, streams apart */
#define RESUMES_PER_TURN 16
#define WORK_NS UINT64_C(250000)           /* a turn's part in making bodies */
#define QUIET_USEC UINT64_C(500000)        /* for answers to be written, before a re-execution */
#define REST 4                             /* times what a turn took */
#define AHEAD_USEC (REST * UINT64_C(2000)) /* of rest that is owed before it is taken */

/* Whoever waits for a VM comes before those who read. A loop that has always something to do for
 * the former would never come to the latter, /healthz among them: so those are as urgent as any
 * once they have had no turn for a while. */
#define BEHIND_PRIORITY (SD_EVENT_PRIORITY_NORMAL + 50)
#define PATIENCE_USEC UINT64_C(100000)

/* From now on it has no answer to wait for. */
static void forget(struct http_request *request) {
        http_work_leave(request);
        if (request->gone)
                request->gone(request->userdata);
        request->gone = NULL;
}

static void on_completed(void *userdata, struct MHD_Connection *connection, void **contextp,
                         enum MHD_RequestTerminationCode code) {
        struct http_request *request = take(*contextp);
        struct http *http = userdata;

        if (!request)
                return;
        forget(request);
        if (request->ready)
                TAILQ_REMOVE(&http->ready, request, waiting);
        if (request->stream) {
                TAILQ_REMOVE(&http->streams, request, streaming);
                request->stream->gone(request->stream_userdata);
        }
        if (request->response)
                MHD_destroy_response(request->response);
        request->client->request = NULL;
        free(request);
}

static void on_connection(void *userdata, struct MHD_Connection *connection, void **contextp,
                          enum MHD_ConnectionNotificationCode code) {
        struct http *http = userdata;
        struct http_client *client;

        if (code == MHD_CONNECTION_NOTIFY_STARTED) {
                client = take(http->arriving);
                client->connection = connection;
                TAILQ_INSERT_TAIL(&http->clients, client, link);
                http->n_clients++;
                *contextp = client;
        } else {
                client = take(*contextp);
                TAILQ_REMOVE(&http->clients, client, link);
                http->n_clients--;
                free(client);
                http_listen_again(http);
        }
}

static enum MHD_Result queue_response(struct http_request *request) {
        struct MHD_Response *response = take(request->response);
        enum MHD_Result result;

        result = MHD_queue_response(request->client->connection, request->status, response);
        MHD_destroy_response(response);
        return result;
}

static enum MHD_Result note_fault(struct http *http, int r) {
        http->fault = r;
        return MHD_NO;
}

static enum MHD_Result begin_request(struct http *http, struct MHD_Connection *connection,
                                     const char *method, void **contextp) {
        struct http_client *client =
                MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
                        ->socket_context;
        struct http_request *request = calloc(1, sizeof(*request));
        int r;

        if (!request)
                return note_fault(http, fault(-ENOMEM));
        request->http = http;
        request->client = client;
        request->head = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
        client->request = request;
        client->until_usec = broker_now_usec() + ANSWER_USEC;
        *contextp = request;
        /* Now, before any of a body is read: then it is not, and the connection ends. */
        r = http_routes_check_method(request, method);
        if (r < 0)
                return note_fault(http, r);
        return request->response ? queue_response(request) : MHD_YES;
}

/* Called at the end of the head; again, when there is nothing more of the request; and again when
 * it was resumed. */
static enum MHD_Result on_request(void *userdata, struct MHD_Connection *connection,
                                  const char *url, const char *method, const char *version,
                                  const char *upload, size_t *upload_size, void **contextp) {
        struct http_request *request = *contextp;
        struct http *http = userdata;
        int r;

        if (!request)
                return begin_request(http, connection, method, contextp);
        if (!request->dispatched) {
                request->dispatched = true;
                r = http_routes_dispatch(request, url);
                if (r < 0)
                        return note_fault(http, r);
        }
        if (request->response)
                return queue_response(request);
        request->suspended = true;
        MHD_suspend_connection(connection);
        return MHD_YES;
}

static void resume(struct http_request *request) {
        request->suspended = false;
        request->wake_usec = UINT64_MAX;
        MHD_resume_connection(request->client->connection);
}

static void resume_some(struct http *http) {
        struct http_request *request;

        for (int i = 0; i < RESUMES_PER_TURN && (request = TAILQ_FIRST(&http->ready)); i++) {
                TAILQ_REMOVE(&http->ready, request, waiting);
                request->ready = false;
                resume(request);
        }
}

/* Who takes too long to ask is cut off, who does not take the answer too; who has got none is told.
 */
static int end_client(struct http_client *client) {
        struct http_request *request = client->request;

        client->until_usec = UINT64_MAX;
        if (request && request->suspended && !request->stream && !request->response) {
                forget(request);
                return http_answer_error(request, MHD_HTTP_SERVICE_UNAVAILABLE,
                                         "the answer took too long: try again");
        }
        if (!request || !request->stream)
                (void)shutdown(client->fd, SHUT_RDWR);
        return 0;
}

static int heed_deadlines(struct http *http, uint64_t now) {
        struct http_request *request;
        struct http_client *client;

        TAILQ_FOREACH(client, &http->clients, link)
                if (client->until_usec <= now) {
                        int r = end_client(client);

                        if (r < 0)
                                return r;
                }
        TAILQ_FOREACH(request, &http->streams, streaming)
                if (request->suspended && (http->poked || request->wake_usec <= now))
                        http_ready(request);
        http->poked = false;
        return 0;
}

static uint64_t next_deadline(const struct http *http, uint64_t now) {
        const struct http_request *request;
        const struct http_client *client;
        uint64_t next = http->listen_usec;
        unsigned long long timeout_ms;

        if (!TAILQ_EMPTY(&http->ready) || !TAILQ_EMPTY(&http->works))
                return 0;
        if (MHD_get_timeout(http->daemon, &timeout_ms) == MHD_YES)
                next = min_u64(next, now + timeout_ms * 1000);
        TAILQ_FOREACH(client, &http->clients, link)
                next = min_u64(next, client->until_usec);
        TAILQ_FOREACH(request, &http->streams, streaming)
                if (request->suspended)
                        next = min_u64(next, request->wake_usec);
        return next;
}

static void rest(struct http *http, uint64_t since_usec, uint64_t used_ns) {
        http->rest_usec = max_u64(http->rest_usec, since_usec) + REST * used_ns / 1000;
        if (http->rest_usec <= broker_now_usec() + AHEAD_USEC)
                return;
        http->resting = true;
        sd_event_source_set_enabled(http->io, SD_EVENT_OFF);
        http_listen_enable(http, false);
}

static void set_priority(struct http *http, int64_t priority) {
        if (http->priority == priority)
                return;
        http->priority = priority;
        sd_event_source_set_priority(http->io, priority);
        sd_event_source_set_priority(http->timer, priority);
        http_listen_heed_priority(http);
}

/* Before the loop looks for what is next. */
static int on_prepare(sd_event_source *source, void *userdata) {
        struct http *http = userdata;
        bool patient = broker_now_usec() - http->turn_usec < PATIENCE_USEC;

        set_priority(http, patient ? BEHIND_PRIORITY : SD_EVENT_PRIORITY_NORMAL);
        return 0;
}

static int turn(struct http *http) {
        uint64_t now = broker_now_usec(), start_ns = http_thread_ns();
        int r;

        http->turn_usec = now;
        http_listen_retry(http, now);
        r = heed_deadlines(http, now);
        if (r == 0)
                r = http_work_advance(http, start_ns + WORK_NS);
        if (r < 0)
                return r;
        resume_some(http);
        MHD_run(http->daemon);
        if (http->fault < 0)
                return http->fault;
        rest(http, now, http_thread_ns() - start_ns);
        http_turn_at(http, http->resting ? 0 : next_deadline(http, broker_now_usec()));
        return 0;
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct http *http = userdata;
        int r;

        r = turn(http);
        return r < 0 ? broker_fault(http->broker, r) : 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct http *http = userdata;

        http->timer_usec = UINT64_MAX;
        /* It was set before the rest was known. */
        if (http->resting && broker_now_usec() < http->rest_usec) {
                http_turn_at(http, 0);
                return 0;
        }
        if (http->resting || http->full) {
                http->resting = http->full = false;
                sd_event_source_set_enabled(http->io, SD_EVENT_ON);
                http_listen_enable(http, true);
        }
        return on_io(NULL, -1, 0, http);
}

void http_admit(struct http *http, int fd, const struct http_peer *peer,
                const struct sockaddr *address, socklen_t length) {
        struct http_client *client = calloc(1, sizeof(*client));

        if (!client) {
                fd_close(fd);
                return;
        }
        client->http = http;
        client->peer = *peer;
        client->fd = fd;
        client->until_usec = broker_now_usec() + HEAD_USEC;
        http->arriving = client;
        /* Whatever comes of it, the socket is libmicrohttpd's now, and the client is freed when
         * that says that it ended, if it ever said that it began. */
        (void)!MHD_add_connection(http->daemon, fd, address, length);
        free(take(http->arriving));
        http_turn_at(http, 0);
}

static int start_daemon(struct http *http) {
        const union MHD_DaemonInfo *info;

        http->daemon = MHD_start_daemon(
                MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
                on_request, http, MHD_OPTION_CONNECTION_LIMIT, HTTP_CLIENTS_MAX + 1,
                MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                (size_t)CONNECTION_MEMORY, MHD_OPTION_STRICT_FOR_CLIENT, 1,
                MHD_OPTION_NOTIFY_COMPLETED, on_completed, http, MHD_OPTION_NOTIFY_CONNECTION,
                on_connection, http, MHD_OPTION_END);
        info = http->daemon ? MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
        if (!info) {
                log_error("HTTP: libmicrohttpd cannot be started: nobody is served");
                return 0;
        }
        return sd_event_add_io(http->broker->event, &http->io, info->epoll_fd, EPOLLIN, on_io,
                               http);
}

int http_init(struct broker *broker) {
        struct http *http = calloc(1, sizeof(*http));
        int r;

        if (!http)
                return fault(-ENOMEM);
        broker->http = http;
        http->broker = broker;
        for (size_t i = 0; i < HTTP_LISTENERS_MAX; i++)
                http->listeners[i].fd = -1;
        http->listen_usec = UINT64_MAX;
        http->timer_usec = UINT64_MAX;
        TAILQ_INIT(&http->clients);
        TAILQ_INIT(&http->ready);
        TAILQ_INIT(&http->streams);
        TAILQ_INIT(&http->works);
        http_events_init(http);
        r = start_daemon(http);
        if (r >= 0)
                r = sd_event_add_time(broker->event, &http->timer, CLOCK_BOOTTIME, 0, 1, on_timer,
                                      http);
        if (r >= 0)
                r = sd_event_source_set_enabled(http->timer, SD_EVENT_OFF);
        /* One of the two is on as long as anybody is connected or could be. */
        if (r >= 0)
                r = sd_event_source_set_prepare(http->timer, on_prepare);
        if (r >= 0 && http->io)
                r = sd_event_source_set_prepare(http->io, on_prepare);
        if (r < 0)
                return fault(r);
        http_listen_unpack(http, json_object_get(broker->resume, "http"));
        for (size_t i = 0; i < broker->n_http_fds; i++)
                http_listen_adopt(http, broker->http_fds[i]);
        http_listen_follow(http);
        return 0;
}

bool http_quiesce(struct broker *broker) {
        const struct http_client *client;
        struct http *http = broker->http;

        if (!http || !http->daemon)
                return true;
        if (!http->quiet) {
                http->quiet = true;
                http->quiet_usec = broker_now_usec() + QUIET_USEC;
                http_listen_enable(http, false);
        }
        TAILQ_FOREACH(client, &http->clients, link)
                if (!client->request || !client->request->stream)
                        return broker_now_usec() >= http->quiet_usec;
        return true;
}

void http_unquiesce(struct broker *broker) {
        if (!broker->http || !broker->http->quiet)
                return;
        broker->http->quiet = false;
        http_listen_enable(broker->http, true);
}

json_t *http_pack(const struct broker *broker) {
        return broker->http ? http_listen_pack(broker->http) : json_array();
}

void http_each_fd(const struct broker *broker, void (*fn)(int fd)) {
        for (size_t i = 0; broker->http && i < HTTP_LISTENERS_MAX; i++)
                if (broker->http->listeners[i].name[0] && broker->http->listeners[i].fd >= 0)
                        fn(broker->http->listeners[i].fd);
}

uint64_t http_connections(const struct broker *broker) {
        return broker->http ? broker->http->n_clients : 0;
}

void http_free(struct http *http) {
        struct http_client *client;

        if (!http)
                return;
        http_listen_close(http);
        /* It may not be stopped with one suspended. */
        TAILQ_FOREACH(client, &http->clients, link)
                if (client->request && client->request->suspended)
                        resume(client->request);
        if (http->daemon)
                MHD_stop_daemon(http->daemon);
        http_events_deinit(http);
        assert(TAILQ_EMPTY(&http->clients) && TAILQ_EMPTY(&http->works));
        sd_event_source_disable_unref(http->io);
        sd_event_source_disable_unref(http->timer);
        free(http);
}
