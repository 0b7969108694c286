/* SPDX-License-Identifier: MIT */
/*
 * The state that travels is one JSON object in a memfd:
 *
 *     {version, listen_fd, inherited, root_fd, nofile: [soft, hard],
 *      clients: [{fd, unread, unsent, fds, busy, more, following, killing, subscribed, next_event,
 *                 waiting: {request, fds, id, order, left_usec}}],
 *      leases: [{id, ...}]}
 *
 * and the descriptors it names, which are let through execve. If execve fails they are
 * closed-on-exec again and nothing has happened. VMs are not in it but for what the tree does not
 * know of them: a release that had begun, and OOM kills that were told.
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
#include <broker/claim.h>
#include <broker/release.h>
#include <broker/ticket.h>
#include <broker/upgrade.h>

#define STATE_VERSION 1
#define STATE_MAX (256 * 1024 * 1024)
#define DELAY_USEC UINT64_C(20000) /* for the answer to be written, and launches to end */

/* Our own binary; a package that replaced it leaves us with the name of a deleted file. */
static int self_path(char *path, size_t size, struct why *why) {
        static const char deleted[] = " (deleted)";
        ssize_t n;

        n = readlink("/proc/self/exe", path, size - 1);
        if (n < 0)
                return why_errno(why, 1, errno, "cannot read /proc/self/exe");
        path[n] = '\0';
        if ((size_t)n > strlen(deleted) && strcmp(path + n - strlen(deleted), deleted) == 0)
                path[(size_t)n - strlen(deleted)] = '\0';
        return 0;
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

        r = self_path(path, sizeof(path), why);
        if (!r)
                r = try_out(broker->options, path, why);
        if (r)
                return r;
        broker->upgrading = true;
        broker_tick_at(broker, broker_now_usec() + DELAY_USEC);
        return 0;
}

/* ---- writing ---- */

static json_t *pack_bytes(const char *bytes, size_t length) {
        size_t size = sodium_base64_ENCODED_LEN(length, sodium_base64_VARIANT_ORIGINAL);
        _cleanup_(freep) char *text = malloc(size);

        if (!text)
                return NULL;
        sodium_bin2base64(text, size, (const unsigned char *)bytes, length,
                          sodium_base64_VARIANT_ORIGINAL);
        return json_string(text);
}

static json_t *pack_waiting(const struct lease *lease, uint64_t now) {
        uint64_t left = REQUEST_WAIT_FOREVER;

        if (lease->wait_until_usec)
                left = lease->wait_until_usec > now ? lease->wait_until_usec - now : 1;
        return json_pack("{s:o s:[i,i,i,i] s:s s:I s:I}", "request",
                         run_request_format(&lease->request), "fds", lease->fds.fd[0],
                         lease->fds.fd[1], lease->fds.fd[2], lease->fds.fd[3], "id",
                         lease->record.id, "order", (json_int_t)lease->record.order, "left_usec",
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

static json_t *pack_client(const struct connection *connection, uint64_t now) {
        const struct lease *following = connection->following, *killing = connection->killing;
        const char *unread, *unsent;
        size_t n_unread, n_unsent;
        json_t *object;

        unread = stream_unread(&connection->stream, &n_unread);
        unsent = stream_unsent(&connection->stream, &n_unsent);
        object =
                json_pack("{s:i s:o s:o s:o s:b s:b s:b s:I}", "fd", connection->stream.fd,
                          "unread", pack_bytes(unread, n_unread), "unsent",
                          pack_bytes(unsent, n_unsent), "fds", pack_fds(&connection->stream),
                          "busy", connection->busy, "more", connection->more, "subscribed",
                          connection->subscribed, "next_event", (json_int_t)connection->next_event);
        if (!object)
                return NULL;
        if (following && following->state == LEASE_WAITING)
                json_object_set_new(object, "waiting", pack_waiting(following, now));
        else if (following)
                json_object_set_new(object, "following", json_string(following->record.id));
        if (killing)
                json_object_set_new(object, "killing", json_string(killing->record.id));
        return object;
}

static json_t *pack_state(const struct broker *broker) {
        uint64_t now = broker_now_usec();
        json_t *clients = json_array(), *leases = json_array();
        const struct connection *connection;
        const struct lease *lease;

        TAILQ_FOREACH (connection, &broker->control.connections, link)
                if (!connection->dead)
                        json_array_append_new(clients, pack_client(connection, now));
        TAILQ_FOREACH (lease, &broker->leases, link)
                json_array_append_new(
                        leases,
                        json_pack("{s:s s:i s:I s:I s:I s:s}", "id", lease->record.id, "state",
                                  (int)lease->state, "kill_at_usec",
                                  (json_int_t)lease->kill_at_usec, "client_until_usec",
                                  (json_int_t)lease->client_until_usec, "oom_kills",
                                  (json_int_t)lease->oom_kills, "end_reason", lease->end_reason));
        return json_pack(
                "{s:i s:i s:b s:i s:[I,I] s:o s:o}", "version", STATE_VERSION, "listen_fd",
                broker->control.listen_fd, "inherited", broker->control.inherited, "root_fd",
                broker->root.dir_fd, "nofile", (json_int_t)broker->control.nofile.rlim_cur,
                (json_int_t)broker->control.nofile.rlim_max, "clients", clients, "leases", leases);
}

/* Calls @fn with every descriptor that goes along. */
static void each_fd(const struct broker *broker, void (*fn)(int fd)) {
        const struct connection *connection;

        fn(broker->control.listen_fd);
        fn(broker->root.dir_fd);
        TAILQ_FOREACH (connection, &broker->control.connections, link) {
                const struct lease *following = connection->following;

                if (connection->dead)
                        continue;
                fn(connection->stream.fd);
                for (size_t i = 0; i < connection->stream.n_in_fds; i++)
                        fn(connection->stream.in_fds[i]);
                if (following && following->state == LEASE_WAITING)
                        for (size_t i = 0; i < _REQUEST_FDS_N; i++)
                                fn(following->fds.fd[i]);
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

int upgrade_execute(struct broker *broker, struct why *why) {
        _cleanup_(fd_closep) int fd = -1;
        _cleanup_(freep) char **argv = NULL;
        char path[512], number[16];
        int r;

        /* A child between clone and execve reads our memory: it goes first. */
        if (broker->n_launching > 0) {
                broker_tick_at(broker, broker_now_usec() + DELAY_USEC);
                return 0;
        }
        r = self_path(path, sizeof(path), why);
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
                each_fd(broker, let_through);
                execv(path, argv);
                r = why_errno(why, 1, errno, "cannot execute '%s'; going on as before", path);
                each_fd(broker, hold_back);
        }
        broker->upgrading = false;
        sd_event_source_set_enabled(broker->settle, SD_EVENT_ONESHOT);
        return r;
}

/* ---- reading ---- */

static int take_bytes(json_t *object, const char *name, char **bytesp, size_t *lengthp) {
        const char *text = json_string_value(json_object_get(object, name)) ?: "";
        size_t size = strlen(text) + 1;

        *bytesp = malloc(size);
        if (!*bytesp)
                return fault(-ENOMEM);
        if (sodium_base642bin((unsigned char *)*bytesp, size, text, size - 1, NULL, lengthp, NULL,
                              sodium_base64_VARIANT_ORIGINAL) != 0)
                *lengthp = 0;
        return 0;
}

int upgrade_resume_sockets(struct broker *broker, int fd, struct why *why) {
        _cleanup_(fd_closep) int state_fd = fd;
        json_int_t soft, hard;
        json_error_t error;
        struct stat st;
        int version, inherited;
        void *map;

        if (fstat(state_fd, &st) < 0 || st.st_size <= 0 || st.st_size > STATE_MAX)
                return why_set(why, BROKER_E_HOST, "--resume %d: not a state of ours", fd);
        map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, state_fd, 0);
        if (map == MAP_FAILED)
                return why_errno(why, BROKER_E_HOST, errno, "cannot read the state");
        broker->resume = json_loadb(map, (size_t)st.st_size, 0, &error);
        munmap(map, (size_t)st.st_size);
        if (!broker->resume ||
            json_unpack(broker->resume, "{s:i s:i s:b s:i s:[I,I]}", "version", &version,
                        "listen_fd", &broker->control.listen_fd, "inherited", &inherited, "root_fd",
                        &broker->root.dir_fd, "nofile", &soft, &hard) < 0)
                return why_set(why, BROKER_E_HOST, "--resume %d: not a state of ours", fd);
        broker->control.inherited = inherited;
        broker->control.nofile = (struct rlimit){(rlim_t)soft, (rlim_t)hard};
        fcntl(broker->root.dir_fd, F_SETFD, FD_CLOEXEC);
        return 0;
}

static struct lease *find_id(struct broker *broker, const char *id) {
        struct lease *lease = NULL;

        if (id)
                HASH_FIND(hh_id, broker->by_id, id, strlen(id), lease);
        return lease;
}

static int resume_leases(struct broker *broker) {
        size_t i;
        json_t *object;
        int r = 0;

        json_array_foreach (json_object_get(broker->resume, "leases"), i, object) {
                struct lease *lease =
                        find_id(broker, json_string_value(json_object_get(object, "id")));
                json_int_t state = json_integer_value(json_object_get(object, "state"));
                const char *reason = json_string_value(json_object_get(object, "end_reason"));

                if (!lease || lease->state != LEASE_RUNNING)
                        continue;
                lease->oom_kills =
                        (uint64_t)json_integer_value(json_object_get(object, "oom_kills"));
                lease->client_until_usec =
                        (uint64_t)json_integer_value(json_object_get(object, "client_until_usec"));
                if (state == LEASE_STOPPING || state == LEASE_KILLING || state == LEASE_LINGERING)
                        snprintf(lease->end_reason, sizeof(lease->end_reason), "%s",
                                 reason ?: "kill");
                if (state == LEASE_STOPPING) {
                        lease->state = LEASE_STOPPING;
                        lease->kill_at_usec = (uint64_t)json_integer_value(
                                json_object_get(object, "kill_at_usec"));
                        broker_tick_at(broker, lease->kill_at_usec);
                } else if (state == LEASE_KILLING || state == LEASE_LINGERING) {
                        r = release_start(lease, "kill", 0, 0);
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

/* A claim that waits is made again, with a ticket for the place it has. */
static int resume_waiting(struct connection *connection, json_t *waiting) {
        struct broker *broker = connection->broker;
        struct run_request request = RUN_REQUEST_NULL;
        struct lease_fds fds;
        struct why why = {};
        json_int_t order, left;
        json_t *parameters;
        const char *id;
        int r;

        if (json_unpack(waiting, "{s:o s:[i,i,i,i] s:s s:I s:I}", "request", &parameters, "fds",
                        &fds.fd[0], &fds.fd[1], &fds.fd[2], &fds.fd[3], "id", &id, "order", &order,
                        "left_usec", &left) < 0)
                return connection_error(connection, "Failed", NULL,
                                        "the claim was lost in an upgrade");
        for (size_t i = 0; i < _REQUEST_FDS_N; i++)
                hold_back(fds.fd[i]);
        r = run_request_parse(&request, parameters, &why);
        if (r) {
                fd_close_many(fds.fd, _REQUEST_FDS_N);
                return r < 0 ? r : connection_error(connection, "Failed", NULL, why.text);
        }
        request.wait_usec = left == INT64_MAX ? REQUEST_WAIT_FOREVER : (uint64_t)left;
        ticket_format(request.ticket, broker->key, id, (uint64_t)order, connection->uid);
        return claim_submit(connection, &request, &fds);
}

static int resume_following(struct connection *connection, const char *following,
                            const char *killing) {
        struct broker *broker = connection->broker;
        struct lease *lease = find_id(broker, following);

        if (following && !lease)
                return connection_error(connection, "NotFound", NULL,
                                        "the VM ended during an upgrade");
        if (lease) {
                lease->follower = connection;
                connection->following = lease;
                lease->client_until_usec = 0;
        }
        if (!killing)
                return 0;
        lease = find_id(broker, killing);
        if (!lease)
                return connection_reply(connection, json_pack("{s:s}", "id", killing), false);
        connection->killing = lease;
        TAILQ_INSERT_TAIL(&lease->killers, connection, killer);
        return 0;
}

static int resume_stream(struct connection *connection, json_t *object) {
        _cleanup_(freep) char *unread = NULL, *unsent = NULL;
        size_t n_unread = 0, n_unsent = 0, i;
        struct stream *stream = &connection->stream;
        json_t *pair;
        int r;

        r = take_bytes(object, "unread", &unread, &n_unread);
        if (r == 0)
                r = take_bytes(object, "unsent", &unsent, &n_unsent);
        if (r == 0)
                r = stream_load(stream, unread, n_unread, unsent, n_unsent);
        if (r < 0)
                return r;
        json_array_foreach (json_object_get(object, "fds"), i, pair) {
                json_int_t at;
                int fd;

                if (i >= STREAM_FDS_MAX || json_unpack(pair, "[i,I]", &fd, &at) < 0)
                        break;
                hold_back(fd);
                stream->in_fds[stream->n_in_fds] = fd;
                stream->in_fds_at[stream->n_in_fds++] = (size_t)at;
        }
        return 0;
}

static int resume_client(struct broker *broker, json_t *object) {
        struct connection *connection;
        json_t *waiting = json_object_get(object, "waiting");
        int fd = (int)json_integer_value(json_object_get(object, "fd")), r;

        hold_back(fd);
        r = control_adopt(broker, fd, &connection);
        if (r < 0 || !connection)
                return r;
        r = resume_stream(connection, object);
        if (r < 0)
                return r;
        connection->busy = json_is_true(json_object_get(object, "busy"));
        connection->more = json_is_true(json_object_get(object, "more"));
        connection->next_event =
                (uint64_t)json_integer_value(json_object_get(object, "next_event"));
        if (json_is_true(json_object_get(object, "subscribed"))) {
                connection->subscribed = true;
                TAILQ_INSERT_TAIL(&broker->control.subscribers, connection, subscriber);
        }
        if (waiting)
                r = resume_waiting(connection, waiting);
        else
                r = resume_following(connection,
                                     json_string_value(json_object_get(object, "following")),
                                     json_string_value(json_object_get(object, "killing")));
        return r < 0 ? r : control_resume(connection);
}

int upgrade_resume_clients(struct broker *broker, struct why *why) {
        json_t *object;
        size_t i;
        int r;

        /* Nothing is granted until everybody who waits is in place. */
        broker->window_usec = UINT64_MAX;
        r = resume_leases(broker);
        json_array_foreach (json_object_get(broker->resume, "clients"), i, object) {
                if (r < 0)
                        return r;
                r = resume_client(broker, object);
        }
        if (r < 0)
                return r;
        /* Nobody else will come back: the queue goes on at once. Children that ended meanwhile are
         * collected as soon as the loop runs. */
        broker->window_usec = 0;
        kill(getpid(), SIGCHLD);
        sd_event_source_set_enabled(broker->settle, SD_EVENT_ONESHOT);
        log_info("went on as a new program with %zu clients",
                 json_array_size(json_object_get(broker->resume, "clients")));
        json_decref(take(broker->resume));
        return 0;
}
