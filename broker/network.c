/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <base/file.h>
#include <broker/broker.h>
#include <broker/network.h>
#include <launcher/launcher_errands.h>
#include <tc/discard.h>
#include <tc/nat.h>
#include <tc/shape.h>

#define DUMP_TRIES 8
#define NAT_TABLE_MAX 32

const char *network_alias(const struct network *network, const char *what,
                          char alias[NETWORK_ALIAS_MAX]) {
        snprintf(alias, NETWORK_ALIAS_MAX, "%s%s:%s", LINK_MARK, network->tag, what);
        return alias;
}

/* The same root has the same tag for ever; two roots of one host have different ones. */
static void make_tag(struct network *network, const char *root) {
        uint32_t hash = 2166136261u; /* FNV-1a */

        for (; *root; root++)
                hash = (hash ^ (unsigned char)*root) * 16777619u;
        snprintf(network->tag, sizeof(network->tag), "%08x", hash);
        snprintf(network->ifb_name, sizeof(network->ifb_name), "pv-ifb-%s", network->tag);
}

static void take_found(void *userdata, const struct link *link) {
        struct network *network = userdata;
        struct link *more;

        more = reallocarray(network->found, network->n_found + 1, sizeof(*more));
        if (!more)
                return;
        network->found = more;
        network->found[network->n_found++] = *link;
}

void network_forget_found(struct network *network) {
        free(take(network->found));
        network->n_found = 0;
}

struct link *network_find(struct network *network, const char *alias) {
        for (size_t i = 0; i < network->n_found; i++)
                if (strcmp(network->found[i].alias, alias) == 0)
                        return &network->found[i];
        return NULL;
}

static int look_for_ours(struct network *network, struct why *why) {
        char prefix[NETWORK_ALIAS_MAX];
        int r = NETLINK_E_LOST;

        network_alias(network, "", prefix);
        /* A dump that a change runs into is begun again. */
        for (unsigned i = 0; i < DUMP_TRIES && r == NETLINK_E_LOST; i++) {
                network_forget_found(network);
                r = link_each_marked(&network->netlink, prefix, take_found, network, why);
        }
        return r;
}

static int look_for_fq_codel(struct network *network, struct why *why) {
        bool has = true;
        int r;

        r = shape_has_fq_codel(&network->netlink, network->ifb_ifindex, network->major, &has, why);
        network->fifo = !has;
        if (r == 0 && !has)
                log_warning("this kernel has no fq_codel: uploads wait in a bounded fifo, and a "
                            "thin flow waits behind a thick one of the same VM");
        return r;
}

static int look_for_ifb(struct network *network, struct why *why) {
        char alias[NETWORK_ALIAS_MAX];
        const struct link *link = network_find(network, network_alias(network, "ifb", alias));
        int r;

        if (!link)
                return 0;
        network->ifb_ifindex = link->ifindex;
        r = shape_find_root(&network->netlink, link->ifindex, &network->major,
                            &network->capacity_bytes_per_s, why);
        if (r == 0)
                r = look_for_fq_codel(network, why);
        if (r != NETLINK_E_GONE)
                return r;
        /* Somebody took its qdisc away. Taps' filters still lead to it: it is kept, and gets a new
         * one. */
        log_warning("%s has lost its qdisc", link->name);
        network->major = 0;
        return 0;
}

int network_open(struct broker *broker) {
        struct network *network = calloc(1, sizeof(*network));
        struct why why = {};
        int r;

        if (!network)
                return fault(-ENOMEM);
        broker->network = network;
        network->netlink = (struct netlink)NETLINK_NULL;
        network->listener = (struct netlink)NETLINK_NULL;
        handles_init(&network->handles);
        make_tag(network, broker->root.path);

        r = netlink_open(&network->netlink, &why);
        if (r == 0)
                r = look_for_ours(network, &why);
        if (r == 0)
                r = look_for_ifb(network, &why);
        if (r == 0)
                r = netlink_listen(&network->listener, RTNLGRP_TC, &network->netlink, &why);
        if (r == 0)
                r = netlink_listen_also(&network->listener, RTNLGRP_LINK, &why);
        if (r < 0)
                return r;
        if (r) {
                log_warning("no VM can have a network: %s", why.text);
                netlink_close(&network->netlink);
        }
        return 0;
}

void network_close(struct broker *broker) {
        struct network *network = broker->network;
        char alias[NETWORK_ALIAS_MAX];

        if (!network)
                return;
        sd_event_source_disable_unref(network->news);
        if (network->netlink.fd >= 0 && network->ifb_ifindex && broker->ledger.vms == 0 &&
            broker->stopping) {
                struct discard_link gone = {.ifindex = network->ifb_ifindex};

                snprintf(gone.alias, sizeof(gone.alias), "%s",
                         network_alias(network, "ifb", alias));
                discard(NULL, 0, &gone, 1);
        }
        discard_wait();
        network_forget_found(network);
        netlink_close(&network->listener);
        netlink_close(&network->netlink);
        free(take(broker->network));
}

uint64_t network_capacity(const struct broker *broker) {
        const struct ledger *ledger = &broker->ledger;
        uint64_t capacity = ledger->capacity.amount[RESOURCE_NETWORK];
        uint64_t reserve = ledger->reserve.amount[RESOURCE_NETWORK];

        if (!ledger->enforced[RESOURCE_NETWORK])
                return SHAPE_RATE_MAX;
        capacity = capacity > reserve ? capacity - reserve : 0;
        return min_u64(SHAPE_RATE_MAX, max_u64(SHAPE_RATE_MIN, capacity));
}

/* ---- the IFB ---- */

static int find_link(struct network *network, const char *name, struct link *link,
                     struct why *why) {
        return link_get(&network->netlink, name, 0, link, why);
}

static int make_ifb(struct network *network, struct why *why) {
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
        char alias[NETWORK_ALIAS_MAX];
        struct link link;
        int r;

        network_alias(network, "ifb", alias);
        link_add_ifb(&batch, network->ifb_name, alias);
        r = netlink_commit(&network->netlink, &batch, NULL, NULL, NULL, why);
        /* It may be there already: made before, but the kernel's answer was lost. */
        if (r == 0 || r == NETLINK_E_EXISTS)
                r = find_link(network, network->ifb_name, &link, why);
        if (r)
                return r;
        if (strcmp(link.alias, alias) != 0)
                return why_set(why, NETLINK_E_EXISTS, "the link '%s' is somebody else's",
                               link.name);
        network->ifb_ifindex = link.ifindex;
        network->major = 0;
        return 0;
}

static int make_root(struct broker *broker, struct why *why) {
        struct network *network = broker->network;
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL, old = BATCH_NULL;
        uint64_t capacity = network_capacity(broker);
        uint16_t major;
        int r;

        /* Whatever stands there instead of ours: mostly only the kernel's own, which stays. */
        qdisc_add_plain(&old, RTM_DELQDISC, network->ifb_ifindex, TC_H_ROOT, 0, "another's root");
        r = netlink_commit(&network->netlink, &old, NULL, NULL, NULL, NULL);
        if (r < 0)
                return r;
        r = shape_free_major(&network->netlink, &major, why);
        if (r)
                return r;
        shape_add_root(&batch, network->ifb_ifindex, major, capacity);
        link_add_up(&batch, network->ifb_ifindex);
        r = netlink_commit(&network->netlink, &batch, NULL, NULL, NULL, why);
        if (r)
                return r;
        network->major = major;
        network->capacity_bytes_per_s = capacity;
        return look_for_fq_codel(network, why);
}

static void follow_capacity(struct broker *broker) {
        struct network *network = broker->network;
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
        uint64_t capacity = network_capacity(broker);
        struct why why = {};

        if (network->major == 0 || capacity == network->capacity_bytes_per_s)
                return;
        shape_change_root(&batch, network->ifb_ifindex, network->major, capacity);
        if (netlink_commit(&network->netlink, &batch, NULL, NULL, NULL, &why)) {
                log_error("the uplink's capacity is not in force: %s", why.text);
                return;
        }
        network->capacity_bytes_per_s = capacity;
}

int network_ready(struct broker *broker, struct why *why) {
        struct network *network = broker->network;
        int r = 0;

        if (network->netlink.fd < 0)
                return why_set(why, NETLINK_E_KERNEL, "this host gives the broker no rtnetlink");
        if (network->ifb_ifindex == 0)
                r = make_ifb(network, why);
        if (r == 0 && network->major == 0)
                r = make_root(broker, why);
        if (r == 0)
                follow_capacity(broker);
        return r;
}

bool network_check_ifb(struct network *network) {
        char alias[NETWORK_ALIAS_MAX];
        struct link link;
        uint16_t major;
        uint64_t capacity;
        int r;

        if (network->ifb_ifindex == 0)
                return true;
        r = link_get(&network->netlink, NULL, network->ifb_ifindex, &link, NULL);
        if (r == NETLINK_E_GONE ||
            (r == 0 && strcmp(link.alias, network_alias(network, "ifb", alias)) != 0)) {
                network->ifb_ifindex = network->major = 0;
                return false;
        }
        if (r == 0)
                r = shape_find_root(&network->netlink, network->ifb_ifindex, &major, &capacity,
                                    NULL);
        if (r == NETLINK_E_GONE || (r == 0 && major != network->major)) {
                network->major = 0;
                return false;
        }
        if (r)
                return true; /* not seen is not gone */
        if (capacity == network->capacity_bytes_per_s)
                return true;
        /* HTB and the VMs' classes are as they were: network_ready() sets the root again. */
        network->capacity_bytes_per_s = capacity;
        return false;
}

/* ---- the bridge ---- */

int network_find_bridge(struct network *network, const char *name, struct link *link,
                        struct why *why) {
        int r;

        r = find_link(network, name, link, why);
        if (r == NETLINK_E_GONE)
                return why_set(why, r, "there is no bridge '%s'", name);
        if (r == 0 && strcmp(link->kind, "bridge") != 0)
                r = why_set(why, NETLINK_E_GONE, "'%s' is no bridge", name);
        return r;
}

static int make_bridge(struct network *network, const struct network_policy *policy,
                       struct link *link, bool *oursp, struct why *why) {
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
        char alias[NETWORK_ALIAS_MAX];
        int r;

        network_alias(network, "bridge", alias);
        r = find_link(network, policy->bridge, link, why);
        if (r == NETLINK_E_GONE) {
                link_add_bridge(&batch, policy->bridge, alias);
                r = netlink_commit(&network->netlink, &batch, NULL, NULL, NULL, why);
                if (r == 0)
                        r = find_link(network, policy->bridge, link, why);
                if (r == 0)
                        log_info("made the bridge '%s'", policy->bridge);
        }
        if (r)
                return r;
        *oursp = strcmp(link->alias, alias) == 0;
        return strcmp(link->kind, "bridge") == 0
                       ? 0
                       : why_set(why, NETLINK_E_EXISTS, "'%s' is no bridge", policy->bridge);
}

static int set_up_bridge(struct network *network, const struct network_policy *policy,
                         const struct link *bridge, struct why *why) {
        _cleanup_(batch_deinit) struct batch batch = BATCH_NULL;
        struct link uplink = {};
        int r;

        if (policy->uplink[0]) {
                r = find_link(network, policy->uplink, &uplink, why);
                if (r == 0 && uplink.master && uplink.master != bridge->ifindex)
                        r = why_set(why, NETLINK_E_EXISTS,
                                    "the uplink '%s' is a port of something else already",
                                    policy->uplink);
                if (r)
                        return r;
        }
        for (size_t i = 0; i < policy->n_addresses; i++)
                link_add_address(&batch, bridge->ifindex, policy->addresses[i].family,
                                 policy->addresses[i].bytes, policy->addresses[i].prefix);
        link_add_up(&batch, bridge->ifindex);
        if (policy->uplink[0] && !uplink.master)
                link_add_master(&batch, uplink.ifindex, bridge->ifindex);
        if (policy->uplink[0])
                link_add_up(&batch, uplink.ifindex);
        return netlink_commit(&network->netlink, &batch, NULL, NULL, NULL, why);
}

/* Routing between the bridge and the rest, which NAT= asks for. To us the switches may be
 * read-only.
 */
static void forward(const struct broker *broker, const struct network_policy *policy) {
        static const struct {
                int family;
                const char *file;
        } switches[] = {{AF_INET, "sys/net/ipv4/ip_forward"},
                        {AF_INET6, "sys/net/ipv6/conf/all/forwarding"}};

        for (size_t i = 0; i < ARRAY_SIZE(switches); i++) {
                bool wanted = false;
                char path[512];
                int r;

                for (size_t j = 0; j < policy->n_addresses; j++)
                        wanted = wanted || policy->addresses[j].family == switches[i].family;
                if (!wanted)
                        continue;
                snprintf(path, sizeof(path), "%s/%s", broker->options->proc_dir, switches[i].file);
                r = file_write_at(AT_FDCWD, path, "1");
                if (r == EROFS || r == EACCES || r == EPERM)
                        r = launcher_forward(broker->launcher, switches[i].family);
                if (r)
                        log_error("NAT: cannot write %s: %s", path, strerrordesc_np(r));
        }
}

static int configure_nat(struct broker *broker, const struct network_policy *policy,
                         struct why *why) {
        struct network *network = broker->network;
        struct nat_subnet subnets[POLICY_ADDRESSES_MAX];
        char table[NAT_TABLE_MAX];

        snprintf(table, sizeof(table), "provium_%s", network->tag);
        if (!policy->nat) {
                if (!network->nat)
                        return 0;
                network->nat = false;
                return nat_remove(table, why);
        }
        for (size_t i = 0; i < policy->n_addresses; i++) {
                subnets[i] = (struct nat_subnet){.family = policy->addresses[i].family,
                                                 .prefix = policy->addresses[i].prefix};
                memcpy(subnets[i].bytes, policy->addresses[i].bytes, sizeof(subnets[i].bytes));
        }
        network->nat = true;
        forward(broker, policy);
        return nat_set(table, policy->bridge, subnets, policy->n_addresses, why);
}

void network_configure(struct broker *broker) {
        struct network *network = broker->network;
        const struct network_policy *policy = &broker->policy->broker.network;
        struct link bridge = {};
        struct why why = {};
        bool ours = false;
        int r = 0;

        if (network->netlink.fd < 0)
                return;
        follow_capacity(broker);
        if (policy->bridge[0]) {
                r = make_bridge(network, policy, &bridge, &ours, &why);
                if (r == 0 && ours)
                        r = set_up_bridge(network, policy, &bridge, &why);
                else if (r == 0 && (policy->n_addresses || policy->uplink[0]))
                        log_warning("the bridge '%s' is not ours: its addresses and ports are left "
                                    "as they are",
                                    policy->bridge);
        }
        if (r)
                log_error("[Network] Bridge=%s: %s", policy->bridge, why.text);
        if (configure_nat(broker, policy, &why))
                log_error("[Network] NAT=: %s", why.text);
}

struct old_bridges {
        struct network *network;
        const char *name; /* of the one that is wanted */
        struct broker *broker;
        bool (*in_use)(struct broker *broker, const char *name);
        struct discard_link gone[8];
        size_t n;
};

static void take_old_bridge(void *userdata, const struct link *link) {
        struct old_bridges *old = userdata;
        char alias[NETWORK_ALIAS_MAX];

        if (old->n == ARRAY_SIZE(old->gone) || strcmp(link->name, old->name) == 0 ||
            strcmp(link->alias, network_alias(old->network, "bridge", alias)) != 0 ||
            old->in_use(old->broker, link->name))
                return;
        old->gone[old->n].ifindex = link->ifindex;
        snprintf(old->gone[old->n++].alias, sizeof(old->gone[0].alias), "%s", link->alias);
}

void network_drop_old_bridges(struct broker *broker,
                              bool (*in_use)(struct broker *broker, const char *name)) {
        struct network *network = broker->network;
        struct old_bridges old = {.network = network,
                                  .broker = broker,
                                  .name = broker->policy->broker.network.bridge,
                                  .in_use = in_use};
        char prefix[NETWORK_ALIAS_MAX];
        struct why why = {};

        if (network->netlink.fd < 0)
                return;
        if (link_each_marked(&network->netlink, network_alias(network, "", prefix), take_old_bridge,
                             &old, &why))
                log_warning("bridges of earlier policies could not be listed: %s", why.text);
        discard(NULL, 0, old.gone, old.n);
}
