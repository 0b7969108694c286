/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include <base/fd.h>
#include <base/file.h>
#include <broker/broker.h>
#include <broker/connection.h>
#include <broker/pressure.h>
#include <broker/pressure_report.h>
#include <broker/psi.h>
#include <cgroup/stats.h>
#include <launcher/launcher_errands.h>

#define LOOK_USEC UINT64_C(1000000)  /* while starts pause */
#define FIRST_USEC UINT64_C(500000)  /* from the reading that decides nothing to the next */
#define STALE_USEC UINT64_C(5000000) /* a reading older than that is no beginning */
#define SLACK_PART 10                /* a tenth unused: nobody waits for want of it */

static bool is_full(enum gate_resource resource) {
        return resource != GATE_CPU;
}

static uint64_t share_of(const struct psi *psi, enum gate_resource resource) {
        return is_full(resource) ? psi->full : psi->some;
}

/* The number behind @key ("MemAvailable:"), in kB there, as bytes. */
static bool meminfo(const char *text, const char *key, uint64_t *bytesp) {
        const char *line = strstr(text, key);

        if (!line)
                return false;
        *bytesp = strtoull(line + strlen(key), NULL, 10) * 1024;
        return true;
}

static void read_memory(const struct broker *broker, struct gates_memory *memory) {
        char path[256], text[8192];

        *memory = (struct gates_memory){};
        snprintf(path, sizeof(path), "%s/meminfo", broker->options->proc_dir);
        memory->known = file_read_at(AT_FDCWD, path, text, sizeof(text)) == 0 &&
                        meminfo(text, "MemTotal:", &memory->total_bytes) &&
                        meminfo(text, "MemAvailable:", &memory->available_bytes);
}

/* Idle and all time of all CPUs, in ticks. (proc(5); guest time is part of user) */
static bool read_cpus(const struct broker *broker, uint64_t *idlep, uint64_t *allp) {
        uint64_t all = 0, field[8];
        char path[256], line[256] = "";
        FILE *file;
        int n = 0;

        snprintf(path, sizeof(path), "%s/stat", broker->options->proc_dir);
        file = fopen(path, "re");
        if (file && fgets(line, sizeof(line), file))
                n = sscanf(line,
                           "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
                           " %" SCNu64 " %" SCNu64 " %" SCNu64,
                           &field[0], &field[1], &field[2], &field[3], &field[4], &field[5],
                           &field[6], &field[7]);
        if (file)
                fclose(file);
        if (n != 8)
                return false;
        for (size_t i = 0; i < ARRAY_SIZE(field); i++)
                all += field[i];
        *idlep = field[3] + field[4]; /* nobody runs while all wait for a disk */
        *allp = all;
        return true;
}

enum cpus { CPUS_UNDECIDED, CPUS_BUSY, CPUS_SLACK };

/* Was a tenth of the CPUs' time idle since the last reading? */
static enum cpus look_at_cpus(struct broker *broker, uint64_t now) {
        struct pressures *pressures = broker->pressures;
        uint64_t idle, all, before_idle = pressures->cpu_idle, before = pressures->cpu_all;
        uint64_t age = now - pressures->cpu_usec;

        if (!read_cpus(broker, &idle, &all))
                return CPUS_BUSY;
        if (pressures->cpu_usec && age < FIRST_USEC / 2)
                return CPUS_UNDECIDED; /* too short to tell; the older one stays */
        pressures->cpu_idle = idle;
        pressures->cpu_all = all;
        pressures->cpu_usec = now;
        if (age > STALE_USEC || all <= before || idle < before_idle)
                return CPUS_UNDECIDED;
        return (idle - before_idle) * SLACK_PART >= all - before ? CPUS_SLACK : CPUS_BUSY;
}

static void read_pressure(const struct broker *broker, enum gate_resource resource, bool slack,
                          struct pressure *pressure) {
        char name[32], path[256];
        struct psi host, vms;

        snprintf(path, sizeof(path), "%s/pressure/%s", broker->options->proc_dir,
                 gate_resource_name(resource));
        snprintf(name, sizeof(name), "%s.pressure", gate_resource_name(resource));
        psi_read(AT_FDCWD, path, &host);
        psi_read(broker->root.dir_fd, name, &vms);
        *pressure = (struct pressure){
                .known = host.known,
                .host = share_of(&host, resource),
                .vms = share_of(&vms, resource),
                .slack = slack && vms.known,
        };
}

static void tell(struct broker *broker) {
        const struct gates *gates = &broker->gates;
        uint64_t share = gates_count_pressure(&gates->pressure[gates->cause]);
        char avg10[24], limit[24], sentence[128];
        const struct event_field fields[] = {
                event_text("state", pressure_state_name(gates->state)),
                event_text("resource", gate_resource_name(gates->cause)),
                event_text("avg10", psi_format(share, avg10)),
                event_text("limit", psi_format(gates->rules.close_above[gates->cause], limit)),
                event_number("waiting", broker->queue.n),
        };

        pressure_format(gates->cause, share, sentence, sizeof(sentence));
        switch (gates->state) {
        case PRESSURE_CLOSED:
                log_warning("psi_pressure: %s, more than %s %%: no VM is started, those that run "
                            "go on",
                            sentence, limit);
                break;
        case PRESSURE_PACED:
                log_info("psi_pressure: %s: VMs are started again, one by one", sentence);
                break;
        case PRESSURE_OPEN:
                log_info("psi_pressure: over");
                break;
        }
        events_add(&broker->events, "pressure", NULL, broker_realtime_ns(), fields,
                   ARRAY_SIZE(fields));
}

/* While starts pause, we look, and the kernel need not call. */
static void listen_if(struct pressures *pressures, bool on) {
        for (size_t i = 0; i < _GATE_RESOURCE_N; i++)
                if (pressures->sources[i].source)
                        sd_event_source_set_enabled(pressures->sources[i].source,
                                                    on ? SD_EVENT_ON : SD_EVENT_OFF);
}

static void look_at(struct broker *broker, uint64_t usec) {
        broker->pressures->look_usec = usec;
        broker_tick_at(broker, usec);
}

static void take_reading(struct broker *broker, bool cpu_slack, uint64_t now) {
        struct pressure pressure[_GATE_RESOURCE_N];
        struct gates *gates = &broker->gates;
        struct gates_memory memory;
        bool memory_slack;

        read_memory(broker, &memory);
        memory_slack = memory.known && memory.available_bytes >= memory.total_bytes / SLACK_PART;
        read_pressure(broker, GATE_CPU, cpu_slack, &pressure[GATE_CPU]);
        read_pressure(broker, GATE_MEMORY, memory_slack, &pressure[GATE_MEMORY]);
        read_pressure(broker, GATE_IO, false, &pressure[GATE_IO]);
        if (gates_look(gates, pressure, broker->queue.n > 0, now))
                tell(broker);
}

/* Looks, and says when the next look is. Claims that may go on now are granted later in this turn.
 */
static void look(struct broker *broker, uint64_t now) {
        struct pressures *pressures = broker->pressures;
        struct gates *gates = &broker->gates;
        enum cpus cpus = look_at_cpus(broker, now);

        if (cpus == CPUS_UNDECIDED) {
                look_at(broker, now + FIRST_USEC);
                return;
        }
        pressures->look_usec = 0;
        take_reading(broker, cpus == CPUS_SLACK, now);
        if (gates->state != PRESSURE_OPEN)
                look_at(broker, now + min_u64(LOOK_USEC, gates->rules.pace_usec));
        listen_if(pressures, gates->state == PRESSURE_OPEN);
        if (broker->queue.n > 0 && gates_check(gates) == GATES_OPEN)
                broker_settle_later(broker);
}

static int on_trigger(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct broker *broker = userdata;

        if (revents & EPOLLERR)
                sd_event_source_set_enabled(source, SD_EVENT_OFF); /* it is gone */
        else
                look(broker, broker_now_usec());
        return 0;
}

/* Newer kernels let everybody have one, for long windows; the launcher may have any. */
static int open_trigger(struct broker *broker, enum gate_resource resource, uint64_t share,
                        const char *path, int *fdp) {
        static const enum wire_pressure names[_GATE_RESOURCE_N] = {
                [GATE_CPU] = WIRE_PRESSURE_CPU,
                [GATE_MEMORY] = WIRE_PRESSURE_MEMORY,
                [GATE_IO] = WIRE_PRESSURE_IO,
        };
        int r;

        r = psi_trigger(path, is_full(resource), share, fdp);
        if (r != EPERM && r != EACCES && r != EINVAL)
                return r;
        return launcher_pressure(broker->launcher, names[resource], is_full(resource),
                                 psi_stall_usec(share), PSI_WINDOW_USEC, fdp);
}

static int set_trigger(struct broker *broker, enum gate_resource resource, uint64_t share) {
        struct pressure_source *source = &broker->pressures->sources[resource];
        char path[256];
        struct psi psi;
        int fd, r;

        snprintf(path, sizeof(path), "%s/pressure/%s", broker->options->proc_dir,
                 gate_resource_name(resource));
        source->error = psi_read(AT_FDCWD, path, &psi);
        if (source->error == 0)
                source->error = open_trigger(broker, resource, share, path, &fd);
        if (source->error) {
                log_warning("pressure of %s is unknown (%s): it holds nothing back",
                            gate_resource_name(resource), strerrordesc_np(source->error));
                return 0;
        }
        r = sd_event_add_io(broker->event, &source->source, fd, EPOLLPRI, on_trigger, broker);
        if (r < 0) {
                fd_close(fd);
                return fault(r);
        }
        sd_event_source_set_io_fd_own(source->source, true);
        return 0;
}

static void drop_triggers(struct pressures *pressures) {
        for (size_t i = 0; i < _GATE_RESOURCE_N; i++) {
                sd_event_source_disable_unref(pressures->sources[i].source);
                pressures->sources[i] = (struct pressure_source){};
        }
}

static bool is_used(enum gate_use use, bool automatically) {
        return use == GATE_USE_AUTO ? automatically : use == GATE_USE_YES;
}

static void take_policy(struct broker *broker) {
        const struct broker_policy *policy = &broker->policy->broker;
        const struct gates_policy *wanted = &policy->gates;
        const uint64_t shares[_GATE_RESOURCE_N] = {
                [GATE_CPU] = wanted->cpu_pressure_milli,
                [GATE_MEMORY] = wanted->memory_pressure_milli,
                [GATE_IO] = wanted->io_pressure_milli,
        };
        struct gates_rules *rules = &broker->gates.rules;

        broker->pressures->in_use = is_used(wanted->psi, policy->pool.mode != POOL_FIXED);
        for (unsigned i = 0; i < _GATE_RESOURCE_N; i++) {
                bool heeded = broker->pressures->in_use && shares[i] != POLICY_NONE;

                rules->close_above[i] = heeded ? shares[i] * 10 : GATES_NEVER;
                rules->open_below[i] =
                        heeded ? shares[i] * wanted->resume_milli / 100 : GATES_NEVER;
        }
        rules->pace_usec = wanted->pace_usec;
        rules->memory = is_used(wanted->memory, policy->pool.mode == POOL_AUTO);
        rules->memory_reserve_bytes = wanted->host_reserve_bytes;
        rules->cpu_milli_max = host_cpus_at_a_time(&broker->host, policy);
}

int pressure_configure(struct broker *broker) {
        const struct gates_rules *rules = &broker->gates.rules;
        int r;

        if (!broker->pressures) {
                broker->pressures = calloc(1, sizeof(*broker->pressures));
                if (!broker->pressures)
                        return fault(-ENOMEM);
                gates_init(&broker->gates);
                broker->queue.gates = &broker->gates;
        }
        drop_triggers(broker->pressures);
        take_policy(broker);
        for (unsigned i = 0; i < _GATE_RESOURCE_N; i++) {
                if (rules->close_above[i] == GATES_NEVER)
                        continue;
                r = set_trigger(broker, i, rules->close_above[i]);
                if (r < 0)
                        return r;
        }
        listen_if(broker->pressures, broker->gates.state == PRESSURE_OPEN);
        /* Thresholds may be others now: whatever holds by them is found out. */
        if (broker->gates.state != PRESSURE_OPEN)
                look_at(broker, broker_now_usec());
        return 0;
}

void pressure_begin(struct broker *broker, bool paused) {
        struct gates *gates = &broker->gates;
        uint64_t now = broker_now_usec();

        if (!broker->pressures->in_use)
                return;
        if (paused)
                gates->state = PRESSURE_CLOSED;
        (void)look_at_cpus(broker, now);
        /* Whether CPUs are idle is not known yet: for half a second all of it counts. */
        take_reading(broker, false, now);
        if (gates->state == PRESSURE_PACED)
                gates->state = PRESSURE_OPEN;
        if (gates->state == PRESSURE_OPEN)
                return;
        for (unsigned i = 0; paused && i < _GATE_RESOURCE_N; i++)
                if (gates_count_pressure(&gates->pressure[i]) > gates->rules.open_below[i])
                        gates->cause = i;
        listen_if(broker->pressures, false);
        look_at(broker, now + FIRST_USEC);
}

void pressure_end(struct broker *broker) {
        if (broker->pressures)
                drop_triggers(broker->pressures);
        free(broker->pressures);
        broker->pressures = NULL;
}

void pressure_tick(struct broker *broker, uint64_t now, uint64_t *nextp) {
        struct pressures *pressures = broker->pressures;

        if (pressures->look_usec && pressures->look_usec <= now) {
                pressures->look_usec = 0;
                look(broker, now);
        }
        if (pressures->look_usec)
                *nextp = min_u64(*nextp, pressures->look_usec);
}

void pressure_refresh(struct broker *broker) {
        struct gates *gates = &broker->gates;
        struct why why = {};

        if (!gates->rules.memory)
                return;
        read_memory(broker, &gates->memory);
        if (gates->memory.known &&
            stats_memory_held(broker->root.dir_fd, &gates->memory.touched_bytes, &why)) {
                gates->memory.touched_bytes = 0; /* no credit for what is not known */
                log_warning("%s: all that was granted counts as not touched yet", why.text);
        }
}
