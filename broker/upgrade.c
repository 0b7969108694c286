/* SPDX-License-Identifier: MIT */
/*
 * The state that travels is one JSON object in a memfd:
 *
 *     {version, listen_fd, inherited, root_fd, launcher_fd,
 *      clients: [{fd, unread, unsent, fds, busy, more, following, killing, subscribed, next_event,
 *                 kinds, waiting: {reserves, request, fds, disk_fds, learn_fd, id, order,
 *                                   left_usec}}],
 *      leases: [{id, ...}], events: {journaled, begun, first, lost_ns, next, ring},
 *      http: [[name, fd, activated], ...]}
 *
 * and the descriptors it names, which are let through execve. If execve fails they are
 * closed-on-exec again and nothing has happened. VMs are not in it but for what the tree does not
 * know of them: a release that had begun, OOM kills that were told, and what is left of the bucket
 * of its disk I/O.
 */
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/file.h>
#include <broker/broker.h>
#include <broker/burst.h>
#include <broker/http_server.h>
#include <broker/journal.h>
#include <broker/lease.h>
#include <broker/shrink.h>
#include <broker/space.h>
#include <broker/survey.h>
#include <broker/upgrade.h>
#include <broker/violation_tell.h>
#include <broker/usage.h>
#include <broker/usage_query.h>

#define STATE_VERSION 1
#define DELAY_USEC UINT64_C(20000) /* for the answer to be written, and launches to end */

static int own_path(char *path, size_t size, struct why *why) {
        int r = file_own_path(path, size);

        return r ? why_errno(why, 1, r, "cannot read /proc/self/exe") : 0;
}

/* The new binary must at least run, and accept the policies as they are now. */
static int try_out(const struct options *options, const char *path, struct why *why) {
        char *const argv[] = {(char *)path,
                              (char *)"--check",
                              (char *)"--config-dir",
                              (char *)options->config_dir,
                              (char *)"--vendor-dir",
                              (char *)options->vendor_dir,
                              NULL};
        int status, r;
        pid_t pid;

        r = posix_spawn(&pid, path, NULL, NULL, argv, environ);
        if (r)
                return why_errno(why, 1, r, "cannot execute '%s'", path);
        do
                r = waitpid(pid, &status, 0);
        while (r < 0 && errno == EINTR);
        if (r < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
                return why_set(why, 1, "'%s --check' does not succeed: nothing was changed", path);
        return 0;
}

int upgrade_begin(struct broker *broker, struct why *why) {
        char path[512];
        int r;

        r = own_path(path, sizeof(path), why);
        if (!r)
                r = try_out(broker->options, path, why);
        if (r)
                return r;
        broker->upgrading = true;
        broker->upgrading_usec = broker_now_usec();
        broker_tick_at(broker, broker_now_usec() + DELAY_USEC);
        return 0;
}

static json_t *pack_bytes(const char *bytes, size_t length) {
        size_t size = sodium_base64_ENCODED_LEN(length, sodium_base64_VARIANT_ORIGINAL);
        _cleanup_(freep) char *text = malloc(size);

        if (!text)
                return NULL;
        sodium_bin2base64(text, size, (const unsigned char *)bytes, length,
                          sodium_base64_VARIANT_ORIGINAL);
        return json_string(text);
}

static json_t *pack_disk_fds(const struct lease_fds *fds) {
        json_t *array = json_array();

        for (size_t i = 0; i < fds->n_disks; i++)
                json_array_append_new(array, json_integer(fds->disk[i]));
        return array;
}

static json_t *pack_waiting(const struct lease *lease, uint64_t now) {
        uint64_t left = REQUEST_WAIT_FOREVER;

        if (lease->wait_until_usec)
                left = lease->wait_until_usec > now ? lease->wait_until_usec - now : 1;
        return json_pack("{s:b s:o s:[i,i,i,i] s:o s:i s:s s:I s:I}", "reserves",
                         lease->request.reserves, "request",
                         (lease->request.reserves ? reserve_request_format
                                                  : run_request_format)(&lease->request),
                         "fds", lease->fds.fd[0], lease->fds.fd[1], lease->fds.fd[2],
                         lease->fds.fd[3], "disk_fds", pack_disk_fds(&lease->fds), "learn_fd",
                         lease->fds.learn, "id", lease->record.id, "order",
                         (json_int_t)lease->record.order, "left_usec",
                         (json_int_t)min_u64(left, INT64_MAX));
}

static json_t *pack_fds(const struct stream *stream) {
        json_t *array = json_array();

        for (size_t i = 0; array && i < stream->n_in_fds; i++)
                json_array_append_new(array,
                                      json_pack("[i,I]", stream->in_fds[i],
                                                (json_int_t)(stream->in_fds_at[i] -
                                                             stream->in_start - stream->in_taken)));
        return array;
}

/* By their names: the next program's table may have others. None: all. */
static json_t *pack_kinds(uint64_t kinds) {
        json_t *array = json_array();

        for (const struct event_kind *kind = event_kinds; kind->name && ~kinds; kind++)
                if (kinds & event_kind_bit(kind))
                        json_array_append_new(array, json_string(kind->name));
        return array;
}

static json_t *pack_client(const struct connection *connection, uint64_t now) {
        const struct lease *following = connection->following, *killing = connection->killing;
        const char *unread, *unsent;
        size_t n_unread, n_unsent;
        json_t *object;

        unread = stream_unread(&connection->stream, &n_unread);
        unsent = stream_unsent(&connection->stream, &n_unsent);
        object = json_pack("{s:i s:o s:o s:o s:b s:b s:b s:I}", "fd", connection->stream.fd,
                           "unread", pack_bytes(unread, n_unread), "unsent",
                           pack_bytes(unsent, n_unsent), "fds", pack_fds(&connection->stream),
                           "busy", connection->busy, "more", connection->more, "subscribed",
                           connection->subscribed, "next_event",
                           (json_int_t)connection->reader.next);
        if (!object)
                return NULL;
        if (connection->subscribed)
                json_object_set_new(object, "kinds", pack_kinds(connection->reader.kinds));
        if (following && following->state == LEASE_WAITING)
                json_object_set_new(object, "waiting", pack_waiting(following, now));
        else if (following)
                json_object_set_new(object, "following", json_string(following->record.id));
        if (killing)
                json_object_set_new(object, "killing", json_string(killing->record.id));
        return object;
}

static json_t *pack_event(const struct event_entry *entry) {
        json_t *object = event_format(entry), *packed = NULL;
        _cleanup_(freep) char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

        if (text)
                packed = json_pack("[I,I,b,s]", (json_int_t)entry->seq, (json_int_t)entry->uid,
                                   entry->anyone, text);
        json_decref(object);
        return packed;
}

static json_t *pack_events(const struct events *events, uint64_t journaled) {
        json_t *array = json_array();

        for (uint64_t seq = events->first; seq < events->next; seq++) {
                const struct event_entry *entry = events_find(events, seq);

                if (entry)
                        json_array_append_new(array, pack_event(entry));
        }
        return json_pack("{s:I s:I s:I s:I s:I s:o}", "journaled", (json_int_t)journaled, "begun",
                         (json_int_t)events->begun, "first", (json_int_t)events->first, "lost_ns",
                         (json_int_t)events->lost_ns, "next", (json_int_t)events->next, "ring",
                         array);
}

/* Who is being told a list in parts sees the end of the connection, and asks again: how far it was
 * told is the place in a list that the next program does not have. */
static bool goes_along(const struct connection *connection) {
        return !connection->dead && !connection->listing;
}

static json_t *pack_state(const struct broker *broker) {
        uint64_t now = broker_now_usec();
        json_t *clients = json_array(), *leases = json_array();
        const struct connection *connection;
        const struct lease *lease;

        TAILQ_FOREACH(connection, &broker->control->connections, link)
                if (goes_along(connection))
                        json_array_append_new(clients, pack_client(connection, now));
        TAILQ_FOREACH(lease, &broker->leases, link)
                json_array_append_new(
                        leases, json_pack("{s:s s:i s:I s:I s:I s:s s:o}", "id", lease->record.id,
                                          "state", (int)lease->state, "kill_at_usec",
                                          (json_int_t)lease->kill_at_usec, "client_until_usec",
                                          (json_int_t)lease->client_until_usec, "oom_kills",
                                          (json_int_t)lease->oom_kills, "end_reason",
                                          lease->end_reason, "bucket", burst_pack(lease)));
        return json_pack("{s:i s:i s:b s:i s:i s:o s:o s:o s:o}", "version", STATE_VERSION,
                         "listen_fd", broker->control->listen_fd, "inherited",
                         broker->control->inherited, "root_fd", broker->root.dir_fd, "launcher_fd",
                         launcher_fd(broker->launcher), "clients", clients, "leases", leases,
                         "events", pack_events(&broker->events, journal_next(broker)), "http",
                         http_pack(broker));
}

/* Calls @fn with every descriptor that goes along. */
static void each_fd(const struct broker *broker, void (*fn)(int fd)) {
        const struct connection *connection;

        fn(broker->control->listen_fd);
        fn(broker->root.dir_fd);
        fn(launcher_fd(broker->launcher));
        http_each_fd(broker, fn);
        TAILQ_FOREACH(connection, &broker->control->connections, link) {
                const struct lease *following = connection->following;

                if (!goes_along(connection))
                        continue;
                fn(connection->stream.fd);
                for (size_t i = 0; i < connection->stream.n_in_fds; i++)
                        fn(connection->stream.in_fds[i]);
                if (following && following->state == LEASE_WAITING)
                        for (size_t i = 0; i < _REQUEST_FDS_N && !following->request.reserves; i++)
                                fn(following->fds.fd[i]);
                for (size_t i = 0;
                     following && following->state == LEASE_WAITING && i < following->fds.n_disks;
                     i++)
                        fn(following->fds.disk[i]);
                if (following && following->state == LEASE_WAITING && following->fds.learn >= 0)
                        fn(following->fds.learn);
        }
}

static void let_through(int fd) {
        fcntl(fd, F_SETFD, 0);
}

static void hold_back(int fd) {
        fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static int write_state(const struct broker *broker, int *fdp, struct why *why) {
        _cleanup_(freep) char *text = NULL;
        _cleanup_(fd_closep) int fd = -1;
        json_t *state;
        size_t length, done = 0;

        state = pack_state(broker);
        text = state ? json_dumps(state, JSON_COMPACT) : NULL;
        json_decref(state);
        if (!text)
                return why_set(why, 1, "not enough memory for the state");
        length = strlen(text);
        fd = memfd_create("provium-state", 0);
        if (fd < 0)
                return why_errno(why, 1, errno, "cannot create a memfd");
        while (done < length) {
                ssize_t n = write(fd, text + done, length - done);

                if (n < 0)
                        return why_errno(why, 1, errno, "cannot write the state");
                done += (size_t)n;
        }
        *fdp = take_fd(fd);
        return 0;
}

/* The command line as it was, with --resume in the place of an earlier one. */
static char **resume_argv(char *const *argv, char *number) {
        size_t n = 0, count = 0;
        char **result;

        while (argv[count])
                count++;
        result = calloc(count + 3, sizeof(*result));
        if (!result)
                return NULL;
        for (size_t i = 0; i < count; i++) {
                if (strcmp(argv[i], "--resume") == 0 && argv[i + 1])
                        i++;
                else
                        result[n++] = argv[i];
        }
        result[n++] = (char *)"--resume";
        result[n] = number;
        return result;
}

/* A launcher of this release serves the next one, too, if it must: they tell each other which. */
static void renew_launcher(struct broker *broker) {
        int r = launcher_renew(broker->launcher);

        if (r)
                log_warning("the launcher goes on as the program that it is: %s",
                            strerrordesc_np(r));
}

int upgrade_execute(struct broker *broker, struct why *why) {
        _cleanup_(fd_closep) int fd = -1;
        _cleanup_(freep) char **argv = NULL;
        char path[512], number[16];
        int r;

        /* A child on its way to execve is told of by a page that we map, and execve ends threads:
         * they go first. */
        if (broker->n_launching > 0 || space_is_asked(broker) || survey_is_asked(broker) ||
            broker->n_gpu_errands > 0 || violations_are_sought(broker) || usage_is_busy(broker) ||
            usage_is_asked(broker) || shrinks_give_up(broker) || !http_quiesce(broker)) {
                broker_tick_at(broker, broker_now_usec() + DELAY_USEC);
                return 0;
        }
        r = own_path(path, sizeof(path), why);
        if (!r)
                r = write_state(broker, &fd, why);
        if (!r) {
                snprintf(number, sizeof(number), "%d", fd);
                argv = resume_argv(broker->options->argv, number);
                if (!argv)
                        r = why_set(why, 1, "not enough memory");
        }
        if (!r) {
                log_info("executing '%s'", path);
                renew_launcher(broker);
                each_fd(broker, let_through);
                execv(path, argv);
                r = why_errno(why, 1, errno, "cannot execute '%s'; going on as before", path);
                each_fd(broker, hold_back);
        }
        http_unquiesce(broker);
        broker->upgrading = false;
        broker_settle_later(broker);
        return r;
}
