/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <base/fd.h>
#include <broker/broker.h>
#include <broker/burst.h>
#include <broker/claim.h>
#include <broker/control.h>
#include <broker/lease.h>
#include <broker/owning.h>
#include <broker/release.h>
#include <broker/resume.h>
#include <broker/ticket.h>

#define STATE_MAX (256 * 1024 * 1024)

static void hold_back(int fd) {
        fcntl(fd, F_SETFD, FD_CLOEXEC);
}

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

static void resume_events(struct broker *broker) {
        json_t *state = json_object_get(broker->resume, "events"), *event;
        json_int_t begun, first, lost_ns;
        size_t i;

        /* An older program says less: then what it did not keep is as if there had been none. */
        if (json_unpack(state, "{s:I s:I s:I}", "begun", &begun, "first", &first, "lost_ns",
                        &lost_ns) < 0) {
                first = begun = json_integer_value(
                        json_array_get(json_array_get(json_object_get(state, "ring"), 0), 0));
                lost_ns = (json_int_t)broker_realtime_ns();
        }
        events_resume(&broker->events, (uint64_t)begun, (uint64_t)first, (uint64_t)lost_ns);

        json_array_foreach(json_object_get(state, "ring"), i, event) {
                json_int_t seq, uid;
                const char *text;
                int anyone;

                if (json_unpack(event, "[I,I,b,s]", &seq, &uid, &anyone, &text) == 0)
                        events_restore(&broker->events, (uint64_t)seq, (uid_t)uid, anyone, text);
        }
        if (json_is_integer(json_object_get(state, "next")))
                broker->events.next =
                        max_u64(broker->events.next,
                                (uint64_t)json_integer_value(json_object_get(state, "next")));
}

int resume_sockets(struct broker *broker, int fd, struct why *why) {
        _cleanup_(fd_closep) int state_fd = fd;
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
        if (!broker->resume || json_unpack(broker->resume, "{s:i s:i s:b s:i}", "version", &version,
                                           "listen_fd", &broker->control->listen_fd, "inherited",
                                           &inherited, "root_fd", &broker->root.dir_fd) < 0)
                return why_set(why, BROKER_E_HOST, "--resume %d: not a state of ours", fd);
        broker->control->inherited = inherited;
        resume_events(broker);
        /* An older program was the parent of its VMs itself. */
        if (json_unpack(broker->resume, "{s:i}", "launcher_fd", &broker->launcher_fd) < 0)
                broker->launcher_fd = -1;
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

        json_array_foreach(json_object_get(broker->resume, "leases"), i, object) {
                struct lease *lease =
                        find_id(broker, json_string_value(json_object_get(object, "id")));
                json_int_t state = json_integer_value(json_object_get(object, "state"));
                const char *reason = json_string_value(json_object_get(object, "end_reason"));

                if (!lease || lease->state != LEASE_RUNNING)
                        continue;
                burst_resume(lease, json_object_get(object, "bucket"));
                lease->oom_kills =
                        (uint64_t)json_integer_value(json_object_get(object, "oom_kills"));
                lease->client_until_usec =
                        (uint64_t)json_integer_value(json_object_get(object, "client_until_usec"));
                r = owning_enter(lease);
                if (r < 0)
                        return r;
                if (state == LEASE_STOPPING || state == LEASE_KILLING || state == LEASE_LINGERING)
                        snprintf(lease->end_reason, sizeof(lease->end_reason), "%s",
                                 reason ?: "kill");
                if (state == LEASE_STOPPING) {
                        owning_leave(lease);
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

static void take_disk_fds(struct lease_fds *fds, const json_t *array) {
        const json_t *number;
        size_t i;

        json_array_foreach(array, i, number) {
                if (i >= REQUEST_DISKS_MAX)
                        break;
                fds->disk[fds->n_disks++] = (int)json_integer_value(number);
                hold_back(fds->disk[i]);
        }
}

/* A claim that waits is made again, with a ticket for the place it has. */
static int resume_waiting(struct connection *connection, json_t *waiting) {
        struct broker *broker = connection->broker;
        struct run_request request = RUN_REQUEST_NULL;
        struct lease_fds fds = LEASE_FDS_NULL;
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
        take_disk_fds(&fds, json_object_get(waiting, "disk_fds"));
        if (json_unpack(waiting, "{s:i}", "learn_fd", &fds.learn) == 0 && fds.learn >= 0)
                hold_back(fds.learn);
        if (json_is_true(json_object_get(waiting, "reserves")))
                r = reserve_request_parse(&request, parameters, &why);
        else
                r = run_request_parse(&request, parameters, &why);
        if (r) {
                lease_fds_close(&fds);
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
        int r;

        if (following && !lease)
                return connection_error(connection, "NotFound", NULL,
                                        "the VM ended during an upgrade");
        if (lease) {
                lease->follower = connection;
                connection->following = lease;
                lease->client_until_usec = 0;
                r = owning_enter(lease);
                if (r < 0)
                        return r;
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
        json_array_foreach(json_object_get(object, "fds"), i, pair) {
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

/* A kind that this program does not know any more will not come either. */
static uint64_t take_kinds(const json_t *array) {
        uint64_t kinds = 0;
        json_t *name;
        size_t i;

        if (json_array_size(array) == 0)
                return EVENT_KINDS_ALL;
        json_array_foreach(array, i, name) {
                const struct event_kind *kind = event_kind_find(json_string_value(name) ?: "");

                kinds |= kind ? event_kind_bit(kind) : 0;
        }
        return kinds;
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
        connection->reader = (struct events_reader){
                .next = (uint64_t)json_integer_value(json_object_get(object, "next_event")),
                .kinds = take_kinds(json_object_get(object, "kinds")),
                .uid = connection->uid,
        };
        if (json_is_true(json_object_get(object, "subscribed")))
                connection_subscribe(connection);
        if (waiting)
                r = resume_waiting(connection, waiting);
        else
                r = resume_following(connection,
                                     json_string_value(json_object_get(object, "following")),
                                     json_string_value(json_object_get(object, "killing")));
        return r < 0 ? r : control_resume(connection);
}

int resume_clients(struct broker *broker, struct why *why) {
        json_t *object;
        size_t i;
        int r;

        /* Nothing is granted until everybody who waits is in place. */
        broker->window_usec = UINT64_MAX;
        r = resume_leases(broker);
        json_array_foreach(json_object_get(broker->resume, "clients"), i, object) {
                if (r < 0)
                        return r;
                r = resume_client(broker, object);
        }
        if (r < 0)
                return r;
        /* Nobody else will come back: the queue goes on at once. */
        broker->window_usec = 0;
        broker_settle_later(broker);
        log_info("went on as a new program with %zu clients",
                 json_array_size(json_object_get(broker->resume, "clients")));
        json_decref(take(broker->resume));
        return 0;
}
