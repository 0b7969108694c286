/* SPDX-License-Identifier: MIT */
#include <linux/ioctl.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include <base/fd.h>
#include <broker/broker.h>
#include <broker/finding.h>
#include <broker/lease.h>
#include <broker/parent.h>
#include <broker/release.h>
#include <launcher/launcher.h>

#define RETRY_USEC UINT64_C(1000000)

/* ---- how a VM has ended ---- */

/* pidfd ioctls of Linux 6.13 and 6.15, not in this C library's headers yet. */
struct pidfd_info_v0 {
        uint64_t mask, cgroupid;
        uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
        int32_t exit_code;
};
#define PIDFD_INFO_EXIT_BIT (UINT64_C(1) << 3)
#define PIDFD_GET_INFO_V0 _IOWR(0xFF, 11, struct pidfd_info_v0)

/* Of any process that was reaped. False: not known, or not yet. */
static bool ask_kernel(int pidfd, bool *supportedp, siginfo_t *status) {
        struct pidfd_info_v0 info = {.mask = PIDFD_INFO_EXIT_BIT};

        *supportedp = ioctl(pidfd, PIDFD_GET_INFO_V0, &info) == 0 || errno == ESRCH;
        if (!(info.mask & PIDFD_INFO_EXIT_BIT) || !*supportedp)
                return false;
        status->si_code = WIFEXITED(info.exit_code) ? CLD_EXITED : CLD_KILLED;
        status->si_status =
                WIFEXITED(info.exit_code) ? WEXITSTATUS(info.exit_code) : WTERMSIG(info.exit_code);
        return true;
}

/* The launcher knows of its children. Where the kernel tells of others, it does so once the process
 * was reaped, which EPOLLHUP announces; until then there is nothing to read, and nothing to be
 * called for. */
static int on_exit_of_main(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct lease *lease = userdata;
        struct broker *broker = lease->broker;
        bool supported = false, known;
        siginfo_t status = {};
        int r;

        /* The bell may still be in the queue; what the child left is final either way. Before it is
         * asked how it ended: from then on its pid may be another's. */
        r = broker->progress(lease);
        if (r < 0)
                return broker_fault(broker, r);
        known = (lease->own_child &&
                 launcher_wait(broker->launcher, lease->process.pid, &status) == 0) ||
                ask_kernel(fd, &supported, &status);
        if (!known && supported && !(revents & EPOLLHUP) && lease->retry_at_usec == 0) {
                /* A parent that never reaps: a second is enough to wait for it. */
                lease->retry_at_usec = broker_now_usec() + RETRY_USEC;
                broker_tick_at(broker, lease->retry_at_usec);
                r = sd_event_source_set_io_events(source, EPOLLHUP);
                return r < 0 ? broker_fault(broker, r) : 0;
        }
        r = release_main_ended(lease, known ? &status : NULL);
        return r < 0 ? broker_fault(broker, r) : 0;
}

int parent_watch(struct lease *lease) {
        int r = sd_event_add_io(lease->broker->event, &lease->pidfd_source, lease->process.pidfd,
                                EPOLLIN, on_exit_of_main, lease);

        return r < 0 ? fault(r) : 0;
}

void parent_recognise(struct lease *lease, int pid, bool *is_childp, bool *endedp) {
        siginfo_t status;
        int r = pid > 0 ? launcher_peek(lease->broker->launcher, pid, &status) : ECHILD;

        *endedp = r == 0;
        *is_childp = r == 0 || r == EAGAIN;
}

int parent_keep(struct broker *broker) {
        size_t n = 0, count = 0;
        struct lease *lease;
        pid_t *pids;

        TAILQ_FOREACH(lease, &broker->leases, link)
                count += lease->own_child;
        pids = calloc(count + 1, sizeof(*pids));
        if (!pids)
                return fault(-ENOMEM);
        TAILQ_FOREACH(lease, &broker->leases, link)
                if (lease->own_child)
                        pids[n++] = lease->process.pid;
        launcher_keep(broker->launcher, pids, n);
        free(pids);
        return 0;
}

/* ---- the launcher itself ---- */

static int watch(struct broker *broker);

/* What was on its way will never be told to be executed; what runs is nobody's child. */
static int give_up_children(struct broker *broker) {
        struct lease *lease, *next;
        int r = 0;

        for (lease = TAILQ_FIRST(&broker->leases); r >= 0 && lease; lease = next) {
                next = TAILQ_NEXT(lease, link);
                lease->own_child = false;
                r = broker->progress(lease);
        }
        return r < 0 ? r : 0;
}

/* The last one may have ended between a VM's execve and taking back the exemption. */
static void reset_oom(struct broker *broker) {
        struct lease *lease;

        TAILQ_FOREACH(lease, &broker->leases, link) {
                int r = lease->main_gone || lease->reservation
                                ? 0
                                : launcher_reset_oom(broker->launcher, lease->process.pid);

                if (r && r != ENOENT && r != ESRCH)
                        log_warning("VM '%s': cannot reset oom_score_adj: %s", lease->record.name,
                                    strerrordesc_np(r));
        }
}

/* Another one; its socket starts it. */
static int meet_again(struct broker *broker, struct why *why) {
        int r = launcher_meet(broker->launcher, why);

        if (r == 0)
                r = watch(broker);
        if (r)
                return r;
        log_info("another launcher was found");
        reset_oom(broker);
        return parent_keep(broker);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        struct broker *broker = userdata;
        struct why why = {};
        int r = meet_again(broker, &why);

        if (r < 0)
                return broker_fault(broker, r);
        if (r == 0) {
                broker->parent_retry = sd_event_source_disable_unref(broker->parent_retry);
                return 0;
        }
        launcher_forget(broker->launcher);
        if (sd_event_source_set_time_relative(source, RETRY_USEC) < 0 ||
            sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) < 0)
                return broker_fault(broker, -EIO);
        return 0;
}

/* It says nothing unasked: it has ended, or was too slow. */
static int on_launcher(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct broker *broker = userdata;
        int r;

        broker->parent_source = sd_event_source_disable_unref(broker->parent_source);
        broker->parent_end = sd_event_source_disable_unref(broker->parent_end);
        launcher_forget(broker->launcher);
        log_error("the launcher has ended; its VMs run on");
        r = give_up_children(broker);
        if (r < 0)
                return broker_fault(broker, r);
        if (launcher_is_ours(broker->launcher)) {
                log_error("leaving, to be started with another launcher");
                return sd_event_exit(broker->event, BROKER_E_HOST);
        }
        r = sd_event_add_time_relative(broker->event, &broker->parent_retry, CLOCK_MONOTONIC, 0, 0,
                                       on_retry, broker);
        return r < 0 ? broker_fault(broker, r) : 0;
}

static int watch(struct broker *broker) {
        int r = sd_event_add_io(broker->event, &broker->parent_source,
                                launcher_fd(broker->launcher), EPOLLIN, on_launcher, broker);

        if (r >= 0)
                r = sd_event_add_io(broker->event, &broker->parent_end,
                                    launcher_pidfd(broker->launcher), EPOLLIN, on_launcher, broker);
        return r < 0 ? fault(r) : 0;
}

int parent_begin(struct broker *broker, int (*progress)(struct lease *lease), struct why *why) {
        const struct launcher_place place = {
                .fd = broker->launcher_fd,
                .path = broker->options->launcher_socket,
        };
        int r;

        broker->progress = progress;
        r = launcher_new(&broker->launcher, &place, "/proc/self/exe", why);
        return r > 0 ? BROKER_E_HOST : r;
}

int parent_meet(struct broker *broker, struct why *why) {
        int r = launcher_meet(broker->launcher, why);

        if (r)
                return r < 0 ? r : BROKER_E_HOST;
        return watch(broker);
}

void parent_end(struct broker *broker) {
        sd_event_source_disable_unref(broker->parent_source);
        sd_event_source_disable_unref(broker->parent_end);
        sd_event_source_disable_unref(broker->parent_retry);
        broker->launcher = launcher_free(broker->launcher);
}

void parent_check(struct findings *findings) {
        const struct launcher *launcher = findings->broker->launcher;

        if (!launcher || launcher_is_lost(launcher))
                finding_problem(findings, "see provium-launcher.service, and its log",
                                "there is no launcher: no VM can be started");
        else if (!launcher_is_exempt(launcher))
                finding_warning(findings, "set OOMScoreAdjust=-1000 in provium-launcher.service",
                                "the OOM killer may choose the launcher; VMs would run on, but how "
                                "they end would not be known");
        else
                finding_ok(findings, "process %d starts the VMs, and the OOM killer spares it",
                           launcher_pid(launcher));
}
