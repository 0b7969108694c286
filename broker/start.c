/* SPDX-License-Identifier: MIT */
/*
 * Wiring: what is made in which order at the start, what the loop listens to, what is taken down at
 * the end. The order at the start is the order of trust: the policy is read before anything of the
 * host is touched, the root is locked before anything in it is looked at, everything that runs is
 * adopted before anybody is answered.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/file.h>
#include <base/units.h>
#include <broker/adopt.h>
#include <broker/aside.h>
#include <broker/broker.h>
#include <broker/burst.h>
#include <broker/charge.h>
#include <broker/console.h>
#include <broker/control.h>
#include <broker/drain.h>
#include <broker/drift.h>
#include <broker/ended.h>
#include <broker/filters.h>
#include <broker/gpu.h>
#include <broker/gpu_lease.h>
#include <broker/history.h>
#include <broker/http_metrics.h>
#include <broker/http_server.h>
#include <broker/journal.h>
#include <broker/ksm.h>
#include <broker/lease.h>
#include <broker/loop.h>
#include <broker/meter.h>
#include <broker/network.h>
#include <broker/owning.h>
#include <broker/parent.h>
#include <broker/pool_state.h>
#include <broker/pressure.h>
#include <broker/provision.h>
#include <broker/qmp.h>
#include <broker/release.h>
#include <broker/reserve.h>
#include <broker/reload.h>
#include <broker/resume.h>
#include <broker/rights.h>
#include <broker/service.h>
#include <broker/shrink.h>
#include <broker/slice.h>
#include <broker/space.h>
#include <broker/start.h>
#include <broker/survey.h>
#include <broker/taps_adopt.h>
#include <broker/taps_check.h>
#include <broker/tick.h>
#include <broker/usage.h>
#include <broker/usage_query.h>
#include <broker/violation_tell.h>
#include <broker/waiting.h>
#include <broker/tenant.h>
#include <sodium.h>

#define ROOT_DIRECTORY "provium"
#define WINDOW_USEC UINT64_C(500000)  /* for clients of the last broker to come back in */
#define SUSPECT_USEC UINT64_C(500000) /* from somebody's write to our looking */

static void slice_news(struct broker *broker, int id, enum watch_news news, const char *file) {
        struct slice *slice;

        HASH_FIND(hh_watch, broker->slices_by_watch, &id, sizeof(id), slice);
        if (!slice)
                return;
        if (news == WATCH_GONE) {
                log_warning("slice '%s': its group was removed by somebody", slice->name);
                slice_lost(broker, slice);
        } else if (news == WATCH_MODIFIED) {
                /* Our own weights come here as well: looked at together, and not at once. */
                if (strcmp(file, "cpu.weight") == 0 || strcmp(file, "memory.low") == 0)
                        slice->suspect_weights = true;
                else if (strcmp(file, "cgroup.events") != 0)
                        slice->suspect = true;
                else
                        return; /* its VMs come and go */
                if (strcmp(file, "cgroup.subtree_control") == 0)
                        slice->suspect_children = true;
                broker_tick_at(broker, broker_now_usec() + SUSPECT_USEC);
        }
}

static int lease_news(struct lease *lease, enum watch_news news, const char *file) {
        struct broker *broker = lease->broker;

        switch (news) {
        case WATCH_GONE:
                /* We remove groups ourselves and forget them first; this one was taken from under
                 * us. */
                HASH_DELETE(hh_watch, broker->by_watch, lease);
                lease->watch_id = -1;
                return lease->main_gone ? release_try(lease) : 0;
        case WATCH_CLOSED:
                return provision_progress(lease);
        case WATCH_MODIFIED:
                if (strcmp(file, "memory.events") == 0)
                        release_note_oom(lease);
                else if (strcmp(file, "cgroup.events") == 0)
                        return lease->main_gone ? release_try(lease) : burst_progress(lease);
                else if (lease->reservation && strcmp(file, "cgroup.subtree_control") == 0)
                        reserve_check_children(lease);
                else if (strncmp(file, "cgroup.", 7) != 0)
                        drift_check_vm(lease);
                return 0;
        case WATCH_LOST:
                break;
        }
        return 0;
}

/*
 * Only under systemd, where the holder keeps the root populated: when it is not, provium-vms.scope
 * is being stopped, and with it went every VM. (The directory itself would say nothing: while we
 * hold it open, its end is no news.)
 */
static int root_news(struct broker *broker, const char *file) {
        bool populated = false;

        if (!broker->in_scope || strcmp(file, "cgroup.events") != 0 ||
            (cgroup_populated(broker->root.dir_fd, &populated, NULL) == 0 && populated))
                return 0;
        broker->root_ended = broker->stopping = true;
        broker_settle_later(broker);
        return 0;
}

static void on_news(void *userdata, int id, enum watch_news news, const char *file) {
        struct broker *broker = userdata;
        struct lease *lease;
        int r = 0;

        if (news == WATCH_LOST) {
                log_warning("news of groups was lost: looking at all of them");
                r = tick_look_at_everything(broker);
        } else if (id == broker->root_watch_id) {
                r = root_news(broker, file);
        } else {
                HASH_FIND(hh_watch, broker->by_watch, &id, sizeof(id), lease);
                if (lease)
                        r = lease_news(lease, news, file);
                else
                        slice_news(broker, id, news, file);
        }
        if (r < 0)
                broker_fault(broker, r);
}

static int on_watch(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct broker *broker = userdata;
        int r;

        r = watch_read(&broker->watch, on_news, broker);
        return r < 0 ? broker_fault(broker, r) : 0;
}

/* Helpers, all of which nobody waits for: the holder, a launcher of our own. */
static int on_child(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        siginfo_t status = {};

        /* One signal may stand for several children: asked until there are no more. */
        while (waitid(P_ALL, 0, &status, WEXITED | WNOHANG) == 0 && status.si_pid != 0)
                status.si_pid = 0;
        return 0;
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        struct broker *broker = userdata;

        log_info("stopping; %llu VMs run on", (unsigned long long)broker->ledger.vms);
        broker->stopping = true;
        return sd_event_exit(broker->event, 0);
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        struct broker *broker = userdata;
        struct policy_errors *errors = calloc(1, sizeof(*errors));
        struct why why = {};
        int r;

        if (!errors)
                return broker_fault(broker, -ENOMEM);
        r = policies_reload(broker, errors, &why);
        free(errors);
        return r < 0 ? broker_fault(broker, r) : 0;
}

static int on_settle(sd_event_source *source, void *userdata) {
        struct broker *broker = userdata;
        int r;

        r = reserves_settle(broker);
        if (r == 0)
                r = claims_advance(broker);
        if (r < 0)
                return broker_fault(broker, r);
        /* The ends of all VMs were told, and there is nothing to stand on: the next broker makes it
         * anew. */
        if (broker->root_ended) {
                log_error("%s was stopped, and with it all VMs: leaving, to start anew",
                          SERVICE_SCOPE);
                return sd_event_exit(broker->event, BROKER_E_HOST);
        }
        history_note(broker->history, broker_now_usec());
        return 0;
}

static int init_loop(struct broker *broker) {
        static const struct {
                int signal;
                sd_event_signal_handler_t handler;
        } signals[] = {
                {SIGCHLD, on_child},
                {SIGTERM, on_stop},
                {SIGINT, on_stop},
                {SIGHUP, on_reload},
        };
        sd_event_source *source;
        sigset_t mask;
        int r;

        r = sd_event_new(&broker->event);
        if (r < 0)
                return fault(r);
        sigemptyset(&mask);
        for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
                sigaddset(&mask, signals[i].signal);
        sigprocmask(SIG_BLOCK, &mask, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
                r = sd_event_add_signal(broker->event, NULL, signals[i].signal, signals[i].handler,
                                        broker);
                if (r < 0)
                        return fault(r);
        }
        r = sd_event_add_defer(broker->event, &broker->settle, on_settle, broker);
        if (r >= 0)
                r = sd_event_source_set_enabled(broker->settle, SD_EVENT_OFF);
        /* After everything else of this turn: what many releases leave to be done is done once. */
        if (r >= 0)
                r = sd_event_source_set_priority(broker->settle, SD_EVENT_PRIORITY_IDLE);
        if (r < 0)
                return fault(r);
        r = tick_init(broker);
        if (r < 0)
                return r;
        r = watch_open(&broker->watch);
        if (r < 0)
                return r;
        r = sd_event_add_io(broker->event, &source, broker->watch.fd, EPOLLIN, on_watch, broker);
        if (r < 0)
                return fault(r);
        /* News of the groups before news of the children: an OOM kill is known before its victim's
         * end. */
        sd_event_source_set_priority(source, SD_EVENT_PRIORITY_IMPORTANT);
        sd_event_source_set_floating(source, true);
        sd_event_source_unref(source);
        sd_event_set_watchdog(broker->event, true);
        return 0;
}

/* Is the root systemd's scope? */
static bool is_scope(const struct options *options) {
        return !options->cgroup_root && !options->no_systemd && service_booted();
}

static int open_root(struct broker *broker, struct why *why) {
        const struct options *options = broker->options;
        const char *relative = options->cgroup_root;
        char mount[256];
        int r;

        if (is_scope(options)) {
                r = cgroup_find_mount(options->cgroup_mount, mount, sizeof(mount), why);
                if (r)
                        return r < 0 ? r : BROKER_E_HOST;
                /* By this name the binary is found even when a package has just replaced it. */
                r = service_open_scope(mount, "/proc/self/exe", why);
                if (r)
                        return r;
                relative = SERVICE_ROOT;
                broker->in_scope = true;
        }
        r = cgroup_root_open(&broker->root, options->cgroup_mount, relative ?: ROOT_DIRECTORY, true,
                             why);
        if (r)
                return r < 0 ? r : r == CGROUP_E_BUSY ? BROKER_E_EXISTS : BROKER_E_HOST;
        r = cgroup_root_key(&broker->root, broker->key, why);
        if (r == 0)
                r = watch_add(&broker->watch, broker->root.dir_fd, false, &broker->root_watch_id,
                              why);
        return r < 0 ? r : r ? BROKER_E_HOST : 0;
}

/* What there is of the two, before it is sold how often. */
static void say_pool(const struct broker *broker) {
        const struct pool_policy *pool = &broker->policy->broker.pool;
        const struct demand *capacity = &broker->ledger.capacity;
        char cpu[UNITS_TEXT_MAX], overcommit[UNITS_TEXT_MAX];
        bool more = pool->mode == POOL_FIXED && pool->overcommit_milli != 1000;

        log_info("resource pool: %" PRIu64 "M memory, %s CPUs%s%s%s",
                 capacity->amount[RESOURCE_MEMORY] >> 20,
                 units_format_milli(capacity->amount[RESOURCE_CPU], cpu, sizeof(cpu)),
                 more ? ", each sold " : "",
                 more ? units_format_milli(pool->overcommit_milli, overcommit, sizeof(overcommit))
                      : "",
                 more ? " times" : "");
}

static void say_hello(struct broker *broker) {
        char cpu[UNITS_TEXT_MAX], memory[UNITS_TEXT_MAX];

        say_pool(broker);
        log_info(
                "%s: %s CPUs and %s of memory may be sold, %zu slices, %llu VMs", broker->root.path,
                units_format_milli(broker->ledger.effective.amount[RESOURCE_CPU], cpu, sizeof(cpu)),
                units_format_size(broker->ledger.effective.amount[RESOURCE_MEMORY], memory,
                                  sizeof(memory)),
                broker->policy->n_slices, (unsigned long long)broker->ledger.vms);
        if (!broker->oom_exempt)
                log_warning(
                        "oom_score_adj cannot be lowered: the OOM killer may choose the broker");
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                if (broker->host.source[i] == SOURCE_UNKNOWN)
                        log_warning("capacity of %s is unknown (%s): counted, not limited",
                                    resource_name(i), broker->host.detail[i]);
}

static int open_window(struct broker *broker) {
        if (broker->resume || !cgroup_root_was_waiting(&broker->root))
                return 0;
        broker->marked_waiting = true;
        broker->window_usec = broker_now_usec() + WINDOW_USEC;
        broker_tick_at(broker, broker->window_usec);
        return 0;
}

/* systemd has raised ours, and lets nobody change it. */
static void raise_nofile(void) {
        struct rlimit limit;

        getrlimit(RLIMIT_NOFILE, &limit);
        if (limit.rlim_cur == limit.rlim_max)
                return;
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* Before any right is given up. */
static int begin(struct broker *broker, struct why *why) {
        const struct options *options = broker->options;

        if (!is_scope(options))
                cgroup_root_make(options->cgroup_mount, options->cgroup_root ?: ROOT_DIRECTORY);
        return parent_begin(broker, provision_progress, why);
}

int broker_init(struct broker *broker, const struct options *options, struct why *why) {
        struct policy_errors *errors;
        int r;

        broker->options = options;
        broker->root = (struct cgroup_root)CGROUP_ROOT_NULL;
        broker->watch = (struct watch)WATCH_NULL;
        broker->started_ns = broker_now_ns();
        broker->root_watch_id = broker->launcher_fd = -1;
        broker->control = calloc(1, sizeof(*broker->control));
        if (!broker->control)
                return fault(-ENOMEM);
        broker->control->listen_fd = broker->control->spare_fd = -1;
        TAILQ_INIT(&broker->leases);
        TAILQ_INIT(&broker->unbalanced);
        TAILQ_INIT(&broker->control->connections);
        queue_init(&broker->queue);
        owners_init(&broker->owners);
        broker->tick_usec = UINT64_MAX;
        r = events_init(&broker->events, broker_now_ns() / 1000, broker_realtime_ns());
        if (r == 0)
                r = meter_init(broker);
        if (r < 0)
                return r;
        broker->oom_exempt = file_write_at(AT_FDCWD, "/proc/self/oom_score_adj", "-1000") == 0;
        if (options->resume_fd >= 0)
                r = resume_sockets(broker, options->resume_fd, why);
        if (r == 0)
                r = begin(broker, why);
        if (r == 0)
                r = rights_limit(RIGHTS_OF_BROKER, options->resume_fd >= 0, why);
        if (r)
                return r < 0 ? r : BROKER_E_HOST;
        if (sodium_init() < 0)
                return why_set(why, BROKER_E_HOST, "libsodium cannot be initialised");
        raise_nofile();

        errors = calloc(1, sizeof(*errors));
        if (!errors)
                return fault(-ENOMEM);
        r = policies_load(broker, errors, &broker->policy, why);
        free(errors);
        if (r == 0)
                r = init_loop(broker);
        if (r == 0)
                r = journal_begin(broker);
        if (r == 0)
                r = open_root(broker, why);
        if (r == 0)
                r = parent_meet(broker, why);
        if (r == 0)
                r = network_open(broker);
        if (r == 0)
                r = taps_listen(broker);
        if (r == 0)
                r = space_open(broker);
        if (r == 0)
                r = policies_apply(broker);
        if (r == 0)
                r = usage_open(broker);
        if (r == 0)
                r = adopt_all(broker, why);
        if (r == 0)
                r = parent_keep(broker);
        if (r == 0)
                qmp_adopt(broker);
        if (r == 0)
                console_adopt(broker);
        if (r == 0)
                r = gpu_lease_sweep(broker);
        if (r == 0)
                taps_sweep(broker);
        if (r == 0)
                taps_check_suspects(broker);
        if (r == 0)
                r = open_window(broker);
        if (r == 0)
                drain_begin(broker);
        if (r == 0)
                pressure_begin(broker, broker->marked_waiting || broker->resume);
        if (r == 0)
                r = control_init(broker->control, broker, why);
        if (r == 0)
                r = http_init(broker);
        if (r == 0 && options->resume_fd >= 0)
                r = resume_clients(broker, why);
        if (r)
                return r;
        reserves_adopted(broker);
        broker->history = history_new(broker, broker_now_usec());
        say_hello(broker);
        return 0;
}

int broker_run(struct broker *broker) {
        sd_notifyf(0, "READY=1\nMAINPID=%d\nSTATUS=%llu VMs", getpid(),
                   (unsigned long long)broker->ledger.vms);
        return loop_run(broker);
}

void broker_deinit(struct broker *broker) {
        struct lease *lease, *before;
        struct slice *slice;
        struct claim *claim;

        http_free(broker->http);
        broker->history = history_free(broker->history);
        if (broker->control)
                control_deinit(broker->control);
        usage_queries_close(broker);
        shrinks_close(broker);
        /* Before anything that may have to wait for a disk. */
        TAILQ_FOREACH(lease, &broker->leases, link)
                lease_thaw(lease);
        for (slice = broker->slices; slice; slice = slice->hh.next)
                slice_thaw(slice);
        usage_close(broker);
        while ((claim = TAILQ_FIRST(&broker->queue.claims))) {
                queue_remove(&broker->queue, claim);
                owning_leave(claim_lease(claim));
                lease_free(claim_lease(claim));
        }
        /* VMs run on: only what we hold of them is given up. From the last to the first, since
         * reservations come before what is inside them. */
        for (lease = TAILQ_LAST(&broker->leases, lease_list); lease; lease = before) {
                before = TAILQ_PREV(lease, lease_list, link);
                owning_leave(lease);
                lease_free(lease);
        }
        ended_close(broker);
        tenants_deinit(broker);
        slices_deinit(broker, broker->root.dir_fd >= 0);
        ksm_put_back(broker);
        pressure_end(broker);
        network_close(broker);
        gpu_lease_close(broker);
        violations_close(broker);
        space_close(broker);
        http_metrics_close(broker);
        survey_close(broker);
        asides_close(broker);
        gpus_free(broker->gpus);
        tick_deinit(broker);
        journal_end(broker);
        pool_state_deinit(broker);
        sd_event_source_disable_unref(broker->settle);
        watch_close(&broker->watch);
        parent_end(broker);
        sd_event_unref(broker->event);
        cgroup_root_close(&broker->root);
        meter_free(broker);
        events_deinit(&broker->events);
        policy_free(broker->policy);
        filters_unref(broker->filters);
        filters_unref(broker->next_filters);
        free(broker->control);
        free(broker);
}
