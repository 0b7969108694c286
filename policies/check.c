/* SPDX-License-Identifier: MIT */

/*
 * A policy that can never do what it says is refused when it is loaded, where somebody is looking,
 * and not when a claim first meets it. What only depends on the real host (a capacity that is
 * discovered) is not judged here: the same files must be valid on every machine.
 *
 *     reserve             <= capacity
 *     sum of guarantees   <= (capacity - reserve) x min(1, ratio)       (a guarantee is real)
 *     a slice's guarantee <= its limit x its ratio    (its own, or what slices in it add up to)
 *     its default claim   <= the largest claim of a VM, and its limit x its ratio
 *
 * and what belongs to a bridge needs one, and no directory of [Disk] lies in another.
 */

#include <stdio.h>
#include <string.h>

#include <policies/check.h>
#include <policies/disk.h>
#include <policies/errors.h>
#include <policies/http.h>
#include <policies/parse.h>
#include <policies/policy.h>
#include <policies/value.h>

#include <base/units.h>
#include <base/why.h>

#define RATIO_MIN 500
#define RATIO_MAX 16000
#define RATIO_MAX_CPU 8000
#define DYNAMIC_MIN 65536
#define DYNAMIC_MAX 4294901760
#define DEVICE_NAME_MAX 40

/* floor(amount x milli / 1000), or the largest number if it is above that. */
static uint64_t scale(uint64_t amount, uint64_t milli) {
        uint64_t product;

        /* amount = 1000 q + r, so that the exact floor is q x milli + floor(r x milli / 1000) */
        if (__builtin_mul_overflow(amount / 1000, milli, &product) ||
            __builtin_add_overflow(product, amount % 1000 * milli / 1000, &product))
                return UINT64_MAX;
        return product;
}

static uint64_t clamp(uint64_t ratio_milli, uint64_t most, bool *clampedp) {
        uint64_t clamped = min_u64(max_u64(ratio_milli, RATIO_MIN), most);

        *clampedp = clamped != ratio_milli;
        return clamped;
}

uint64_t policy_clamp_overcommit(uint64_t overcommit_milli, bool *clampedp) {
        return clamp(overcommit_milli, RATIO_MAX_CPU, clampedp);
}

static void clamp_ratios(struct demand *ratio_milli, bool clamped[_RESOURCE_N]) {
        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                uint64_t most = i == RESOURCE_CPU ? RATIO_MAX_CPU : RATIO_MAX;

                ratio_milli->amount[i] = clamp(ratio_milli->amount[i], most, &clamped[i]);
        }
}

/* Complains that the value at @offset, @amount of @resource, is above @most, which is @what. */
static void complain(const struct unit *unit, size_t offset, unsigned resource, uint64_t amount,
                     uint64_t most, const char *what) {
        char has[UNITS_TEXT_MAX], valid[UNITS_TEXT_MAX];
        struct place place;
        const struct key *key = unit_find(unit, offset, &place);

        assert(key);
        resource_format(resource, amount, has, sizeof(has));
        resource_format(resource, most, valid, sizeof(valid));
        errors_add(unit->errors, place.path, place.line, key->section, key->name,
                   "%s is more than %s, %s", has, what, valid);
}

static bool is_number(uint64_t amount) {
        return amount != POLICY_NONE && amount != POLICY_AUTO;
}

/* Notes an error where the value at @offset was assigned. */
static void complain_at(const struct unit *unit, size_t offset, const char *sentence) {
        struct place place;
        const struct key *key = unit_find(unit, offset, &place);

        assert(key);
        errors_add(unit->errors, place.path, place.line, key->section, key->name, "%s", sentence);
}

/* What is said about a bridge needs one. */
static void check_network(const struct unit *unit) {
        const struct broker_policy *broker = unit->object;
        const struct network_policy *network = &broker->network;
        const struct {
                size_t offset;
                bool given;
        } needs[] = {
                {offsetof(struct broker_policy, network.addresses), network->n_addresses > 0},
                {offsetof(struct broker_policy, network.uplink), network->uplink[0]},
                {offsetof(struct broker_policy, network.nat), network->nat},
        };

        for (size_t i = 0; i < ARRAY_SIZE(needs); i++)
                if (needs[i].given && !network->bridge[0])
                        complain_at(unit, needs[i].offset,
                                    "it needs a bridge; say which with Bridge=");
        if (network->bridge[0] && network->nat && network->n_addresses == 0)
                complain_at(unit, offsetof(struct broker_policy, network.nat),
                            "it needs a subnet; give the bridge an address in it with Address=");
        if (network->bridge[0] && strcmp(network->uplink, network->bridge) == 0)
                complain_at(
                        unit, offsetof(struct broker_policy, network.uplink),
                        "a bridge cannot be a port of itself; Bridge= and Uplink= are the same");
}

/* No directory of [Disk] lies in another. Those that nobody wrote lie apart. */
static void check_disk(const struct unit *unit) {
        const struct broker_policy *broker = unit->object;

        for (unsigned i = 0; i < _DISK_SHARE_N; i++) {
                char path[POLICY_DIRECTORY_MAX], other[POLICY_DIRECTORY_MAX];
                char sentence[2 * POLICY_DIRECTORY_MAX + 64];

                policy_disk_directory(broker, i, path);
                for (unsigned j = 0; j < i; j++) {
                        unsigned written = *disk_share_written(broker, i) ? i : j;

                        policy_disk_directory(broker, j, other);
                        if (!*disk_share_written(broker, written) ||
                            !(disk_path_within(path, other) || disk_path_within(other, path)))
                                continue;
                        snprintf(sentence, sizeof(sentence),
                                 "%s and %s are not apart; files would count twice", path, other);
                        complain_at(unit, disk_share_offset(written), sentence);
                }
        }
}

/* "FIRST-LAST". Not root, not nobody, not what logind gives to people. */
static void check_dynamic_users(const struct unit *unit) {
        struct broker_policy *broker = unit->object;
        unsigned long first, last;
        char rest;

        if (sscanf(broker->dynamic_users, "%lu-%lu%c", &first, &last, &rest) != 2 ||
            first < DYNAMIC_MIN || last > DYNAMIC_MAX || first > last) {
                complain_at(unit, offsetof(struct broker_policy, dynamic_users),
                            "give the first and the last number, as in 524288-589823; both from "
                            "65536 to 4294901760");
                return;
        }
        broker->dynamic_first = (uid_t)first;
        broker->dynamic_last = (uid_t)last;
}

/* Addresses as the kernel writes them, in whole or their beginnings. */
static void check_gpus(const struct unit *unit) {
        const struct broker_policy *broker = unit->object;
        const char *text = broker->gpu.devices;

        while (*(text += strspn(text, " "))) {
                size_t length = strcspn(text, " "), span = strspn(text, "0123456789abcdef:.");
                bool rest = span + 1 == length && text[span] == '*';

                if (!(rest || (span == length && length >= sizeof("0000:00:00.0") - 1))) {
                        complain_at(unit, offsetof(struct broker_policy, gpu.devices),
                                    "give addresses of the PCI bus, in small letters, or how they "
                                    "begin, as in 0000:01:00.0 0000:41:*");
                        return;
                }
                text += length;
        }
}

/* A fixed pool is a budget that somebody has stated. */
static void check_pool(const struct unit *unit) {
        struct broker_policy *broker = unit->object;
        struct pool_policy *pool = &broker->pool;

        pool->overcommit_milli =
                policy_clamp_overcommit(pool->overcommit_milli, &pool->overcommit_clamped);
        if (pool->mode == POOL_FIXED &&
            (pool->memory_bytes == POLICY_AUTO || pool->cpu_milli == POLICY_AUTO))
                complain_at(unit, offsetof(struct broker_policy, pool.mode),
                            "fixed needs Memory= and Cpus=, such as 4G and 8");
}

/* What is written in one line is more than a text. */
static void check_http(const struct unit *unit) {
        struct broker_policy *broker = unit->object;
        struct http_policy *http = &broker->http;
        struct why why = {};

        if (policy_parse_listens(http->listen_text, http->listens, &http->n_listens, &why))
                complain_at(unit, offsetof(struct broker_policy, http.listen_text), why.text);
        if (policy_check_hosts(http->hosts, &why))
                complain_at(unit, offsetof(struct broker_policy, http.hosts), why.text);
}

void check_broker(const struct unit *unit) {
        struct broker_policy *broker = unit->object;

        clamp_ratios(&broker->ratio_milli, broker->ratio_clamped);
        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                uint64_t capacity = broker->capacity.amount[i], reserve = broker->reserve.amount[i];

                if (is_number(capacity) && reserve > capacity)
                        complain(unit, offsetof(struct broker_policy, reserve.amount) + i * 8, i,
                                 reserve, capacity, "the [Capacity]");
        }
        check_network(unit);
        check_disk(unit);
        check_dynamic_users(unit);
        check_gpus(unit);
        check_pool(unit);
        check_http(unit);
}

/* Names below /dev that lead nowhere else. */
static void check_devices(const struct unit *unit) {
        static const char valid[] =
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-/";
        const struct slice_policy *slice = unit->object;
        const char *text = slice->sandbox.devices;

        while (*(text += strspn(text, " "))) {
                size_t length = strcspn(text, " ");

                if (length >= DEVICE_NAME_MAX || strspn(text, valid) < length || *text == '/') {
                        complain_at(unit, offsetof(struct slice_policy, sandbox.devices),
                                    "give names below /dev, such as kvm or net/tun, separated by "
                                    "spaces");
                        return;
                }
                text += length;
        }
}

void check_slice(const struct unit *unit) {
        struct slice_policy *slice = unit->object;

        clamp_ratios(&slice->ratio_milli, slice->ratio_clamped);
        check_devices(unit);
        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                uint64_t guarantee = slice->guarantee.amount[i], claim = slice->vm_claim.amount[i];
                uint64_t limit = slice->limit.amount[i], vm_max = slice->vm_max.amount[i];
                size_t at_guarantee = offsetof(struct slice_policy, guarantee.amount) + i * 8;
                size_t at_claim = offsetof(struct slice_policy, vm_claim.amount) + i * 8;

                if (is_number(limit))
                        limit = scale(limit, slice->ratio_milli.amount[i]);
                if (is_number(limit) && guarantee > limit)
                        complain(unit, at_guarantee, i, guarantee, limit,
                                 "the slice's limit times its ratio");
                if (!is_number(claim))
                        continue;
                if (is_number(vm_max) && claim > vm_max)
                        complain(unit, at_claim, i, claim, vm_max, "one VM's maximum");
                else if (is_number(limit) && claim > limit)
                        complain(unit, at_claim, i, claim, limit,
                                 "the slice's limit times its ratio");
        }
}

/* The resource as [Guarantee] of a slice file spells it. */
static const char *guarantee_key(unsigned resource) {
        size_t offset = offsetof(struct slice_policy, guarantee.amount) + resource * 8;
        const struct unit unit = {.file = POLICY_FILE_SLICE};
        struct place place;

        return unit_find(&unit, offset, &place)->name;
}

static uint64_t add(uint64_t a, uint64_t b) {
        return a + b < a ? UINT64_MAX : a + b;
}

static uint64_t guaranteed(const struct policy *policy, const struct slice_policy *slice,
                           unsigned resource);

/* What the slices directly in @outer have guaranteed together. */
static uint64_t guaranteed_inside(const struct policy *policy, const struct slice_policy *outer,
                                  unsigned resource) {
        size_t length = strlen(outer->name);
        uint64_t sum = 0;

        /* Sorted by name: all that begin with it come next. */
        for (const struct slice_policy *slice = outer + 1;
             slice < policy->slices + policy->n_slices &&
             strncmp(slice->name, outer->name, length) == 0;
             slice++)
                if (slice->name[length] == '/' && !strchr(slice->name + length + 1, '/'))
                        sum = add(sum, guaranteed(policy, slice, resource));
        return sum;
}

/* Its own, or what those in it need, which is part of it. */
static uint64_t guaranteed(const struct policy *policy, const struct slice_policy *slice,
                           unsigned resource) {
        return max_u64(slice->guarantee.amount[resource],
                       guaranteed_inside(policy, slice, resource));
}

/* What slices have guaranteed fits into the slice that they lie in. */
static void check_inner(const struct policy *policy, unsigned resource,
                        struct policy_errors *errors) {
        char total[UNITS_TEXT_MAX], valid[UNITS_TEXT_MAX];

        for (size_t j = 0; j < policy->n_slices; j++) {
                const struct slice_policy *slice = &policy->slices[j];
                uint64_t limit = slice->limit.amount[resource], sum;

                if (!is_number(limit))
                        continue;
                limit = scale(limit, slice->ratio_milli.amount[resource]);
                sum = guaranteed_inside(policy, slice, resource);
                if (sum > limit)
                        errors_add(errors, slice->path, 0, "Slice", guarantee_key(resource),
                                   "the guarantees of the slices in it add up to %s, more than "
                                   "its limit times its ratio, %s",
                                   resource_format(resource, sum, total, sizeof(total)),
                                   resource_format(resource, limit, valid, sizeof(valid)));
        }
}

void check_policy(const struct policy *policy, struct policy_errors *errors) {
        const struct broker_policy *broker = &policy->broker;

        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                uint64_t capacity = broker->capacity.amount[i], reserve = broker->reserve.amount[i];
                char total[UNITS_TEXT_MAX], valid[UNITS_TEXT_MAX];
                uint64_t most, sum = 0;

                check_inner(policy, i, errors);
                if (!is_number(capacity) || reserve > capacity)
                        continue;
                most = scale(capacity - reserve, min_u64(broker->ratio_milli.amount[i], 1000));
                for (size_t j = 0; j < policy->n_slices; j++) {
                        const struct slice_policy *slice = &policy->slices[j];

                        if (!strchr(slice->name, '/'))
                                sum = add(sum, guaranteed(policy, slice, i));
                        if (sum <= most)
                                continue;
                        errors_add(errors, slice->path, 0, "Guarantee", guarantee_key(i),
                                   "with this slice, the guarantees add up to %s, more than the "
                                   "configured capacity can hold, %s",
                                   resource_format(i, sum, total, sizeof(total)),
                                   resource_format(i, most, valid, sizeof(valid)));
                        break;
                }
        }
}

_Static_assert(sizeof(((struct demand *)NULL)->amount[0]) == 8, "the offsets above step by it");
