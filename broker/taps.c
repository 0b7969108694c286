/* SPDX-License-Identifier: MIT */
/*
 * Longer than most files here: what makes a VM's network and what takes it away again must be read
 * side by side.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <base/fd.h>
#include <base/units.h>
#include <broker/broker.h>
#include <broker/drift.h>
#include <broker/lease.h>
#include <broker/network.h>
#include <broker/slice.h>
#include <broker/taps.h>
#include <tc/discard.h>
#include <tc/news.h>

#define FIRST_FD 3
#define SUSPECT_USEC UINT64_C(300000) /* from somebody's change to our looking */
/* What a VM whose uploads are not limited is guaranteed while others share the IFB. */
#define UNLIMITED_GUARANTEE_BYTES_PER_S UINT64_C(125000)

static const char *tap_alias(const struct lease *lease, size_t i, char alias[NETWORK_ALIAS_MAX]) {
        char what[RECORD_ID_MAX + 8];

        snprintf(what, sizeof(what), "%s:%zu", lease->record.id, i);
        return network_alias(lease->broker->network, what, alias);
}

static void format_mac(const unsigned char mac[6], char text[18]) {
        snprintf(text, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
                 mac[5]);
}

/* ---- before it is granted ---- */

/* Which bridges, and how many queues each: as asked, else the slice's default. */
static int choose(struct lease *lease, struct net_request nets[REQUEST_NETS_MAX], size_t *np,
                  struct why *why) {
        const struct run_request *request = &lease->request;
        const struct slice_policy *slice = lease->slice->policy;

        *np = 0;
        if (request->nets_given) {
                memcpy(nets, request->nets, sizeof(request->nets));
                *np = request->n_nets;
        } else if (slice->bridge[0]) {
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

                if (ways[i].rate == 0 && !known)
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

static void add_word(struct taps_words *words, const char *name, const char *value,
                     const char *hint) {
        size_t i = words->n++;

        assert(i < TAPS_WORDS_MAX);
        snprintf(words->names[i], sizeof(words->names[i]), "%s", name);
        snprintf(words->values[i], sizeof(words->values[i]), "%s", value ?: "");
        words->table[i] = (struct placeholder){
                .name = words->names[i],
                .value = value ? words->values[i] : NULL,
                .hint = hint,
        };
}

/* "3:4:5", as QEMU's fds= takes it. */
static void list_fds(char *text, size_t size, unsigned first, unsigned n) {
        size_t used = 0;

        text[0] = '\0';
        for (unsigned i = 0; i < n && used < size; i++)
                used += (size_t)snprintf(text + used, size - used, "%s%u", i ? ":" : "", first + i);
}

/* The six of one tap; @infix is "" or ".N". */
static void add_tap_words(struct taps_words *words, const struct tap *tap, const char *infix,
                          unsigned first_fd, unsigned first_vhost) {
        char name[24], value[96];

        snprintf(name, sizeof(name), "tap%s", infix);
        add_word(words, name, tap->name, NULL);
        snprintf(name, sizeof(name), "tap%s.fd", infix);
        list_fds(value, sizeof(value), first_fd, 1);
        add_word(words, name, value, NULL);
        snprintf(name, sizeof(name), "tap%s.fds", infix);
        list_fds(value, sizeof(value), first_fd, tap->queues);
        add_word(words, name, value, NULL);
        snprintf(name, sizeof(name), "vhost%s.fd", infix);
        list_fds(value, sizeof(value), first_vhost, 1);
        add_word(words, name, value, NULL);
        snprintf(name, sizeof(name), "vhost%s.fds", infix);
        list_fds(value, sizeof(value), first_vhost, tap->queues);
        add_word(words, name, value, NULL);
        snprintf(name, sizeof(name), "mac%s", infix);
        format_mac(tap->mac, value);
        add_word(words, name, value, NULL);
}

void taps_words(const struct lease *lease, struct taps_words *words) {
        static const char *const names[] = {"tap",      "tap.fd",    "tap.fds",
                                            "vhost.fd", "vhost.fds", "mac"};
        const struct taps *taps = lease->taps;
        unsigned first = FIRST_FD, vhost;

        words->n = 0;
        if (!taps) {
                for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                        add_word(words, names[i], NULL,
                                 "it has no network; --net BRIDGE gives one");
                return;
        }
        vhost = FIRST_FD + (unsigned)taps->n_fds;
        for (size_t i = 0; i < taps->n; i++) {
                char infix[8];

                if (i == 0)
                        add_tap_words(words, &taps->tap[i], "", first, vhost);
                snprintf(infix, sizeof(infix), ".%zu", i);
                add_tap_words(words, &taps->tap[i], infix, first, vhost);
                first += taps->tap[i].queues;
                vhost += taps->tap[i].queues;
        }
}

void taps_note_used(struct lease *lease, const struct placeholder *table, size_t n) {
        for (size_t i = 0; lease->taps && i < n; i++)
                if (table[i].used && strncmp(table[i].name, "vhost", 5) == 0)
                        lease->taps->vhost = true;
}

/* ---- rates ---- */

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

static bool is_oversold(const struct broker *broker) {
        const struct ledger *ledger = &broker->ledger;

        for (unsigned i = 0; i < _RESOURCE_N; i++)
                if ((i == RESOURCE_NETWORK || i == RESOURCE_NETWORK_UPLOAD) &&
                    ledger->enforced[i] &&
                    ledger->allocated.amount[i] > ledger->effective.amount[i])
                        return true;
        return false;
}

/* What the claim, the ratio and the policy make of it, into @shape. */
static void set_rates(const struct lease *lease, struct shape *shape) {
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

/* Taps and classes, for whoever reads or changes them. */
static void set_places(const struct lease *lease, struct shape *shape) {
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

/* ---- making ---- */

/* Something of tc on @ifindex is not as we made it (@minor: a class of the IFB; 0: which is not
 * known), or, with 0, anything may be. */
static void suspect(struct broker *broker, int ifindex, uint16_t minor) {
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
}

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

static int open_queues(struct taps *taps, struct tap *tap, size_t at, uid_t owner,
                       struct why *why) {
        int r;

        r = link_open_tap(tap->name, tap->queues > 1, owner, &taps->fds[at], &tap->ifindex, why);
        for (unsigned i = 1; r == 0 && i < tap->queues; i++)
                r = link_open_queue(tap->name, &taps->fds[at + i], why);
        return r;
}

static int open_vhost(struct taps *taps, struct why *why) {
        size_t n = taps->n_fds;

        if (!taps->vhost)
                return 0;
        for (size_t i = 0; i < n; i++) {
                int fd = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);

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
                link_add_tap(&batch, taps->tap[i].ifindex, tap_alias(lease, i, alias), mac,
                             bridges[i].ifindex, slice && slice->isolated);
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
                r = open_queues(taps, &taps->tap[i], at, lease->record.uid, why);
                at += taps->tap[i].queues;
        }
        if (r)
                return r;
        set_places(lease, &taps->shape);
        set_rates(lease, &taps->shape);
        r = build(lease, why);
        /* The IFB was taken from under us: whoever is next gets a new one, and so do those who
         * are there. */
        if (r == NETLINK_E_GONE && !network_check_ifb(lease->broker->network))
                suspect(lease->broker, 0, 0);
        return r ?: open_vhost(taps, why);
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
                snprintf(gone.alias, sizeof(gone.alias), "%s", tap_alias(lease, i, alias));
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
                network->suspect = true;
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
                set_places(lease, &taps->shape);
                shape_add_removal(&batch, &taps->shape);
                r = netlink_commit(&network->netlink, &batch, NULL, NULL, NULL, &why);
        }
        if (r != 0 && r != NETLINK_E_GONE)
                log_error("VM '%s': its upload class stays: %s", lease->record.name, why.text);
        drop_numbers(lease, r == 0 || r == NETLINK_E_GONE);
        take_links(lease);
        /* Others may have been cut down for it. */
        network->crowded = network->crowded || is_oversold(lease->broker);
        if (network->crowded)
                broker_tick_at(lease->broker, broker_now_usec() + SUSPECT_USEC);
}

/* ---- found in the tree ---- */

/* Its taps by their aliases; classes by the record. */
static int find_again(struct lease *lease) {
        struct network *network = lease->broker->network;
        struct record *record = &lease->record;
        struct taps *taps = calloc(1, sizeof(*taps));

        if (!taps)
                return fault(-ENOMEM);
        lease->taps = taps;
        taps->n = record->n_nets;
        for (size_t i = 0; i < ARRAY_SIZE(taps->fds); i++)
                taps->fds[i] = -1;
        for (size_t i = 0; i < taps->n; i++) {
                struct tap *tap = &taps->tap[i];
                char alias[NETWORK_ALIAS_MAX];
                struct link *link = network_find(network, tap_alias(lease, i, alias));

                strcpy(tap->bridge, record->nets[i].bridge);
                tap->queues = record->nets[i].queues;
                link_mac(tap->mac, record->name, (unsigned)i);
                link_tap_name(tap->name, record->id, (unsigned)i);
                if (!link)
                        continue; /* its hypervisor closed it */
                tap->ifindex = link->ifindex;
                strcpy(tap->name, link->name);
                link->ifindex = 0; /* it has an owner: not to be swept */
        }
        /* Two records with one number cannot be of our making; the second goes without. */
        if (record->minor && !handles_claim(&network->handles, record->minor))
                record->minor = 0;
        if (record->download_minor && !handles_claim(&network->handles, record->download_minor))
                record->download_minor = 0;
        return 0;
}

int taps_adopt(struct lease *lease) {
        struct broker *broker = lease->broker;
        struct why why = {};
        int r;

        if (lease->record.n_nets == 0 || broker->network->netlink.fd < 0)
                return 0;
        r = find_again(lease);
        if (r)
                return r;
        r = network_ready(broker, &why);
        if (r) {
                log_error("VM '%s': its network is not shaped: %s", lease->record.name, why.text);
                return r < 0 ? r : 0;
        }
        set_rates(lease, &lease->taps->shape);
        lease->taps->suspect = true;
        return 0;
}

/* An unreadable VM's taps are not strangers: its id stands in their aliases. */
static bool has_owner(struct broker *broker, const struct link *link) {
        char id[RECORD_ID_MAX + 1], prefix[NETWORK_ALIAS_MAX];
        struct lease *lease;
        const char *at;

        if (strncmp(link->alias, network_alias(broker->network, "", prefix), strlen(prefix)) != 0)
                return true;
        at = link->alias + strlen(prefix);
        if (strchr(at, ':') != at + RECORD_ID_MAX)
                return true; /* the IFB, the bridge */
        snprintf(id, sizeof(id), "%s", at);
        HASH_FIND(hh_id, broker->by_id, id, strlen(id), lease);
        return lease && lease->state == LEASE_UNKNOWN;
}

struct stray {
        struct broker *broker;
        uint16_t minors[256];
        size_t n;
};

static bool is_held(const struct broker *broker, uint16_t minor) {
        const struct lease *lease;

        TAILQ_FOREACH(lease, &broker->leases, link)
                if (lease->taps &&
                    (lease->record.minor == minor || lease->record.download_minor == minor))
                        return true;
        return false;
}

static void take_class(void *userdata, uint16_t minor) {
        struct stray *stray = userdata;

        if (stray->n < ARRAY_SIZE(stray->minors) && !is_held(stray->broker, minor))
                stray->minors[stray->n++] = minor;
}

/* Classes that no lease has: of a VM whose broker was killed just when it was made or removed. */
static void sweep_classes(struct broker *broker) {
        struct network *network = broker->network;
        struct stray stray;
        struct why why = {};

        do {
                stray = (struct stray){.broker = broker};
                if (network->ifb_ifindex == 0 || network->keep_numbers ||
                    shape_each_class(&network->netlink, network->ifb_ifindex, take_class, &stray,
                                     &why))
                        break;
                for (size_t i = 0; i < stray.n; i++) {
                        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
                        const struct shape shape = {
                                .ifb_ifindex = network->ifb_ifindex,
                                .major = network->major,
                                .minor = stray.minors[i],
                        };

                        /* Its number may be kept from a removal that failed. */
                        if (handles_claim(&network->handles, stray.minors[i]))
                                log_warning("class %x of the IFB belongs to no VM: removed",
                                            stray.minors[i]);
                        shape_add_removal(&batch, &shape);
                        if (netlink_commit(&network->netlink, &batch, NULL, NULL, NULL, &why)) {
                                log_error("class %x of nobody stays: %s", stray.minors[i],
                                          why.text);
                                return;
                        }
                        handles_drop(&network->handles, stray.minors[i]);
                }
        } while (stray.n == ARRAY_SIZE(stray.minors));
}

static void keep_all_classes(void *userdata, uint16_t minor) {
        struct network *network = userdata;

        if (!handles_claim(&network->handles, minor))
                return; /* of a VM that could be read */
}

void taps_sweep(struct broker *broker) {
        struct network *network = broker->network;
        const struct lease *lease;

        if (network->netlink.fd < 0)
                return;
        TAILQ_FOREACH(lease, &broker->leases, link)
                if (lease->state == LEASE_UNKNOWN)
                        network->keep_numbers = true;
        for (size_t i = 0; i < network->n_found; i++) {
                const struct link *link = &network->found[i];
                struct discard_link gone = {.ifindex = link->ifindex};

                if (link->ifindex == 0 || has_owner(broker, link))
                        continue;
                log_warning("the link '%s' belongs to no VM any more: removed", link->name);
                snprintf(gone.alias, sizeof(gone.alias), "%s", link->alias);
                discard(NULL, 0, &gone, 1);
        }
        network_forget_found(network);
        taps_drop_bridges(broker);
        if (!network->keep_numbers)
                sweep_classes(broker);
        else if (network->ifb_ifindex && shape_each_class(&network->netlink, network->ifb_ifindex,
                                                          keep_all_classes, network, NULL))
                log_warning("the classes of VMs with unreadable records could not be listed");
        taps_check_suspects(broker);
}

static bool bridge_in_use(struct broker *broker, const char *name) {
        const struct lease *lease;

        TAILQ_FOREACH(lease, &broker->leases, link)
                for (size_t i = 0; lease->taps && i < lease->taps->n; i++)
                        if (strcmp(lease->taps->tap[i].bridge, name) == 0)
                                return true;
        return false;
}

void taps_drop_bridges(struct broker *broker) {
        network_drop_old_bridges(broker, bridge_in_use);
}

/* ---- changes ---- */

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

        set_places(lease, &shape);
        set_rates(lease, &shape);
        if (same_rates(&shape, &lease->taps->shape))
                return 0;
        r = shape_change(&batch, &shape, why);
        if (r)
                return r;
        r = netlink_commit(&network->netlink, &batch, shape_echo, &check, NULL, why);
        if (r == 0)
                r = shape_confirmed(&check);
        if (r == 0)
                lease->taps->shape = shape;
        else
                lease->taps->suspect = true;
        return r;
}

void taps_follow(struct lease *lease) {
        struct why why = {};

        if (lease->taps && lease->state != LEASE_STARTING && taps_resize(lease, &why)) {
                log_error("VM '%s': %s", lease->record.name, why.text);
                suspect(lease->broker, 0, 0);
        }
}

static void take_news(void *userdata, const struct nlmsghdr *message) {
        struct broker *broker = userdata;
        uint16_t minor;
        int ifindex;

        if (!news_subject(message, broker->network->major, &ifindex, &minor))
                return;
        suspect(broker, ifindex, minor);
        if (ifindex == broker->network->ifb_ifindex)
                broker->network->suspect = true;
}

/* Many changes mostly come together: they are looked at together, in a moment. */
static int on_news(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct broker *broker = userdata;
        struct network *network = broker->network;

        if (netlink_news(&network->listener, take_news, broker) == NETLINK_E_LOST) {
                network->suspect = true;
                suspect(broker, 0, 0);
        }
        if (network->suspect)
                broker_tick_at(broker, broker_now_usec() + SUSPECT_USEC);
        return 0;
}

int taps_listen(struct broker *broker) {
        struct network *network = broker->network;
        int r;

        if (network->netlink.fd < 0)
                return 0;
        r = sd_event_add_io(broker->event, &network->news, network->listener.fd, EPOLLIN, on_news,
                            broker);
        return r < 0 ? fault(r) : 0;
}

/* A tap that is there no more, or was moved away, is no stranger's to be shaped for us. */
static void forget_lost(struct lease *lease, const struct shape_state *state) {
        struct taps *taps = lease->taps;

        for (size_t i = 0, at = 0; i < taps->n; i++) {
                struct tap *tap = &taps->tap[i];
                char alias[NETWORK_ALIAS_MAX];
                struct link link;

                if (tap->ifindex == 0)
                        continue;
                if (!state->taps[at++].present ||
                    link_get(&lease->broker->network->netlink, NULL, tap->ifindex, &link, NULL) ||
                    strcmp(link.alias, tap_alias(lease, i, alias)) != 0) {
                        log_warning("VM '%s': its tap '%s' is gone", lease->record.name, tap->name);
                        tap->ifindex = 0;
                }
        }
}

static void check_one(struct lease *lease) {
        struct network *network = lease->broker->network;
        struct why found = {}, failed = {};
        struct shape_state state;
        struct shape *shape = &lease->taps->shape;
        int r;

        lease->taps->suspect = false;
        set_places(lease, shape);
        if (shape_read(&network->netlink, shape, &state, &failed) == 0) {
                forget_lost(lease, &state);
                set_places(lease, shape);
        }
        if (shape_read(&network->netlink, shape, &state, &failed) == 0 &&
            shape_differs(shape, &state, &found) == 0)
                return;
        r = shape_repair(&network->netlink, shape, &failed);
        drift_tell(lease->broker, "vm", lease->record.name,
                   found.text[0] ? found.text : "its network could not be read",
                   r ? failed.text : NULL);
}

void taps_check_suspects(struct broker *broker) {
        struct network *network = broker->network;
        struct lease *lease;
        struct why why = {};

        if (network->netlink.fd < 0)
                return;
        if (network->suspect) {
                network->suspect = false;
                if (!network_check_ifb(network))
                        suspect(broker, 0, 0);
                if (network->ifb_ifindex || network->suspect) {
                        network->suspect = false;
                        if (network_ready(broker, &why))
                                log_error("network: %s", why.text);
                        sweep_classes(broker);
                }
        }
        TAILQ_FOREACH(lease, &broker->leases, link)
                if (lease->taps && lease->taps->suspect && lease->state != LEASE_STARTING)
                        check_one(lease);
        if (network->crowded) {
                network->crowded = false;
                TAILQ_FOREACH(lease, &broker->leases, link)
                        taps_follow(lease);
        }
}

/* ---- what one can see ---- */

static void add_number(json_t *object, const char *key, uint64_t value) {
        char text[24];

        snprintf(text, sizeof(text), "%" PRIu64, value);
        json_object_set_new(object, key, json_string(text));
}

static void report_rate(json_t *limits, const char *key, uint64_t rate, bool limited) {
        char text[UNITS_TEXT_MAX];

        json_object_set_new(
                limits, key,
                json_string(limited ? units_format_rate(rate, text, sizeof(text)) : "not limited"));
}

/* From the VM's side: its upload is what the tap receives. */
static void report_counters(json_t *stats, size_t i, const struct shape_tap_state *state) {
        const struct {
                const char *name;
                uint64_t value;
        } counters[] = {
                {"download_bytes", state->download.bytes},
                {"download_packets", state->download.packets},
                {"download_drops", state->download.drops + state->tbf_count.drops},
                {"download_overlimits", state->tbf_count.overlimits},
                {"upload_bytes", state->upload.bytes},
                {"upload_packets", state->upload.packets},
        };
        char key[64];

        for (size_t j = 0; j < ARRAY_SIZE(counters); j++) {
                snprintf(key, sizeof(key), "net.%zu.%s", i, counters[j].name);
                add_number(stats, key, counters[j].value);
        }
}

static void report_tap(json_t *limits, json_t *stats, size_t i, const struct tap *tap,
                       const struct shape_tap_state *state, bool limited) {
        char key[64], text[160];

        snprintf(key, sizeof(key), "net.%zu", i);
        if (!state || !state->present) {
                json_object_set_new(limits, key, json_string("gone"));
                return;
        }
        snprintf(text, sizeof(text), "%s on %s%s", tap->name, tap->bridge,
                 state->up ? "" : ", down");
        json_object_set_new(limits, key, json_string(text));
        snprintf(key, sizeof(key), "net.%zu.download", i);
        report_rate(limits, key, state->rate_bytes_per_s, limited);
        report_counters(stats, i, state);
}

static void report_class(json_t *limits, json_t *stats, const char *name,
                         const struct shape_class_state *state, bool limited) {
        const struct {
                const char *name;
                uint64_t value;
        } counters[] = {
                {"bytes", state->count.bytes},
                {"packets", state->count.packets},
                {"drops", state->leaf[0] ? state->leaf_count.drops : state->count.drops},
                {"overlimits", state->count.overlimits},
                {"backlog", state->count.backlog_bytes},
        };
        char key[64];

        snprintf(key, sizeof(key), "net.%s.rate", name);
        report_rate(limits, key, state->rate_bytes_per_s, limited);
        snprintf(key, sizeof(key), "net.%s.ceil", name);
        report_rate(limits, key, state->ceil_bytes_per_s, limited);
        snprintf(key, sizeof(key), "net.%s.queue", name);
        json_object_set_new(limits, key, json_string(state->leaf));
        for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
                snprintf(key, sizeof(key), "net.%s_%s", name, counters[i].name);
                add_number(stats, key, counters[i].value);
        }
}

void taps_report(struct lease *lease, json_t *limits, json_t *stats, json_t *notes) {
        struct network *network = lease->broker->network;
        struct taps *taps = lease->taps;
        bool limited_up = lease->record.upload_bytes_per_s > 0;
        bool limited_down = lease->record.download_bytes_per_s > 0;
        struct shape_state state;
        struct why why = {};
        struct shape shape;

        if (!taps) {
                json_array_append_new(notes, json_string("network: counted; it has no tap of ours "
                                                         "(--net) that could be limited"));
                return;
        }
        if (lease->state == LEASE_WAITING || lease->record.minor == 0)
                return;
        shape = taps->shape;
        set_places(lease, &shape);
        if (shape_read(&network->netlink, &shape, &state, &why)) {
                json_array_append_new(notes, json_string(why.text));
                return;
        }
        for (size_t i = 0, at = 0; i < taps->n; i++)
                report_tap(limits, stats, i, &taps->tap[i],
                           taps->tap[i].ifindex ? &state.taps[at++] : NULL, limited_down);
        report_class(limits, stats, "upload", &state.upload, limited_up);
        if (shape.download_minor)
                report_class(limits, stats, "download", &state.download, limited_down);
        if (network->fifo)
                json_array_append_new(notes, json_string("network: this kernel has no fq_codel; "
                                                         "uploads wait in a bounded fifo"));
        if (!limited_up || !limited_down)
                json_array_append_new(
                        notes, json_string("network: the uplink's speed is unknown and no rate was "
                                           "claimed: counted, not limited; set Network= in "
                                           "[Capacity] of broker.conf"));
        if (shape_differs(&shape, &state, &why))
                json_array_append_new(notes, json_string(why.text));
}

json_t *taps_list(const struct lease *lease) {
        json_t *array = json_array();

        for (size_t i = 0; lease->taps && i < lease->taps->n; i++) {
                const struct tap *tap = &lease->taps->tap[i];
                char mac[18];

                format_mac(tap->mac, mac);
                json_array_append_new(array, json_pack("{s:s s:s s:s}", "bridge", tap->bridge,
                                                       "tap", tap->name, "mac", mac));
        }
        return array;
}
