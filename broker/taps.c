/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <base/units.h>
#include <broker/broker.h>
#include <broker/lease.h>
#include <broker/network.h>
#include <broker/rates.h>
#include <broker/reservation.h>
#include <broker/slice.h>
#include <broker/taps.h>
#include <tc/discard.h>

#define SOON_USEC UINT64_C(300000) /* until what changed, or failed, is looked at */

const char *taps_alias(const struct lease *lease, size_t i, char alias[NETWORK_ALIAS_MAX]) {
        char what[RECORD_ID_MAX + 8];

        snprintf(what, sizeof(what), "%s:%zu", lease->record.id, i);
        return network_alias(lease->broker->network, what, alias);
}

void taps_format_mac(const unsigned char mac[6], char text[TAPS_MAC_TEXT_MAX]) {
        snprintf(text, TAPS_MAC_TEXT_MAX, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
                 mac[3], mac[4], mac[5]);
}

void taps_places(const struct lease *lease, struct shape *shape) {
        const struct network *network = lease->broker->network;
        const struct taps *taps = lease->taps;

        shape->ifb_ifindex = network->ifb_ifindex;
        shape->major = network->major;
        shape->fifo = network->fifo;
        shape->minor = lease->record.minor;
        shape->download_minor = lease->record.download_minor;
        shape->n_taps = 0;
        for (size_t i = 0; i < taps->n; i++)
                if (taps->tap[i].ifindex > 0)
                        shape->taps[shape->n_taps++] = taps->tap[i].ifindex;
}

void taps_suspect(struct broker *broker, int ifindex, uint16_t minor) {
        struct lease *lease;
        bool any = false;

        TAILQ_FOREACH(lease, &broker->leases, link) {
                struct taps *taps = lease->taps;
                bool mine = ifindex == 0;

                if (!taps)
                        continue;
                if (ifindex == broker->network->ifb_ifindex)
                        mine = minor == 0 || minor == lease->record.minor ||
                               minor == lease->record.download_minor;
                for (size_t i = 0; i < taps->n; i++)
                        mine = mine || taps->tap[i].ifindex == ifindex;
                taps->suspect = taps->suspect || mine;
                any = any || mine;
        }
        broker->network->suspect = broker->network->suspect || any;
        if (any)
                broker_tick_at(broker, broker_now_usec() + SOON_USEC);
}

/* ---- before it is granted ---- */

/* Of a reservation without a network nobody gets one who does not ask. */
static bool lacks_network(const struct lease *lease) {
        const uint64_t *reserved = lease->inside ? lease->inside->account.limit.amount : NULL;

        return reserved && reserved[RESOURCE_NETWORK] == 0 &&
               reserved[RESOURCE_NETWORK_UPLOAD] == 0;
}

/* Which bridges, and how many queues each: as asked, else the slice's default. */
static int choose(struct lease *lease, struct net_request nets[REQUEST_NETS_MAX], size_t *np,
                  struct why *why) {
        const struct run_request *request = &lease->request;
        const struct slice_policy *slice = lease->slice->policy;

        *np = 0;
        if (request->nets_given) {
                memcpy(nets, request->nets, sizeof(request->nets));
                *np = request->n_nets;
        } else if (slice->bridge[0] && !lacks_network(lease)) {
                nets[0] = (struct net_request){.queues = 1};
                strcpy(nets[0].bridge, slice->bridge);
                *np = 1;
        }
        for (size_t i = 0; i < *np; i++)
                if (lease->record.uid != 0 &&
                    !policy_may_join(lease->broker->policy, slice, nets[i].bridge))
                        return why_set(why, TAPS_E_DENIED,
                                       "slice '%s' may not join the bridge '%s'; Bridges= in "
                                       "[Network] of the slice's policy allows it",
                                       slice->name, nets[i].bridge);
        return 0;
}

/* A rate of nothing is only possible where nothing is known: there it means no limit. */
static int check_rates(const struct lease *lease, struct why *why) {
        const struct record *record = &lease->record;
        bool known = lease->broker->ledger.enforced[RESOURCE_NETWORK];
        const struct {
                const char *name;
                uint64_t rate;
        } ways[] = {{"download", record->download_bytes_per_s},
                    {"upload", record->upload_bytes_per_s}};

        for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
                char rate[UNITS_TEXT_MAX];

                if (ways[i].rate == 0 && !known && !lease->inside)
                        continue;
                if (ways[i].rate < SHAPE_RATE_MIN || ways[i].rate > SHAPE_RATE_MAX)
                        return why_set(why, TAPS_E_CLAIM,
                                       "%s: %s for a VM with a network; 8 kbit/s to 160 Gbit/s "
                                       "can be enforced",
                                       ways[i].name,
                                       units_format_rate(ways[i].rate, rate, sizeof(rate)));
        }
        return 0;
}

int taps_prepare(struct lease *lease, struct why *why) {
        struct network *network = lease->broker->network;
        struct net_request nets[REQUEST_NETS_MAX];
        struct taps *taps;
        struct link link;
        size_t n;
        int r;

        r = choose(lease, nets, &n, why);
        if (r || n == 0)
                return r;
        if (network->netlink.fd < 0)
                return why_set(why, TAPS_E_NO_BRIDGE, "this host gives the broker no rtnetlink");
        r = check_rates(lease, why);
        if (r)
                return r;
        taps = calloc(1, sizeof(*taps));
        if (!taps)
                return fault(-ENOMEM);
        lease->taps = taps;
        taps->n = n;
        for (size_t i = 0; i < ARRAY_SIZE(taps->fds); i++)
                taps->fds[i] = -1;
        lease->record.n_nets = n;
        for (size_t i = 0; i < n; i++) {
                struct tap *tap = &taps->tap[i];

                /* It is looked for again when the tap is made: the claim may wait for hours. */
                if (network_find_bridge(network, nets[i].bridge, &link, why))
                        return TAPS_E_NO_BRIDGE;
                strcpy(tap->bridge, nets[i].bridge);
                tap->queues = nets[i].queues;
                link_tap_name(tap->name, lease->record.id, (unsigned)i);
                link_mac(tap->mac, lease->record.name, (unsigned)i);
                taps->n_fds += tap->queues;
                strcpy(lease->record.nets[i].bridge, tap->bridge);
                lease->record.nets[i].queues = tap->queues;
        }
        return 0;
}

/* ---- making ---- */

int taps_reserve(struct lease *lease, struct why *why) {
        struct network *network = lease->broker->network;
        struct record *record = &lease->record;

        if (!lease->taps)
                return 0;
        if (handles_take(&network->handles, &record->minor) ||
            (lease->taps->n > 1 && handles_take(&network->handles, &record->download_minor)))
                return why_set(why, TAPS_E_FULL, "all class numbers of the IFB are in use");
        return 0;
}

static int open_queues(const struct broker *broker, struct taps *taps, struct tap *tap, size_t at,
                       uid_t owner, struct why *why) {
        const char *dev_dir = launcher_dev(broker->launcher);
        int r;

        r = link_open_tap(&broker->network->netlink, dev_dir, tap->name, tap->queues > 1, owner,
                          &taps->fds[at], &tap->ifindex, why);
        for (unsigned i = 1; r == 0 && i < tap->queues; i++)
                r = link_open_queue(dev_dir, tap->name, &taps->fds[at + i], why);
        return r;
}

static int open_vhost(const struct broker *broker, struct taps *taps, struct why *why) {
        size_t n = taps->n_fds;
        char path[64];

        if (!taps->vhost)
                return 0;
        snprintf(path, sizeof(path), "%s/vhost-net", launcher_dev(broker->launcher));
        for (size_t i = 0; i < n; i++) {
                int fd = open(path, O_RDWR | O_CLOEXEC);

                if (fd < 0)
                        return why_errno(why, TAPS_E_FULL, errno, "cannot open /dev/vhost-net");
                taps->fds[taps->n_fds++] = fd;
        }
        return 0;
}

/* Everything of ours in one batch, in an order in which no frame passes a wall that is not there.
 */
static int build(struct lease *lease, struct why *why) {
        struct network *network = lease->broker->network;
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
        struct taps *taps = lease->taps;
        struct shape_check check = {.shape = &taps->shape, .why = why};
        const struct slice_policy *slice = lease->slice->policy;
        struct link bridges[SHAPE_TAPS_MAX];
        size_t failed = 0;
        int r;

        for (size_t i = 0; i < taps->n; i++) {
                r = network_find_bridge(network, taps->tap[i].bridge, &bridges[i], why);
                if (r)
                        return r;
        }
        r = shape_add(&batch, &taps->shape, why);
        if (r)
                return r;
        for (size_t i = 0; i < taps->n; i++) {
                char alias[NETWORK_ALIAS_MAX];
                unsigned char mac[6];

                link_mac_host(mac, taps->tap[i].mac);
                link_add_tap(&batch, taps->tap[i].ifindex, taps_alias(lease, i, alias), mac,
                             &bridges[i], slice && slice->isolated);
        }
        r = netlink_commit(&network->netlink, &batch, shape_echo, &check, &failed, why);
        if (r == NETLINK_E_FULL)
                return why_set(why, r, "a bridge of %s is full: it takes 1,024 ports",
                               lease->record.name);
        return r ?: shape_confirmed(&check);
}

int taps_make(struct lease *lease, struct why *why) {
        struct taps *taps = lease->taps;
        size_t at = 0;
        int r;

        if (!taps)
                return 0;
        r = network_ready(lease->broker, why);
        for (size_t i = 0; r == 0 && i < taps->n; i++) {
                r = open_queues(lease->broker, taps, &taps->tap[i], at, lease->record.run_uid, why);
                at += taps->tap[i].queues;
        }
        if (r)
                return r;
        taps_places(lease, &taps->shape);
        rates_set(lease, &taps->shape);
        r = build(lease, why);
        /* The IFB was taken from under us: whoever is next gets a new one, and so do those who
         * are there. */
        if (r == NETLINK_E_GONE && !network_check_ifb(lease->broker->network))
                taps_suspect(lease->broker, 0, 0);
        return r ?: open_vhost(lease->broker, taps, why);
}

/* ---- changing ---- */

static bool same_rates(const struct shape *a, const struct shape *b) {
        return a->download_bytes_per_s == b->download_bytes_per_s &&
               a->download_bucket_bytes == b->download_bucket_bytes &&
               a->upload_rate_bytes_per_s == b->upload_rate_bytes_per_s &&
               a->upload_ceil_bytes_per_s == b->upload_ceil_bytes_per_s;
}

int taps_resize(struct lease *lease, struct why *why) {
        struct network *network = lease->broker->network;
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
        struct shape shape = lease->taps->shape;
        struct shape_check check = {.shape = &shape, .why = why};
        int r;

        taps_places(lease, &shape);
        rates_set(lease, &shape);
        if (same_rates(&shape, &lease->taps->shape))
                return 0;
        r = shape_change(&batch, &shape, why);
        if (r)
                return r;
        r = netlink_commit(&network->netlink, &batch, shape_echo, &check, NULL, why);
        if (r == 0)
                r = shape_confirmed(&check);
        if (r == 0) {
                lease->taps->shape = shape;
                return 0;
        }
        /* A part of it may be in force. */
        lease->taps->suspect = true;
        broker_tick_at(lease->broker, broker_now_usec() + SOON_USEC);
        return r;
}

void taps_follow(struct lease *lease) {
        struct why why = {};

        if (lease->taps && lease->state != LEASE_STARTING && taps_resize(lease, &why)) {
                log_error("VM '%s': %s", lease->record.name, why.text);
                taps_suspect(lease->broker, 0, 0);
        }
}

/* ---- the end ---- */

void taps_discard(struct lease *lease) {
        struct taps *taps = lease->taps;

        if (!taps)
                return;
        discard(taps->fds, taps->n_fds, NULL, 0);
        for (size_t i = 0; i < taps->n_fds; i++)
                taps->fds[i] = -1;
}

/* Is any of its links still there? One that is, is somebody else's to hold no longer. */
static void take_links(struct lease *lease) {
        struct network *network = lease->broker->network;
        struct taps *taps = lease->taps;

        for (size_t i = 0; i < taps->n; i++) {
                struct discard_link gone = {.ifindex = taps->tap[i].ifindex};
                char alias[NETWORK_ALIAS_MAX];
                struct link link;

                if (gone.ifindex == 0 ||
                    link_get(&network->netlink, NULL, gone.ifindex, &link, NULL))
                        continue;
                snprintf(gone.alias, sizeof(gone.alias), "%s", taps_alias(lease, i, alias));
                if (strcmp(link.alias, gone.alias) != 0)
                        continue; /* the index is another's by now */
                if (lease->executed_usec)
                        log_warning("VM '%s': its tap '%s' is still open somewhere: removed",
                                    lease->record.name, link.name);
                discard(NULL, 0, &gone, 1);
        }
}

/* Gives back the numbers, unless the kernel may still have their classes. */
static void drop_numbers(struct lease *lease, bool gone) {
        struct network *network = lease->broker->network;
        struct record *record = &lease->record;

        if (!gone) {
                network->suspect = true; /* the sweep takes them */
                broker_tick_at(lease->broker, broker_now_usec() + SOON_USEC);
        } else {
                if (record->minor)
                        handles_drop(&network->handles, record->minor);
                if (record->download_minor)
                        handles_drop(&network->handles, record->download_minor);
        }
        record->minor = record->download_minor = 0;
}

void taps_release(struct lease *lease) {
        struct network *network = lease->broker->network;
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
        struct taps *taps = lease->taps;
        struct why why = {};
        int r = 0;

        if (!taps)
                return;
        taps_discard(lease);
        if (lease->record.minor && network->ifb_ifindex) {
                taps_places(lease, &taps->shape);
                shape_add_removal(&batch, &taps->shape);
                r = netlink_commit(&network->netlink, &batch, NULL, NULL, NULL, &why);
        }
        if (r != 0 && r != NETLINK_E_GONE)
                log_error("VM '%s': its upload class stays: %s", lease->record.name, why.text);
        drop_numbers(lease, r == 0 || r == NETLINK_E_GONE);
        take_links(lease);
        /* Others may have been cut down for it. */
        network->crowded = network->crowded || rates_oversold(lease->broker);
        if (network->crowded)
                broker_tick_at(lease->broker, broker_now_usec() + SOON_USEC);
}
