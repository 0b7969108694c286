/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/units.h>
#include <broker/broker.h>
#include <broker/console.h>
#include <broker/ended.h>
#include <broker/gpu_lease.h>
#include <broker/lease.h>
#include <broker/owning.h>
#include <broker/qmp.h>
#include <broker/quota.h>
#include <broker/release.h>
#include <broker/report.h>
#include <broker/reservation.h>
#include <broker/reserve_group.h>
#include <broker/sandbox.h>
#include <broker/shrink.h>
#include <broker/slice.h>
#include <broker/taps.h>
#include <broker/tenant.h>
#include <broker/usage.h>
#include <broker/violation_tell.h>
#include <cgroup/stats.h>
#include <launcher/launcher_errands.h>

#define RETRY_USEC UINT64_C(250000) /* after the first cgroup.kill that left something */
#define RETRY_MAX_USEC UINT64_C(30000000)
#define RETRIES_LINGERING 6 /* then, after 16 s, it is shown as lingering */
#define SIGNALLED_MAX 1024  /* processes of a daemonised VM that get TERM */

/* To every process left in the slice, by pidfd, and only if it is still listed after that was
 * opened. */
static int signal_all(struct lease *lease, int signo) {
        int pids[SIGNALLED_MAX], again[SIGNALLED_MAX];
        size_t n = 0, n_again = 0;
        int r, result = ESRCH;

        r = lease_open_dir(lease, NULL);
        if (r)
                return ESRCH;
        r = cgroup_processes(lease->dir_fd, pids, SIGNALLED_MAX, &n, NULL);
        if (r)
                return ESRCH;
        for (size_t i = 0; i < n; i++) {
                _cleanup_(fd_closep) int pidfd = pidfd_open(pids[i], 0);

                if (pidfd < 0 ||
                    cgroup_processes(lease->dir_fd, again, SIGNALLED_MAX, &n_again, NULL))
                        continue;
                for (size_t j = 0; j < n_again; j++)
                        if (again[j] == pids[i] &&
                            launcher_signal(lease->broker->launcher, pidfd, signo) == 0)
                                result = 0;
        }
        return result;
}

static int kill_now(struct lease *lease) {
        struct why why = {};
        uint64_t now = broker_now_usec(), wait;
        int r;

        owning_leave(lease);
        lease->state = lease->retries >= RETRIES_LINGERING ? LEASE_LINGERING : LEASE_KILLING;
        lease->kill_at_usec = 0;
        r = lease_open_dir(lease, &why);
        if (!r)
                r = cgroup_kill(lease->dir_fd, &why);
        if (r && r != CGROUP_E_GONE) {
                snprintf(lease->detail, sizeof(lease->detail), "%s", why.text);
                log_error("VM '%s': %s", lease->record.name, why.text);
        }
        wait = min_u64(RETRY_USEC << min_u64(lease->retries, 10), RETRY_MAX_USEC);
        if (lease->retries == RETRIES_LINGERING) {
                snprintf(lease->detail, sizeof(lease->detail),
                         "its processes do not end; its charge is held");
                log_error("VM '%s': lingering: %s", lease->record.name, lease->detail);
        }
        lease->retries++;
        lease->retry_at_usec = now + wait;
        broker_tick_at(lease->broker, lease->retry_at_usec);
        return 0;
}

/* What the signal would do if it reached the first process of a namespace. */
static int end_instead(struct lease *lease) {
        if (!lease->end_reason[0])
                snprintf(lease->end_reason, sizeof(lease->end_reason), "signal");
        return kill_now(lease);
}

int release_signal(struct lease *lease, int signo) {
        if (lease->main_gone || lease->process.pidfd < 0)
                return signal_all(lease, signo);
        if (sandbox_loses(lease->process.pid, signo))
                return end_instead(lease);
        return launcher_signal(lease->broker->launcher, lease->process.pidfd, signo);
}

int release_start(struct lease *lease, const char *reason, int signo, uint64_t grace_usec) {
        uint64_t kill_at = broker_now_usec() + min_u64(grace_usec, UINT64_C(1) << 50);

        if (lease->reservation) {
                reserve_group_end(lease, reason, signo, grace_usec);
                return 0;
        }
        switch (lease->state) {
        case LEASE_STARTING:
        case LEASE_RUNNING:
        case LEASE_UNKNOWN:
                if (!lease->end_reason[0])
                        snprintf(lease->end_reason, sizeof(lease->end_reason), "%s", reason);
                /* Before execve the child is still us: it gets no grace and no signal but the last.
                 */
                if (lease->state == LEASE_STARTING || grace_usec == 0)
                        return kill_now(lease);
                owning_leave(lease);
                lease->state = LEASE_STOPPING;
                lease->kill_at_usec = kill_at;
                broker_tick_at(lease->broker, kill_at);
                if (release_signal(lease, signo ?: SIGTERM) == ESRCH && lease->main_gone)
                        return release_try(lease);
                return 0;
        case LEASE_STOPPING:
                if (grace_usec == 0)
                        return kill_now(lease);
                if (kill_at < lease->kill_at_usec) {
                        lease->kill_at_usec = kill_at;
                        broker_tick_at(lease->broker, kill_at);
                }
                return 0;
        case LEASE_WAITING: /* holds nothing: broker/waiting refuses it */
        case LEASE_KILLING:
        case LEASE_LINGERING:
        case _LEASE_STATE_N:
                break;
        }
        return 0;
}

void release_note_oom(struct lease *lease) {
        struct memory_events events = {};
        bool was_open = lease->dir_fd >= 0;
        char limit[32];

        /* What was killed in a VM of it is told of that. */
        if (lease->reservation)
                return;
        if (lease_open_dir(lease, NULL) || stats_memory_events(lease->dir_fd, &events, NULL))
                return;
        if (!was_open)
                lease_close_dir(lease);
        if (events.oom_kill <= lease->oom_kills)
                return;
        snprintf(limit, sizeof(limit), "%llu", (unsigned long long)lease->limits.memory_max_bytes);
        lease_event(lease, "vm_oom", event_number("kills", events.oom_kill - lease->oom_kills),
                    event_number("total", events.oom_kill),
                    event_number("memory_max", lease->limits.memory_max_bytes));
        log_warning("VM '%s': out of memory, killed by the kernel (memory.max %s)",
                    lease->record.name, limit);
        lease->oom_kills = events.oom_kill;
}

int release_main_ended(struct lease *lease, const siginfo_t *info) {
        bool failed = true;

        assert(!lease->launching);
        lease->own_child = false;
        lease->main_gone = true;
        lease->pidfd_source = sd_event_source_disable_unref(lease->pidfd_source);
        lease->process.pidfd = fd_close(lease->process.pidfd);
        if (info) {
                lease->status_known = true;
                if (info->si_code == CLD_EXITED)
                        lease->exit_code = info->si_status;
                else
                        lease->exit_signal = info->si_status;
                failed = lease->exit_code != 0;
                if (lease->exit_signal == SIGKILL)
                        release_note_oom(lease);
        }
        if (failed && (lease->state == LEASE_RUNNING || lease->state == LEASE_STARTING) &&
            !lease->end_reason[0])
                snprintf(lease->end_reason, sizeof(lease->end_reason), "exit");
        return release_try(lease);
}

/* How it ended, for who followed it. NULL: out of memory. */
static json_t *pack_exited(const struct lease *lease) {
        char text[WHY_TEXT_MAX], limit[UNITS_TEXT_MAX];
        json_t *run;

        if (lease->oom_kills > 0 && lease->exit_signal == SIGKILL)
                snprintf(text, sizeof(text), "out of memory: the kernel killed it at memory.max %s",
                         units_format_size(lease->limits.memory_max_bytes, limit, sizeof(limit)));
        else
                snprintf(text, sizeof(text), "%s", lease->end_reason);
        run = json_pack("{s:s s:b s:s}", "id", lease->record.id, "oom",
                        lease->oom_kills > 0 && lease->exit_signal == SIGKILL, "reason", text);
        if (run && lease->status_known && lease->exit_code >= 0)
                json_object_set_new(run, "exit_code", json_integer(lease->exit_code));
        else if (run && lease->status_known)
                json_object_set_new(run, "signal", json_integer(lease->exit_signal));
        return run;
}

/* What the follower of a VM that is over is told. */
static int tell_exited(struct lease *lease, struct connection *connection) {
        if (lease->exec_why && lease->exec_why->code == SPAWN_E_EXEC)
                return connection_error(connection, "ExecFailed",
                                        json_pack("{s:i s:i}", "errno", lease->exec_why->errnum,
                                                  "exit_code",
                                                  spawn_exit_code(lease->exec_why->errnum)),
                                        lease->exec_why->text);
        if (lease->exec_why)
                return connection_error(connection, "Failed", NULL, lease->exec_why->text);
        return connection_reply(
                connection, json_pack("{s:s s:o}", "state", "exited", "run", pack_exited(lease)),
                false);
}

/* Its client is expected back, from before this broker: then it is told. */
static void keep_for_client(struct lease *lease) {
        json_t *run;

        if (!lease->client_until_usec || !lease->status_known)
                return;
        run = pack_exited(lease);
        ended_keep(lease->broker, lease, run);
        json_decref(run);
}

static void end_events(struct lease *lease) {
        struct event_field fields[3] = {
                event_text("reason", lease->end_reason),
                event_bool("oom", lease->oom_kills > 0),
        };

        if (lease->status_known && lease->exit_code >= 0)
                fields[2] = (struct event_field)event_number("exit_code", lease->exit_code);
        else if (lease->status_known)
                fields[2] = (struct event_field)event_number("signal", lease->exit_signal);
        if (lease->status_known && lease->exit_signal == SIGSYS)
                violation_tell(lease);
        if (lease->executed_usec && !lease->reservation)
                lease_event_fields(lease, "vm_shutdown", fields, ARRAY_SIZE(fields));
        lease_event(lease, "claim_released", event_text("reason", lease->end_reason),
                    event_demand("charge", &lease->claim.demand));
}

/* The directory is gone: the charge goes back, everybody is told, the lease is freed. */
static int finish(struct lease *lease) {
        struct broker *broker = lease->broker;
        struct connection *connection, *follower = lease->follower;
        int r = 0;

        usage_settle(lease);
        taps_release(lease);
        qmp_remove(lease);
        console_remove(lease);
        owning_leave(lease);
        queue_release(&broker->queue, &lease->claim);
        if (lease->inside)
                ledger_return(&broker->ledger, &lease->tenant->account, &reservation_nothing);
        ledger_return(lease_ledger(lease), lease_account(lease), &lease->claim.demand);
        slice_unbalance(broker, lease->slice);
        lease_unwatch(lease);
        TAILQ_REMOVE(&broker->leases, lease, link);
        if (!lease->end_reason[0])
                snprintf(lease->end_reason, sizeof(lease->end_reason), "exit");
        end_events(lease);
        lease_detach_follower(lease);
        r = shrink_vm_ended(lease);
        if (r == 0 && follower)
                r = tell_exited(lease, follower);
        else if (r == 0)
                keep_for_client(lease);
        while (r == 0 && (connection = TAILQ_FIRST(&lease->killers))) {
                TAILQ_REMOVE(&lease->killers, connection, killer);
                connection->killing = NULL;
                r = connection_reply(connection, json_pack("{s:s}", "id", lease->record.id), false);
        }
        if (r < 0)
                return r;
        lease_free(lease);
        broker_settle_later(broker);
        return 0;
}

/* With the group goes what it counted. */
static int note_and_remove(struct lease *lease, struct why *why) {
        char name[LEASE_DIRECTORY_MAX];
        int r;

        usage_note(lease);
        r = cgroup_remove_tree_at(lease_parent_fd(lease),
                                  lease_directory(lease, name, sizeof(name)), why);
        if (r)
                usage_forget(lease);
        return r;
}

/* Takes the empty directory away. BUSY: something is left, and the kernel will say when it is not.
 */
static int remove_group(struct lease *lease, struct why *why) {
        int r;

        r = note_and_remove(lease, why);
        if (r != CGROUP_E_BUSY || lease->held_fds[0] >= 0)
                return r;
        /* It may have run empty before we began to listen for that: once more. */
        if (lease_hold(lease, why))
                log_warning("VM '%s': %s", lease->record.name, why->text);
        return note_and_remove(lease, why);
}

/* The kernel may still use it, and so may a VM that comes next: it goes on being charged. */
static int on_gpus_released(struct lease *lease, int answer, const struct why *why) {
        uint64_t wait;

        if (answer == 0) {
                lease->record.n_gpus = 0;
                return release_try(lease);
        }
        lease->state = LEASE_LINGERING;
        snprintf(lease->detail, sizeof(lease->detail),
                 "its GPU cannot be given back: %.400s; it is held, and tried again", why->text);
        log_error("VM '%s': lingering: %s", lease->record.name, lease->detail);
        wait = min_u64(RETRY_USEC << min_u64(lease->retries++, 10), RETRY_MAX_USEC);
        lease->retry_at_usec = broker_now_usec() + wait;
        broker_tick_at(lease->broker, lease->retry_at_usec);
        return 0;
}

static bool is_populated(struct lease *lease, struct why *why) {
        bool was_open = lease->dir_fd >= 0, populated = false;

        if (lease_open_dir(lease, why) == 0 && cgroup_populated(lease->dir_fd, &populated, why))
                populated = false;
        if (!was_open)
                lease_close_dir(lease);
        return populated;
}

/* Nothing runs in its group; if something does, the kernel will say when it is not so any more. */
static bool runs_on(struct lease *lease, struct why *why) {
        if (!is_populated(lease, why))
                return false;
        if (lease->held_fds[0] >= 0)
                return true;
        if (lease_hold(lease, why))
                log_warning("VM '%s': %s", lease->record.name, why->text);
        return is_populated(lease, why);
}

enum aside { ASIDE_FREE, ASIDE_SOON, ASIDE_IN_USE };

/*
 * The group names quota and GPUs to whoever comes after us, so it goes last, and only when both
 * have gone: one that runs empty a moment after we looked keeps its directory until we look again.
 * SOON: this is tried again by whoever has what is to be freed.
 */
static int free_aside(struct lease *lease, struct why *why) {
        int r;

        if (lease->record.quota_project == 0 && lease->record.n_gpus == 0)
                return ASIDE_FREE;
        if (runs_on(lease, why))
                return ASIDE_IN_USE;
        r = quota_release(lease, release_try) ?: gpu_lease_release(lease, on_gpus_released);
        return r <= 0 ? r : ASIDE_SOON;
}

int release_try(struct lease *lease) {
        struct why why = {};
        bool populated = true;
        int r;

        if (lease->own_child)
                return 0; /* its status is not asked for yet: its pidfd will be readable */
        if (lease->gpu_busy)
                return 0; /* and then this is tried again */
        if (lease->reservation && lease->reservation->n_inside > 0)
                return 0; /* the last of its VMs brings this about */
        r = free_aside(lease, &why);
        if (r < 0 || r == ASIDE_SOON)
                return r < 0 ? r : 0;
        r = r == ASIDE_IN_USE ? CGROUP_E_BUSY : remove_group(lease, &why);
        if (r == 0)
                return finish(lease);
        if (r != CGROUP_E_BUSY) {
                snprintf(lease->detail, sizeof(lease->detail), "%s", why.text);
                log_error("VM '%s': %s", lease->record.name, why.text);
                lease->retry_at_usec = broker_now_usec() + RETRY_MAX_USEC;
                broker_tick_at(lease->broker, lease->retry_at_usec);
                return 0;
        }
        if (lease->state == LEASE_RUNNING && !lease->end_reason[0] && lease->dir_fd >= 0) {
                r = cgroup_populated(lease->dir_fd, &populated, &why);
                if (r == 0 && populated) {
                        snprintf(lease->detail, sizeof(lease->detail),
                                 "its main process has ended; it goes on in the background");
                        return 0;
                }
        }
        /* What it printed last says why it failed: its console's keeper may pass that on. */
        if (lease->has_console && lease->main_gone &&
            (lease->state == LEASE_STARTING || lease->state == LEASE_RUNNING)) {
                owning_leave(lease);
                lease->state = LEASE_STOPPING;
                lease->kill_at_usec = broker_now_usec() + CONSOLE_END_USEC;
                broker_tick_at(lease->broker, lease->kill_at_usec);
        }
        if (lease->state == LEASE_STOPPING)
                return 0; /* others are left, and have what is left of the grace */
        if (lease->state != LEASE_KILLING && lease->state != LEASE_LINGERING)
                return kill_now(lease);
        return 0;
}

int release_retry(struct lease *lease) {
        struct broker *broker = lease->broker;
        uint64_t vms = broker->ledger.vms;
        int r;

        if (quota_is_released(lease) || lease->gpu_busy)
                return 0; /* it waits for its disk, or its GPUs */
        if (lease->own_child || !lease->main_gone)
                return kill_now(lease);
        r = release_try(lease);
        /* One VM less: it is gone, and the lease with it. */
        if (r < 0 || broker->ledger.vms < vms)
                return r;
        if (lease->gpu_busy)
                return 0;
        return lease->state >= LEASE_KILLING ? kill_now(lease) : 0;
}

int release_unmade(struct lease *lease) {
        char name[RECORD_ID_MAX + 8];
        struct why why = {};
        int r;

        lease->main_gone = true;
        if (lease->record.n_gpus > 0) {
                taps_discard(lease);
                lease->state = LEASE_KILLING;
                return release_try(lease);
        }
        if (lease->dir_fd >= 0) {
                r = cgroup_remove_tree_at(lease_parent_fd(lease),
                                          lease_directory(lease, name, sizeof(name)), &why);
                if (r) {
                        log_error("VM '%s': %s", lease->record.name, why.text);
                        return kill_now(lease);
                }
        }
        return finish(lease);
}
