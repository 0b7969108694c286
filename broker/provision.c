/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <base/fd.h>
#include <broker/broker.h>
#include <broker/burst.h>
#include <broker/charge.h>
#include <broker/confine.h>
#include <broker/console.h>
#include <broker/diskio.h>
#include <broker/gpu_lease.h>
#include <broker/lease.h>
#include <broker/owning.h>
#include <broker/parent.h>
#include <broker/provision.h>
#include <broker/qmp.h>
#include <broker/quota.h>
#include <broker/release.h>
#include <broker/reservation.h>
#include <broker/reserve_group.h>
#include <broker/sandbox.h>
#include <broker/slice.h>
#include <broker/taps.h>
#include <broker/ticket.h>
#include <broker/words.h>
#include <launcher/command.h>

#define LAUNCH_USEC                                                                                \
        UINT64_C(30000000) /* from clone to execve, at most: a path may never answer               \
                            */

/* Argv and candidates, with what is known by now. */
static int expand(struct lease *lease, struct why *why) {
        char cpus[24], mib[24];
        struct words words;
        struct placeholder table[WORDS_MAX + 4] = {
                {.name = "name", .value = lease->record.name},
                {.name = "cpus", .value = cpus},
                {.name = "mem.mib", .value = mib},
                {.name = "cid", .hint = "this broker gives out no vsock addresses yet"},
        };
        int r;

        /* Whole virtual CPUs for half a CPU's claim: at least one. */
        snprintf(cpus, sizeof(cpus), "%llu",
                 (unsigned long long)(lease->record.cpu_milli + 999) / 1000);
        snprintf(mib, sizeof(mib), "%llu",
                 (unsigned long long)max_u64(1, lease->record.memory_bytes >> 20));
        words_make(lease, &words);
        memcpy(table + 4, words.table, words.n * sizeof(*table));
        free(take(lease->argv));
        free(take(lease->paths));
        r = command_expand(lease->request.argv, table, 4 + words.n, &lease->argv, why);
        if (r)
                return r;
        r = words_note_used(lease, table, 4 + words.n, why);
        if (r)
                return r;
        return command_candidates(lease->argv[0], lease->request.envp, &lease->paths);
}

int provision_prepare(struct lease *lease, struct connection *connection, struct why *why) {
        int r;

        r = expand(lease, why);
        return r ?: connection_groups(connection, &lease->groups, &lease->n_groups);
}

_Static_assert(REQUEST_TAP_FDS_MAX + REQUEST_DISKS_MAX + 1 + RECORD_GPUS_MAX <= CHILD_PASS_MAX,
               "all that are asked for");

/* 3 and on, in the order in which broker/words has numbered them. */
static int collect_pass(struct lease *lease) {
        const struct taps *taps = lease->taps;
        size_t n = lease->fds.n_disks + (taps ? taps->n_fds : 0) + lease->has_qmp, queues = 0;

        n += (size_t)__builtin_popcount(lease->gpu_fds_asked);
        if (n == 0)
                return 0;
        lease->pass = calloc(n, sizeof(*lease->pass));
        if (!lease->pass)
                return fault(-ENOMEM);
        for (size_t i = 0; taps && i < taps->n; i++)
                queues += taps->tap[i].queues;
        for (size_t i = 0; i < queues; i++)
                lease->pass[lease->n_pass++] = taps->fds[i];
        for (size_t i = 0; i < lease->fds.n_disks; i++)
                lease->pass[lease->n_pass++] = lease->fds.disk[i];
        if (lease->has_qmp)
                lease->pass[lease->n_pass++] = lease->qmp_fd;
        for (size_t i = 0; i < RECORD_GPUS_MAX && lease->gpu_fds_asked; i++)
                if (lease->gpu_fds_asked & 1U << i)
                        lease->pass[lease->n_pass++] = lease->gpu_fds[i];
        for (size_t i = queues; taps && i < taps->n_fds; i++)
                lease->pass[lease->n_pass++] = taps->fds[i];
        return 0;
}

static void fill_args(struct lease *lease) {
        struct child_args *args = &lease->process.args;

        *args = (struct child_args){
                .argv = lease->argv,
                .envp = lease->request.envp,
                .paths = lease->paths,
                .cgroup_fd = lease->dir_fd,
                .mark_name = RECORD_MAIN_ATTRIBUTE,
                .bell_file = "cgroup.procs",
                .stdio = {lease->fds.fd[REQUEST_FD_STDIN], lease->fds.fd[REQUEST_FD_STDOUT],
                          lease->fds.fd[REQUEST_FD_STDERR]},
                .cwd_fd = lease->fds.fd[REQUEST_FD_CWD],
                .set_identity = true,
                .uid = lease->record.run_uid,
                .gid = lease->record.run_gid,
                .groups = lease->groups,
                .n_groups = lease->n_groups,
        };
        args->lock_memory = lease->record.n_gpus > 0;
        for (size_t i = 0; lease->console && i < ARRAY_SIZE(args->stdio); i++)
                args->stdio[i] = lease->console->slave_fd;
        if (!sandbox_runs_as_caller(lease)) {
                args->groups = &lease->run_group;
                args->n_groups = lease->has_run_group;
        }
        if (lease->open) {
                lease->open->uid = lease->record.uid;
                lease->open->gid = lease->record.gid;
                lease->open->groups = lease->groups;
                lease->open->n_groups = lease->n_groups;
        }
        args->open = lease->open;
        args->walls = lease->walls;
        args->seccomp = sandbox_filter(lease);
        args->learn = lease->learn;
        args->quota = lease->record.quota_project ? &lease->quota->child : NULL;
        args->pass = lease->pass;
        args->n_pass = lease->n_pass;
}

/* Everything between the charge and the GPUs. On a refusal what was made is still there. */
static int make(struct lease *lease, struct why *why) {
        struct broker *broker = lease->broker;
        char name[RECORD_ID_MAX + 8];
        int r;

        r = slice_open(broker, lease->slice, why);
        if (r == 0 && lease->inside)
                r = reserve_group_ready(lease->inside->lease, why);
        if (r)
                return r;
        r = cgroup_create_at(lease_parent_fd(lease), lease_directory(lease, name, sizeof(name)),
                             &lease->dir_fd, why);
        if (r)
                return r;
        r = taps_reserve(lease, why);
        if (r)
                return r;
        r = sandbox_make(lease, why);
        if (r)
                return r;
        r = quota_prepare(lease);
        if (r)
                return r;
        if (lease->record.time_usec)
                lease->record.until_usec =
                        min_u64(INT64_MAX, lease->admitted_usec + lease->record.time_usec);
        if (lease->record.ends)
                broker_tick_at(broker, lease->record.until_usec);
        r = gpu_lease_reserve(lease, why);
        if (r)
                return r;
        lease->record.held_since_usec = lease->record.counted_until_usec = lease->admitted_usec;
        r = record_write(lease->dir_fd, &lease->record, why);
        if (r)
                return r;
        r = confine_group(lease, why);
        if (r)
                return r;
        r = diskio_make(lease, why);
        if (r)
                return r;
        slices_settle(broker, lease->slice);
        r = slice_protect(broker, lease->slice, why);
        if (r)
                return r;
        r = taps_make(lease, why);
        if (r)
                return r;
        r = lease_watch(lease, why);
        if (r)
                return r;
        return qmp_make(lease, why);
}

/* The process itself. */
static int launch(struct lease *lease, struct why *why) {
        struct broker *broker = lease->broker;
        int r;

        r = sandbox_fence(lease, why);
        if (r)
                return r;
        r = collect_pass(lease);
        if (r)
                return r;
        r = console_make(lease, why);
        if (r)
                return r;
        lease->made_usec = broker_now_usec();
        fill_args(lease);
        r = launcher_start(broker->launcher, &lease->process, false, why);
        if (r)
                return r;
        lease->own_child = true;
        lease->launching = true;
        broker->n_launching++;
        return parent_watch(lease);
}

/* A refusal, to whoever waits for it; what was made is taken away. */
static int refuse(struct lease *lease, const struct why *why) {
        struct connection *connection = lease->follower;
        int r;

        log_error("VM '%s': not started: %s", lease->record.name, why->text);
        snprintf(lease->end_reason, sizeof(lease->end_reason), "host");
        lease_detach_follower(lease);
        r = connection ? connection_error(connection, "Failed", NULL, why->text) : 0;
        return r < 0 ? r : release_unmade(lease);
}

/* From here on there are no refusals but the child's. */
static int finish(struct lease *lease, int r, const struct why *why) {
        if (r)
                return r < 0 ? r : refuse(lease, why);
        lease->launch_until_usec = lease->made_usec + LAUNCH_USEC;
        broker_tick_at(lease->broker, lease->launch_until_usec);
        return 0;
}

/* Its GPUs are there, or will not be, or nobody wants them any more. */
static int on_gpus_prepared(struct lease *lease, int answer, const struct why *refusal) {
        struct why why = *refusal;
        int r = answer;

        if (lease->state != LEASE_STARTING) {
                taps_discard(lease);
                return release_try(lease);
        }
        if (r == 0)
                r = expand(lease, &why);
        if (r == 0)
                r = gpu_lease_open(lease, &why);
        if (r == 0) {
                lease->main_gone = false;
                r = launch(lease, &why);
        }
        return finish(lease, r, &why);
}

int provision_start(struct lease *lease) {
        struct why why = {};
        int r;

        r = make(lease, &why);
        if (r == 0 && lease->record.n_gpus > 0) {
                /* There is no process whose end could be news. */
                lease->main_gone = true;
                r = gpu_lease_prepare(lease, on_gpus_prepared);
                return r < 0 ? r : 0;
        }
        return finish(lease, r ?: launch(lease, &why), &why);
}

int provision_tell_started(struct lease *lease) {
        struct broker *broker = lease->broker;
        struct connection *follower = lease->follower;
        char ticket[REQUEST_TOKEN_MAX + 1], path[700];
        bool first = !lease->told_started;
        json_t *run;

        if (!follower)
                return 0;
        ticket_format(ticket, broker->key, lease->record.id, lease->record.order,
                      lease->record.uid);
        lease_path(lease, path, sizeof(path));
        run = json_pack("{s:s s:s s:s s:s s:i s:s s:I s:I s:I}", "ticket", ticket, "id",
                        lease->record.id, "name", lease->record.name, "slice", lease->record.slice,
                        "pid", (int)lease->process.pid, "cgroup", path, "admission_us",
                        (json_int_t)(lease->admitted_usec - lease->arrived_usec), "setup_us",
                        (json_int_t)(lease->made_usec - lease->admitted_usec), "exec_us",
                        (json_int_t)(lease->executed_usec - lease->made_usec));
        lease->told_started = true;
        /* The call that made a detached VM ends here, one that came later to follow it does not;
         * and one that was not asked to be followed does, too. */
        if ((lease->record.detached && first) || !follower->more) {
                lease_detach_follower(lease);
                return connection_reply(
                        follower, json_pack("{s:s s:o}", "state", "started", "run", run), false);
        }
        return connection_reply(follower, json_pack("{s:s s:o}", "state", "started", "run", run),
                                true);
}

int provision_follow(struct lease *lease, struct connection *connection) {
        int r;

        assert(!lease->follower);
        lease->follower = connection;
        connection->following = lease;
        lease->client_until_usec = 0;
        r = owning_enter(lease);
        if (r < 0)
                return r;
        /* One that is not executed yet says so when it is. */
        return lease->state == LEASE_STARTING ? 0 : provision_tell_started(lease);
}

/* Without its keeper a VM would print until the pty is full, and then wait for ever. */
static int see_console(struct lease *lease) {
        struct why why = {};
        int r;

        r = console_progress(lease, &why);
        if (r == 0)
                return 0;
        log_error("VM '%s': its console has no keeper: %s", lease->record.name, why.text);
        r = lease_note_exec(lease, SPAWN_E_STEP, &why);
        return r < 0 ? r : release_start(lease, "launch_failed", 0, 0);
}

int provision_progress(struct lease *lease) {
        struct broker *broker = lease->broker;
        struct why why = {};
        int r;

        r = see_console(lease);
        if (r < 0)
                return r;
        if (!lease->launching)
                return 0;
        r = launcher_result(broker->launcher, &lease->process, &why);
        if (r == SPAWN_E_AGAIN)
                return 0;

        lease->launching = false;
        broker->n_launching--;
        lease->launch_until_usec = 0;
        quota_note(lease);
        if (r) {
                snprintf(lease->end_reason, sizeof(lease->end_reason), "exec_failed");
                /* The child leaves by itself, or is made to; its end brings the answer. */
                int noted = lease_note_exec(lease, r, &why);

                if (noted < 0)
                        return noted;
                taps_discard(lease);
                lease_drop_launch(lease);
                return r == SPAWN_E_STEP ? release_start(lease, "launch_failed", 0, 0) : 0;
        }
        lease->executed_usec = broker_now_usec();
        lease_drop_launch(lease);
        if (lease->state != LEASE_STARTING)
                return 0;
        lease->state = LEASE_RUNNING;
        burst_begin(lease);
        lease_event(lease, "vm_spawned", event_number("pid", lease->process.pid),
                    event_number("admission_us", lease->admitted_usec - lease->arrived_usec),
                    event_number("setup_us", lease->made_usec - lease->admitted_usec),
                    event_number("exec_us", lease->executed_usec - lease->made_usec));
        if (lease->record.learns) {
                log_warning("VM '%s': learning for uid %u: no list of system calls is in force",
                            lease->record.name, lease->record.uid);
                lease_event(lease, "vm_learning", event_number("pid", lease->process.pid));
        }
        return provision_tell_started(lease);
}
