/* SPDX-License-Identifier: MIT */
#include <systemd/sd-daemon.h>

#include <base/units.h>
#include <broker/broker.h>
#include <broker/charge.h>
#include <broker/diskio.h>
#include <broker/filters.h>
#include <broker/gpu.h>
#include <broker/http_listen.h>
#include <broker/ksm.h>
#include <broker/lease.h>
#include <broker/network.h>
#include <broker/pressure.h>
#include <broker/reload.h>
#include <broker/reservation.h>
#include <broker/service.h>
#include <broker/slice.h>
#include <broker/slice_io.h>
#include <broker/taps.h>
#include <broker/taps_adopt.h>
#include <broker/tenant.h>
#include <policies/pool.h>

#define ROOT_WEIGHT_MAX 10000
#define RATIO_ONE_MILLI 1000

/* What the command line says stands above the files. */
static void take_options(const struct options *options, struct broker_policy *policy) {
        struct pool_policy *pool = &policy->pool;

        if (options->pool_cpu_milli) {
                pool->mode = POOL_FIXED;
                pool->memory_bytes = options->pool_memory_bytes;
                pool->cpu_milli = options->pool_cpu_milli;
                pool->overcommit_milli = policy_clamp_overcommit(
                        options->pool_overcommit_milli ?: 1000, &pool->overcommit_clamped);
        }
        policy->ksm &= !options->no_ksm;
}

int policies_load(struct broker *broker, struct policy_errors *errors, struct policy **policyp,
                  struct why *why) {
        int r;

        r = policy_load(policyp, broker->options->config_dir, broker->options->vendor_dir, errors);
        if (r < 0)
                return r;
        if (r == 0) {
                take_options(broker->options, &(*policyp)->broker);
                filters_unref(take(broker->next_filters));
                r = filters_load(&broker->next_filters, broker->options, *policyp, why);
                if (r)
                        *policyp = policy_free(*policyp);
                return r;
        }
        for (size_t i = 0; i < errors->n; i++) {
                char line[1200];

                log_error("%s", policy_error_format(&errors->list[i], line, sizeof(line)));
        }
        return why_set(why, BROKER_E_POLICY, "%zu errors in the policy files below '%s' and '%s'",
                       errors->n + errors->n_more, broker->options->config_dir,
                       broker->options->vendor_dir);
}

/* A VM that runs keeps its limits; what is guaranteed to it follows the new ratios. */
static void follow_ratios(struct lease *lease) {
        bool was_open = lease->dir_fd >= 0;
        struct limits limits;
        struct why why = {};

        if (lease->state == LEASE_UNKNOWN)
                return;
        charge_limits(lease->broker, lease, &limits);
        /* What memory is guaranteed while some is taken away is settled when that is over. */
        if (lease->shrink)
                limits.memory_low_bytes = lease->limits.memory_low_bytes;
        if (limits.cpu_weight == lease->limits.cpu_weight &&
            limits.memory_low_bytes == lease->limits.memory_low_bytes)
                return;
        lease->limits.cpu_weight = limits.cpu_weight;
        lease->limits.memory_low_bytes = limits.memory_low_bytes;
        if (lease_open_dir(lease, &why) || limits_apply(lease->dir_fd, &lease->limits, &why))
                log_error("VM '%s': %s", lease->record.name, why.text);
        if (!was_open)
                lease_close_dir(lease);
}

/* Whether the two directions of the network are charged apart has changed: the numbers a VM was
 * sold stay, what they come to in the books does not, and its record says so to the next broker. */
static void follow_network(struct lease *lease) {
        struct demand charge = lease->claim.demand;
        bool was_open = lease->dir_fd >= 0;
        struct why why = {};

        charge_network(lease->broker, &lease->record, &charge);
        if (demand_equal(&charge, &lease->claim.demand))
                return;
        if (lease->state != LEASE_WAITING &&
            !ledger_exchange_unchecked(lease_ledger(lease), lease_account(lease),
                                       &lease->claim.demand, &charge)) {
                log_error("VM '%s': its network is charged as before: the sum is too large",
                          lease->record.name);
                return;
        }
        lease->claim.demand = lease->record.charge = charge;
        if (lease->reservation)
                reservation_count(lease->reservation, &charge, lease->record.memory_bytes);
        switch (lease->state) {
        case LEASE_STARTING:
        case LEASE_RUNNING:
        case LEASE_STOPPING:
                break;
        case LEASE_WAITING: /* has no record yet */
        case LEASE_KILLING: /* its group may be gone; adoption derives the same */
        case LEASE_LINGERING:
        case LEASE_UNKNOWN: /* the record says more than we know */
        case _LEASE_STATE_N:
                return;
        }
        if (lease_open_dir(lease, &why) || record_write(lease->dir_fd, &lease->record, &why))
                log_error("VM '%s': %s", lease->record.name, why.text);
        if (!was_open)
                lease_close_dir(lease);
}

/* At a reload as well: then somebody has perhaps bound one to vfio-pci. */
static int look_for_gpus(struct broker *broker) {
        const struct gpu_policy *policy = &broker->policy->broker.gpu;
        const struct gpu_options options = {
                .bind = policy->bind,
                .give_back = policy->give_back,
                .type = policy->mdev_type,
                .devices = policy->devices,
                .dev_dir = launcher_dev(broker->launcher),
        };

        if (broker->gpus) {
                gpus_configure(broker->gpus, &options);
                return gpus_refresh(broker->gpus);
        }
        return gpus_new(&broker->gpus, broker->options->sys_dir, broker->root.path, &options);
}

/* What the policy makes of the host's capacity. A GPU slot is handed over, so it is not sold twice,
 * whatever the ratio; where none was found, the number of [Capacity] is only counted. */
void policies_count(struct broker *broker) {
        const struct broker_policy *policy = &broker->policy->broker;
        struct demand reserve = policy->reserve, ratio_milli = policy->ratio_milli;
        bool enforced[_RESOURCE_N];

        host_count_gpus(&broker->host, policy, broker->gpus);
        if (gpus_total(broker->gpus) > 0)
                ratio_milli.amount[RESOURCE_GPU] =
                        min_u64(ratio_milli.amount[RESOURCE_GPU], RATIO_ONE_MILLI);
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                enforced[i] = broker->host.source[i] != SOURCE_UNKNOWN;
        enforced[RESOURCE_NETWORK_UPLOAD] &= policy->network.full_duplex;
        pool_apply_terms(policy, &reserve, &ratio_milli);
        ledger_configure(&broker->ledger, &broker->host.capacity, &reserve, &ratio_milli, enforced,
                         policy->vms_max);
        broker->ledger.lend_usec = policy->queue.lend_for_usec;
}

/* By what order claims are served. */
static void configure_queue(struct broker *broker) {
        const struct queue_policy *policy = &broker->policy->broker.queue;
        const struct order_rules rules = {
                .age_step_ns = policy->priority_step_usec * 1000,
                .backfill = policy->backfill,
                .pass_for_usec = policy->pass_for_usec,
        };
        const struct order_rules *now = &broker->queue.rules;

        if (now->age_step_ns != rules.age_step_ns || now->backfill != rules.backfill ||
            now->pass_for_usec != rules.pass_for_usec)
                queue_set_rules(&broker->queue, &rules);
}

/* Takes the policy in force into the books. */
int policies_apply(struct broker *broker) {
        const struct broker_policy *policy = &broker->policy->broker;
        struct slice *slice, *next;
        struct claim *claim;
        struct lease *lease;
        struct why why = {};
        uint64_t reserve, low;
        int r;

        if (broker->next_filters) {
                filters_unref(broker->filters);
                broker->filters = take(broker->next_filters);
        }
        r = look_for_gpus(broker);
        if (r < 0)
                return r;
        host_discover(&broker->host, broker->options, launcher_dev(broker->launcher), policy,
                      &broker->root);
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                if (policy->ratio_clamped[i])
                        log_warning("ratio of %s clamped to %.3g", resource_name(i),
                                    (double)policy->ratio_milli.amount[i] / 1000);
        if (policy->pool.overcommit_clamped)
                log_warning("CPU overcommit clamped to %.3g",
                            (double)policy->pool.overcommit_milli / 1000);
        policies_count(broker);
        ksm_configure(broker);
        r = pressure_configure(broker);
        if (r == 0)
                r = slices_configure(broker);
        tenants_configure(broker);
        configure_queue(broker);
        if (r < 0)
                return r;

        /* The root's capacity before the classes below it. */
        network_configure(broker);
        diskio_configure(broker);
        TAILQ_FOREACH(lease, &broker->leases, link) {
                follow_network(lease);
                follow_ratios(lease);
                taps_follow(lease);
                diskio_follow(lease);
                queue_changed(&broker->queue, &lease->claim);
        }
        TAILQ_FOREACH(claim, &broker->queue.claims, all) {
                follow_network(claim_lease(claim));
                diskio_follow(claim_lease(claim));
                queue_changed(&broker->queue, claim);
        }

        broker->owners_suspect = true;
        HASH_ITER(hh, broker->slices, slice, next)
                (void)slice_io_follow(broker, slice, NULL);

        /* Of the host's memory and CPUs the reserve is the host's, the rest is the VMs'. */
        reserve = broker->ledger.reserve.amount[RESOURCE_MEMORY];
        low = broker->host.capacity.amount[RESOURCE_MEMORY];
        low = limits_page_ceil(low > reserve ? low - reserve : 0);
        if (broker->in_scope ? service_protect(low, ROOT_WEIGHT_MAX, &why)
                             : cgroup_root_protect(&broker->root, low, ROOT_WEIGHT_MAX, &why))
                log_warning("%s: other programs of this host may push VMs aside", why.text);
        return 0;
}

static void tell_reloaded(struct broker *broker, bool ok, const char *detail) {
        const struct event_field fields[] = {event_bool("ok", ok), event_text("detail", detail)};

        events_add(&broker->events, "policy_reloaded", NULL, broker_realtime_ns(), fields,
                   ARRAY_SIZE(fields));
}

int policies_reload(struct broker *broker, struct policy_errors *errors, struct why *why) {
        struct policy *policy = NULL, *old = broker->policy;
        int r;

        sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
                   (unsigned long long)broker_monotonic_usec());
        r = policies_load(broker, errors, &policy, why);
        if (r == 0) {
                broker->policy = policy;
                r = policies_apply(broker);
                http_listen_follow(broker->http);
                taps_drop_bridges(broker);
                policy_free(old);
        }
        sd_notify(0, "READY=1");
        if (r < 0)
                return r;
        tell_reloaded(broker, r == 0, r ? why->text : "");
        if (r) {
                log_error("policies not reloaded: %s; the last good ones stay in force", why->text);
                return r;
        }
        log_info("policies reloaded: %zu slices", broker->policy->n_slices);
        broker_settle_later(broker);
        return 0;
}
