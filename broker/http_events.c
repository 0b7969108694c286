/* SPDX-License-Identifier: MIT */
/*
 * https://html.spec.whatwg.org/multipage/server-sent-events.html. No event has a type of its own
 * there: what it is stands in its JSON, and whoever listens hears kinds that he does not know yet,
 * too.
 */
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>

#include <broker/broker.h>
#include <broker/http.h>
#include <broker/http_conn.h>
#include <broker/http_events.h>
#include <broker/http_parse.h>
#include <broker/pool_state.h>
#include <base/why.h>

#define GREETING "retry: 2000\n\n" /* milliseconds, until a browser comes back */
#define HEARTBEAT_USEC UINT64_C(15000000)

struct reader {
        struct http *http;
        struct events_reader events;
        bool samples;       /* pool_state is wanted */
        uint64_t n_samples; /* of http's: what was told */
        char *text;         /* what is being told; NULL: nothing */
        size_t length, told;
        uint64_t told_usec; /* when something was told last */
};

/* A sample has no number of its own, so it is not where a reader goes on. */
static char *format(const json_t *event, bool numbered, size_t *lengthp) {
        json_int_t seq = json_integer_value(json_object_get(event, "seq"));
        char *json = json_dumps(event, JSON_COMPACT), *text = NULL;
        int n = -1;

        if (json && numbered)
                n = asprintf(&text, "id: %" JSON_INTEGER_FORMAT "\ndata: %s\n\n", seq, json);
        else if (json)
                n = asprintf(&text, "data: %s\n\n", json);
        free(json);
        *lengthp = n > 0 ? (size_t)n : 0;
        return n > 0 ? text : NULL;
}

/* Finds what to tell next. False: there is nothing now. */
static bool next_text(struct reader *reader) {
        struct http *http = reader->http;
        json_t *event = NULL;

        if (reader->samples && reader->n_samples != http->n_samples) {
                reader->n_samples = http->n_samples;
                reader->text = http->sample ? strdup(http->sample) : NULL;
                reader->length = reader->text ? strlen(reader->text) : 0;
        } else if (events_read(&http->broker->events, &reader->events, &event) < 0) {
                http->fault = -ENOMEM;
        } else if (event) {
                reader->text = format(event, true, &reader->length);
                json_decref(event);
                if (!reader->text)
                        http->fault = -ENOMEM;
        }
        reader->told = 0;
        return reader->text != NULL;
}

static size_t read_events(void *userdata, char *buffer, size_t size) {
        static const char beat[] = {':', '\n', '\n'};
        struct reader *reader = userdata;
        uint64_t now = broker_now_usec();
        size_t n = 0;

        while (n < size && (reader->text || next_text(reader))) {
                size_t part = min_u64(reader->length - reader->told, size - n);

                memcpy(buffer + n, reader->text + reader->told, part);
                n += part;
                reader->told += part;
                if (reader->told == reader->length)
                        free(take(reader->text));
        }
        /* A line that says nothing shows whether anybody is there. */
        if (n == 0 && now - reader->told_usec >= HEARTBEAT_USEC) {
                memcpy(buffer, beat, sizeof(beat));
                n = sizeof(beat);
        }
        if (n > 0)
                reader->told_usec = now;
        return n;
}

static void reader_gone(void *userdata) {
        struct reader *reader = userdata;

        if (reader->samples)
                pool_state_unlisten(reader->http->broker);
        free(reader->text);
        free(reader);
}

static const struct http_stream stream = {
        .read = read_events,
        .gone = reader_gone,
        .idle_usec = HEARTBEAT_USEC,
};

/*
 * From where, and what. Who comes back says what he has seen last; if that is a number that was not
 * given out yet, it is of another boot, and all of this one is missing. Answers 1 with what is
 * valid.
 */
static int place(struct reader *reader, struct http_request *request, struct why *why) {
        const char *last = http_header(request, "Last-Event-ID");
        const char *since = http_argument(request, "since");
        const char *recent = http_argument(request, "last");
        const char *kinds = http_argument(request, "kind");
        const struct events *events = &reader->http->broker->events;
        uint64_t seq = 0, n_recent = 0;

        reader->events.next = events->next;
        reader->events.uid = http_sees_as(request);
        reader->events.kinds = kinds ? 0 : EVENT_KINDS_ALL;
        if (kinds && event_kinds_parse(kinds, &reader->events.kinds, why))
                return 1;
        if ((last && !http_parse_seq(last, &seq)) ||
            (!last && since && !http_parse_seq(since, &seq)))
                return why_set(why, 1, "%s is not the number of an event; valid are digits",
                               last ? "Last-Event-ID" : "since");
        if (recent && !http_parse_seq(recent, &n_recent))
                return why_set(why, 1, "last is not how many events; valid are digits");
        if (last)
                reader->events.next = seq < events->next ? seq + 1 : 0;
        else if (since)
                return events_seek(events, &reader->events, seq, why);
        else
                reader->events.next -= min_u64(n_recent, events->next - events->first);
        return 0;
}

int http_events(struct http_request *request) {
        struct reader *reader = calloc(1, sizeof(*reader));
        struct why why = {};

        if (!reader)
                return fault(-ENOMEM);
        reader->http = request->http;
        if (place(reader, request, &why)) {
                free(reader);
                return http_answer_error(request, MHD_HTTP_BAD_REQUEST, "%s", why.text);
        }
        reader->text = strdup(GREETING);
        if (!reader->text) {
                free(reader);
                return fault(-ENOMEM);
        }
        reader->length = strlen(reader->text);
        reader->samples = pool_state_wanted(reader->events.kinds);
        reader->n_samples = request->http->n_samples;
        if (reader->samples)
                pool_state_listen(reader->http->broker);
        return http_stream(request, HTTP_SERVER_SENT, &stream, reader);
}

/* All at once, in a turn of their own: an event costs what adds it nothing more than this. */
static void poke(struct http *http) {
        if (TAILQ_EMPTY(&http->streams))
                return;
        http->poked = true;
        http_turn_at(http, 0);
}

static void on_added(struct events_watcher *watcher, const struct event_entry *entry) {
        poke(container_of(watcher, struct http, watcher));
}

static void on_sampled(struct events_watcher *watcher, json_t *sample) {
        struct http *http = container_of(watcher, struct http, watcher);
        size_t length;

        if (TAILQ_EMPTY(&http->streams))
                return;
        free(http->sample);
        http->sample = format(sample, false, &length);
        http->n_samples++;
        poke(http);
}

void http_events_init(struct http *http) {
        http->watcher = (struct events_watcher){.added = on_added, .sampled = on_sampled};
        events_watch(&http->broker->events, &http->watcher);
}

void http_events_deinit(struct http *http) {
        events_unwatch(&http->broker->events, &http->watcher);
        free(take(http->sample));
}
