/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/thread.h>
#include <broker/broker.h>
#include <broker/connection.h>
#include <broker/lease.h>
#include <broker/usage.h>
#include <broker/usage_measure.h>
#include <broker/usage_query.h>
#include <broker/usage_sum.h>

#define UPGRADE_WAITS_USEC UINT64_C(2000000)
#define QUERIES_MAX 4 /* threads */

/* A VM that runs. */
struct runner {
        char *path; /* of its group, below the root; owned */
        struct usage_line line;
        struct usage_taps taps;
};

TAILQ_HEAD(query_list, usage_query);

struct usage_query {
        /* the loop's */
        struct connection *connection; /* NULL: it has left */
        uid_t uid;
        bool running; /* everything below is the thread's */
        TAILQ_ENTRY(usage_query) link;

        struct usage_sum sum;
        struct usage_log log;
        char *sys_dir; /* borrowed from the options */
        int root_fd, told_fd;
        struct runner *runners; /* owned */
        size_t n_runners;
        char *pending; /* owned */
        size_t pending_length;
        uint64_t lost;
        int fault_number; /* negative */
        int log_errnum;
        char *reply; /* owned; NULL: out of memory */
        size_t reply_length;
};

/* Those that wait, in their order, and those that run. */
struct usage_queries {
        struct query_list list;
        size_t n_running;
        int told_fd;
        sd_event_source *told;
};

/* What only the sums needed. */
static void drop_parts(struct usage_query *query) {
        usage_sum_deinit(&query->sum);
        for (size_t i = 0; i < query->n_runners; i++)
                free(query->runners[i].path);
        query->n_runners = 0;
        free(take(query->runners));
        free(take(query->pending));
}

static void query_free(struct usage_query *query) {
        drop_parts(query);
        fd_close(query->root_fd);
        free(query->reply);
        free(query);
}

/* ---- the thread ---- */

static int add_runners(struct usage_query *query) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < query->n_runners; i++) {
                struct runner *runner = &query->runners[i];
                _cleanup_(fd_closep) int fd =
                        openat(query->root_fd, runner->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

                usage_measure_group(fd, query->sys_dir, &runner->line);
                usage_measure_links(&runner->taps, query->sys_dir, &runner->line);
                /* One that has ended meanwhile is in the log, or will be. */
                if (fd >= 0)
                        r = usage_sum_add(&query->sum, &runner->line);
        }
        return r;
}

static bool add_line(void *userdata, const char *line, size_t length) {
        struct usage_query *query = userdata;

        query->fault_number = usage_sum_add_text(&query->sum, line, length);
        return query->fault_number == 0;
}

static int add_pending(struct usage_query *query) {
        const char *at = query->pending, *end = at + query->pending_length, *newline;
        int r = 0;

        for (; r == 0 && (newline = memchr(at, '\n', (size_t)(end - at))); at = newline + 1)
                r = usage_sum_add_text(&query->sum, at, (size_t)(newline - at));
        return r;
}

/* What ended while the others were read, and was not in the log by then. */
static int add_gone(struct usage_query *query) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < query->n_runners; i++)
                r = usage_sum_add(&query->sum, &query->runners[i].line);
        return r;
}

static json_int_t integer(uint64_t value) {
        return value > INT64_MAX ? INT64_MAX : (json_int_t)value;
}

static json_t *report_row(const struct usage_row *row, enum usage_by by, bool named) {
        json_t *object;

        object = json_pack("{s:I s:I s:I s:f s:f s:f s:f s:I s:I s:I s:I s:I s:{s:I s:I s:I}}",
                           "vms", integer(row->vms), "running", integer(row->running), "in_part",
                           integer(row->in_part), "vm_seconds", (double)row->held_usec / 1e6,
                           "cpu_seconds", (double)row->cpu_usec / 1e6, "cpu_claimed_seconds",
                           (double)row->claimed_cpu_usec / 1e6, "memory_claimed_byte_seconds",
                           (double)row->claimed_memory_mib_ms * 1048.576, "memory_peak",
                           integer(row->memory_peak_bytes), "read", integer(row->read_bytes),
                           "write", integer(row->write_bytes), "download",
                           integer(row->download_bytes), "upload", integer(row->upload_bytes),
                           "at_least", "cpu", integer(row->least_cpu), "disk",
                           integer(row->least_disk), "network", integer(row->least_network));
        if (object && named && by == USAGE_BY_VM)
                json_object_set_new(object, "vm", json_string(row->vm));
        if (object && named && (by == USAGE_BY_VM || by == USAGE_BY_SLICE))
                json_object_set_new(object, "slice", json_string(row->slice));
        if (object && named && (by == USAGE_BY_VM || by == USAGE_BY_USER))
                json_object_set_new(object, "uid", json_integer((json_int_t)row->uid));
        return object;
}

static json_t *report(const struct usage_query *query) {
        const struct usage_sum *sum = &query->sum;
        json_t *rows = json_array(), *reply;

        for (size_t i = 0; sum->by != USAGE_BY_ALL && i < sum->n_rows; i++)
                json_array_append_new(rows, report_row(&sum->rows[i], sum->by, true));
        reply = json_pack("{s:o s:o s:I s:I s:I}", "rows", rows, "total",
                          report_row(&sum->total, sum->by, false), "first_ns",
                          integer(sum->first_ns), "bad_lines", integer(sum->bad_lines), "lost",
                          integer(query->lost));
        if (reply && sum->others.vms > 0)
                json_object_set_new(reply, "others", report_row(&sum->others, sum->by, false));
        if (reply && query->log_errnum)
                json_object_set_new(reply, "unread",
                                    json_string(strerrordesc_np(query->log_errnum)));
        return reply;
}

/* With all its text: of many rows that takes longer than a turn of the loop may. */
static void make_reply(struct usage_query *query) {
        json_t *parameters = report(query);

        if (parameters)
                query->reply = reply_format(parameters, false, &query->reply_length);
}

/* From the newest to the oldest: what runs, what waits, the log. */
static void *run(void *userdata) {
        struct usage_query *query = userdata;
        ssize_t n;
        int r;

        r = add_runners(query);
        if (r == 0)
                r = add_pending(query);
        if (r == 0) {
                r = usage_log_read(&query->log, add_line, query);
                if (r > 0)
                        query->log_errnum = r;
                r = r < 0 ? r : query->fault_number;
        }
        if (r == 0)
                r = add_gone(query);
        if (r == 0)
                make_reply(query);
        /* Of a long log much was on the heap. */
        drop_parts(query);
        malloc_trim(0);
        n = write(query->told_fd, &query, sizeof(void *)); /* the pointer itself */
        (void)n; /* the broker has left: so does the process */
        return NULL;
}

/* ---- the loop ---- */

/* "a.slice/b.slice/ID.vm" */
static char *copy_path(const struct lease *lease) {
        char path[700];

        lease_path(lease, path, sizeof(path));
        return strdup(path + strlen(lease->broker->root.path) + 1);
}

static int take_runners(struct broker *broker, struct usage_query *query) {
        struct lease *lease;
        size_t n = 0;

        TAILQ_FOREACH(lease, &broker->leases, link)
                n += usage_counts(lease);
        query->runners = calloc(n + 1, sizeof(*query->runners));
        if (!query->runners)
                return fault(-ENOMEM);
        TAILQ_FOREACH(lease, &broker->leases, link) {
                struct runner *runner = &query->runners[query->n_runners];

                if (!usage_counts(lease))
                        continue;
                runner->path = copy_path(lease);
                if (!runner->path)
                        return fault(-ENOMEM);
                usage_of_claim(lease, &runner->line);
                usage_find_taps(lease, &runner->taps);
                query->n_runners++;
        }
        return 0;
}

static int start(struct broker *broker, struct usage_query *query) {
        struct usage_queries *queries = broker->usage_queries;
        int r;

        query->log = usage_log_of(broker);
        query->sys_dir = (char *)broker->options->sys_dir;
        query->told_fd = queries->told_fd;
        query->lost = usage_lost(broker);
        query->root_fd = fcntl(broker->root.dir_fd, F_DUPFD_CLOEXEC, 3);
        query->pending = usage_pending(broker, &query->pending_length);
        if (!query->pending)
                return fault(-ENOMEM);
        r = take_runners(broker, query);
        if (r < 0)
                return r;
        query->running = true;
        queries->n_running++;
        /* Threads are short: then on the loop, which is late rather than wrong. */
        if (thread_start(run, query, 0))
                run(query);
        return 0;
}

static bool user_is_served(const struct usage_queries *queries, uid_t uid) {
        const struct usage_query *query;

        TAILQ_FOREACH(query, &queries->list, link)
                if (query->running && query->uid == uid)
                        return true;
        return false;
}

static int start_next(struct broker *broker) {
        struct usage_queries *queries = broker->usage_queries;
        struct usage_query *query;
        int r = 0;

        TAILQ_FOREACH(query, &queries->list, link) {
                if (r < 0 || queries->n_running >= QUERIES_MAX)
                        break;
                if (!query->running && !user_is_served(queries, query->uid))
                        r = start(broker, query);
        }
        return r;
}

static int answer(struct usage_query *query) {
        struct connection *connection = query->connection;

        if (!connection)
                return 0;
        connection->usage = NULL;
        if (!query->reply)
                return connection_error(connection, "Failed", NULL,
                                        "there was not enough memory to add it up");
        return connection_reply_text(connection, take(query->reply), query->reply_length);
}

static int on_told(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct broker *broker = userdata;
        struct usage_queries *queries = broker->usage_queries;
        struct usage_query *query;
        int r;

        if (read(fd, &query, sizeof(void *)) != sizeof(void *))
                return 0;
        TAILQ_REMOVE(&queries->list, query, link);
        queries->n_running--;
        r = answer(query);
        query_free(query);
        if (r == 0)
                r = start_next(broker);
        return r < 0 ? broker_fault(broker, r) : 0;
}

static int open_queries(struct broker *broker) {
        struct usage_queries *queries;
        int fds[2], r;

        if (broker->usage_queries)
                return 0;
        queries = calloc(1, sizeof(*queries));
        if (!queries)
                return fault(-ENOMEM);
        if (pipe2(fds, O_CLOEXEC) < 0) {
                free(queries);
                return fault(-errno);
        }
        TAILQ_INIT(&queries->list);
        queries->told_fd = fds[1];
        broker->usage_queries = queries;
        r = sd_event_add_io(broker->event, &queries->told, fds[0], EPOLLIN, on_told, broker);
        if (r < 0) {
                fd_close(fds[0]);
                return fault(r);
        }
        sd_event_source_set_io_fd_own(queries->told, true);
        return 0;
}

int usage_ask(struct connection *connection, const struct usage_request *request) {
        struct broker *broker = connection->broker;
        struct usage_query *query;
        int r;

        /* It waits for those who asked: but not for who never stops asking. */
        if (broker->upgrading && broker_now_usec() - broker->upgrading_usec > UPGRADE_WAITS_USEC)
                return connection_error(connection, "Failed", NULL,
                                        "the broker is about to be replaced; ask again");
        r = open_queries(broker);
        if (r < 0)
                return r;
        query = calloc(1, sizeof(*query));
        if (!query)
                return fault(-ENOMEM);
        query->root_fd = -1;
        query->connection = connection;
        query->uid = query->sum.uid = connection->uid;
        query->sum.everybody = connection->uid == 0;
        query->sum.since_ns = request->since_ns;
        query->sum.until_ns = request->until_ns;
        query->sum.by = request->by;
        connection->usage = query;
        TAILQ_INSERT_TAIL(&broker->usage_queries->list, query, link);
        return start_next(broker);
}

void usage_query_forget(struct connection *connection) {
        struct usage_query *query = connection->usage;

        if (!query)
                return;
        connection->usage = NULL;
        query->connection = NULL;
        if (query->running)
                return; /* its thread's end frees it */
        TAILQ_REMOVE(&connection->broker->usage_queries->list, query, link);
        query_free(query);
}

bool usage_is_asked(const struct broker *broker) {
        return broker->usage_queries && !TAILQ_EMPTY(&broker->usage_queries->list);
}

void usage_queries_close(struct broker *broker) {
        struct usage_queries *queries = broker->usage_queries;

        if (!queries)
                return;
        sd_event_source_disable_unref(queries->told);
        if (queries->n_running == 0)
                fd_close(queries->told_fd);
        free(take(broker->usage_queries));
}
