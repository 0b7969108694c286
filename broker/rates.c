/* SPDX-License-Identifier: MIT */
#include <broker/broker.h>
#include <broker/lease.h>
#include <broker/network.h>
#include <broker/rates.h>
#include <broker/slice.h>

/* What a VM whose uploads are not limited is guaranteed while others share the IFB. */
#define UNLIMITED_GUARANTEE_BYTES_PER_S UINT64_C(125000)

static uint64_t times_milli(uint64_t value, uint64_t milli) {
        unsigned __int128 product = (unsigned __int128)value * milli / 1000;

        return product > UINT64_MAX ? UINT64_MAX : (uint64_t)product;
}

/*
 * The part of @upload that is guaranteed: upload / ratio, so that all guarantees together fit the
 * uplink. Where more is sold than may be, because a ratio or a capacity was lowered, they are cut
 * in proportion: HTB does not hold children to their parent's rate.
 */
static uint64_t guarantee(const struct broker *broker, uint64_t upload) {
        const struct ledger *ledger = &broker->ledger;
        enum resource axis = broker->policy->broker.network.full_duplex ? RESOURCE_NETWORK_UPLOAD
                                                                        : RESOURCE_NETWORK;
        uint64_t real = network_capacity(broker), sold;

        if (!ledger->enforced[RESOURCE_NETWORK])
                return ledger_guarantee(ledger, RESOURCE_NETWORK, upload);
        sold = max_u64(real,
                       max_u64(ledger->effective.amount[axis], ledger->allocated.amount[axis]));
        return (uint64_t)((unsigned __int128)upload * real / sold);
}

bool rates_oversold(const struct broker *broker) {
        const struct ledger *ledger = &broker->ledger;

        for (unsigned i = 0; i < _RESOURCE_N; i++)
                if ((i == RESOURCE_NETWORK || i == RESOURCE_NETWORK_UPLOAD) &&
                    ledger->enforced[i] &&
                    ledger->allocated.amount[i] > ledger->effective.amount[i])
                        return true;
        return false;
}

void rates_set(const struct lease *lease, struct shape *shape) {
        const struct broker *broker = lease->broker;
        const struct network_policy *policy = &broker->policy->broker.network;
        const struct slice_policy *slice = lease->slice->policy;
        uint64_t download = lease->record.download_bytes_per_s ?: SHAPE_RATE_MAX;
        uint64_t upload = lease->record.upload_bytes_per_s;
        uint64_t ceil = network_capacity(broker), rate;

        shape->download_bytes_per_s = download;
        shape->download_bucket_bytes =
                times_milli(shape_bucket(download, 0), policy->download_bucket_milli);

        if (upload > 0)
                rate = max_u64(SHAPE_RATE_MIN, guarantee(broker, upload));
        else if (broker->ledger.enforced[RESOURCE_NETWORK])
                rate = SHAPE_RATE_MIN; /* from before the capacity was known: nothing was sold */
        else
                rate = UNLIMITED_GUARANTEE_BYTES_PER_S;
        if (upload > 0)
                ceil = min_u64(ceil, times_milli(upload, policy->upload_ceil_milli));
        if (slice && slice->limit.amount[RESOURCE_NETWORK] != POLICY_NONE)
                ceil = min_u64(ceil, slice->limit.amount[RESOURCE_NETWORK]);
        shape->upload_rate_bytes_per_s = rate;
        shape->upload_ceil_bytes_per_s = max_u64(ceil, rate);
}
