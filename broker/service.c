/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <base/fd.h>
#include <base/file.h>
#include <base/why.h>
#include <broker/broker.h>
#include <broker/service.h>

#define BUS_NAME "org.freedesktop.systemd1"
#define BUS_PATH "/org/freedesktop/systemd1"
#define BUS_MANAGER "org.freedesktop.systemd1.Manager"
#define JOB_USEC UINT64_C(10000000)
#define CALL_USEC                                                                                  \
        UINT64_C(5000000) /* systemd answers in milliseconds, or something is very wrong */
#define LEAF "holder"

bool service_booted(void) {
        return sd_booted() > 0;
}

int service_hold(void) {
        sigset_t none;

        signal(SIGHUP, SIG_IGN);
        sigemptyset(&none);
        for (;;)
                sigsuspend(&none);
}

static int start_holder(const char *self, pid_t *pidp, struct why *why) {
        char *const argv[] = {(char *)"provium-broker", (char *)"--hold", NULL};
        char *const envp[] = {NULL};
        posix_spawn_file_actions_t files;
        posix_spawnattr_t attributes;
        int r;

        /* A session of its own: it must outlive us, and no signal meant for us may reach it. Nor
         * may it keep anything open, least of all the socket that systemd has passed to us: whoever
         * connects to it when nobody listens must be told. */
        posix_spawnattr_init(&attributes);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
        posix_spawn_file_actions_init(&files);
        r = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDWR, 0);
        for (int fd = 1; !r && fd <= 2; fd++)
                r = posix_spawn_file_actions_adddup2(&files, 0, fd);
        if (!r)
                r = posix_spawn_file_actions_addclosefrom_np(&files, 3);
        if (!r)
                r = posix_spawn(pidp, self, &files, &attributes, argv, envp);
        posix_spawn_file_actions_destroy(&files);
        posix_spawnattr_destroy(&attributes);
        if (r)
                return why_errno(why, BROKER_E_HOST, r, "cannot start the holder '%s'", self);
        return 0;
}

struct job {
        const char *path;
        char result[32];
        bool done;
};

static int on_job_removed(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        struct job *job = userdata;
        const char *path, *unit, *result;
        uint32_t id;

        if (sd_bus_message_read(message, "uoss", &id, &path, &unit, &result) >= 0 && job->path &&
            strcmp(path, job->path) == 0) {
                snprintf(job->result, sizeof(job->result), "%s", result);
                job->done = true;
        }
        return 0;
}

/* systemd answers the call at once and says later whether the job was done. */
static int await(sd_bus *bus, struct job *job, struct why *why) {
        uint64_t until = broker_now_usec() + JOB_USEC;

        while (!job->done) {
                int r = sd_bus_process(bus, NULL);

                if (r == 0) {
                        uint64_t now = broker_now_usec();

                        if (now >= until)
                                return why_set(why, BROKER_E_HOST,
                                               "systemd did not finish %s in time", SERVICE_SCOPE);
                        r = sd_bus_wait(bus, until - now);
                }
                if (r < 0 && r != -EINTR)
                        return why_errno(why, BROKER_E_HOST, -r, "lost the bus");
        }
        if (strcmp(job->result, "done") != 0)
                return why_set(why, BROKER_E_HOST, "systemd's job for %s ended '%s'", SERVICE_SCOPE,
                               job->result);
        return 0;
}

/* From SIGTERM to SIGKILL when the scope is stopped. The first process of a VM's own namespace that
 * handles no SIGTERM does not end by it. */
#define STOP_USEC UINT64_C(20000000)

/* Answers with *existsp set instead, if there is such a scope already. */
static int start_scope(sd_bus *bus, pid_t holder, bool *existsp, struct why *why) {
        __attribute__((__cleanup__(sd_bus_message_unrefp))) sd_bus_message *reply = NULL;
        __attribute__((__cleanup__(sd_bus_slot_unrefp))) sd_bus_slot *slot = NULL;
        __attribute__((__cleanup__(sd_bus_error_free))) sd_bus_error error = SD_BUS_ERROR_NULL;
        struct job job = {};
        int r;

        *existsp = false;
        r = sd_bus_match_signal(bus, &slot, BUS_NAME, BUS_PATH, BUS_MANAGER, "JobRemoved",
                                on_job_removed, &job);
        if (r >= 0)
                r = sd_bus_call_method(
                        bus, BUS_NAME, BUS_PATH, BUS_MANAGER, "StartTransientUnit", &error, &reply,
                        "ssa(sv)a(sa(sv))", SERVICE_SCOPE, "fail", 8, "PIDs", "au", 1,
                        (uint32_t)holder, "Delegate", "b", 1, "Slice", "s", SERVICE_SLICE,
                        "Description", "s", "Provium virtual machines", "CollectMode", "s",
                        "inactive-or-failed", "TasksMax", "t", UINT64_MAX, "KillMode", "s",
                        "control-group", "TimeoutStopUSec", "t", STOP_USEC, 0);
        if (r >= 0)
                r = sd_bus_message_read(reply, "o", &job.path);
        *existsp = r < 0 && sd_bus_error_has_name(&error, BUS_NAME ".UnitExists");
        if (r < 0)
                return why_set(why, BROKER_E_HOST, "systemd does not start %s: %s", SERVICE_SCOPE,
                               error.message ?: strerrordesc_np(-r));
        return await(bus, &job, why);
}

/* Out of the scope's own group into a leaf: inner groups may hold no processes. */
static int settle_holder(const char *mount, pid_t holder, struct why *why) {
        char path[512], text[16];
        int r;

        snprintf(path, sizeof(path), "%s/%s/%s", mount, SERVICE_ROOT, LEAF);
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
                return why_errno(why, BROKER_E_HOST, errno, "cannot create '%s'", path);
        snprintf(path, sizeof(path), "%s/%s/%s/cgroup.procs", mount, SERVICE_ROOT, LEAF);
        snprintf(text, sizeof(text), "%d", holder);
        r = file_write_at(AT_FDCWD, path, text);
        if (r)
                return why_errno(why, BROKER_E_HOST, r, "cannot move the holder into its leaf");
        return 0;
}

static bool scope_is_held(const char *mount) {
        char path[512], text[256];

        snprintf(path, sizeof(path), "%s/%s/%s/cgroup.procs", mount, SERVICE_ROOT, LEAF);
        return file_read_at(AT_FDCWD, path, text, sizeof(text)) == 0 && text[0];
}

static int open_bus(sd_bus **busp, struct why *why) {
        int r;

        r = sd_bus_open_system(busp);
        if (r >= 0)
                r = sd_bus_set_method_call_timeout(*busp, CALL_USEC);
        if (r < 0)
                return why_errno(why, BROKER_E_HOST, -r,
                                 "cannot reach systemd over the system bus");
        return 0;
}

int service_open_scope(const char *mount, const char *self, struct why *why) {
        __attribute__((__cleanup__(sd_bus_flush_close_unrefp))) sd_bus *bus = NULL;
        bool exists = false;
        pid_t holder = 0;
        int r;

        if (scope_is_held(mount))
                return 0;
        r = open_bus(&bus, why);
        if (!r)
                r = start_holder(self, &holder, why);
        if (r)
                return r;
        r = start_scope(bus, holder, &exists, why);
        /* A scope without a holder: somebody killed it, and VMs have kept the scope alive. It only
         * needs a new one. */
        if (!r || exists)
                r = settle_holder(mount, holder, why);
        if (r)
                kill(holder, SIGKILL);
        return r;
}

/* Through systemd, because it writes what it believes to be true at every daemon-reload. */
static int protect_unit(sd_bus *bus, const char *unit, uint64_t memory_low_bytes,
                        uint64_t cpu_weight, struct why *why) {
        __attribute__((__cleanup__(sd_bus_error_free))) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = sd_bus_call_method(bus, BUS_NAME, BUS_PATH, BUS_MANAGER, "SetUnitProperties", &error,
                               NULL, "sba(sv)", unit, 1, 2, "MemoryLow", "t", memory_low_bytes,
                               "CPUWeight", "t", cpu_weight);
        if (r < 0)
                return why_set(why, BROKER_E_HOST, "systemd does not protect %s: %s", unit,
                               error.message ?: strerrordesc_np(-r));
        return 0;
}

int service_protect(uint64_t memory_low_bytes, uint64_t cpu_weight, struct why *why) {
        __attribute__((__cleanup__(sd_bus_flush_close_unrefp))) sd_bus *bus = NULL;
        int r;

        r = open_bus(&bus, why);
        if (!r)
                r = protect_unit(bus, SERVICE_SLICE, memory_low_bytes, cpu_weight, why);
        if (!r)
                r = protect_unit(bus, SERVICE_SCOPE, memory_low_bytes, cpu_weight, why);
        return r;
}
