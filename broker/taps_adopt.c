/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <broker/broker.h>
#include <broker/lease.h>
#include <broker/network.h>
#include <broker/rates.h>
#include <broker/taps.h>
#include <broker/taps_adopt.h>
#include <tc/discard.h>

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
                struct link *link = network_find(network, taps_alias(lease, i, alias));

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
        rates_set(lease, &lease->taps->shape);
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

void taps_sweep_classes(struct broker *broker) {
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

                        bool usable = handles_usable(stray.minors[i]);

                        /* Its number may be kept from a removal that failed, or be none of ours:
                         * whoever may change the IFB can give it any. */
                        if (!usable || handles_claim(&network->handles, stray.minors[i]))
                                log_warning("class %x of the IFB belongs to no VM: removed",
                                            stray.minors[i]);
                        shape_add_removal(&batch, &shape);
                        if (netlink_commit(&network->netlink, &batch, NULL, NULL, NULL, &why)) {
                                log_error("class %x of nobody stays: %s", stray.minors[i],
                                          why.text);
                                return;
                        }
                        if (usable)
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
        struct lease *lease;

        if (network->netlink.fd < 0)
                return;
        TAILQ_FOREACH(lease, &broker->leases, link) {
                if (lease->state == LEASE_UNKNOWN)
                        network->keep_numbers = true;
                /* What each is guaranteed depends on all that is sold, known only now. */
                if (lease->taps)
                        rates_set(lease, &lease->taps->shape);
        }
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
                taps_sweep_classes(broker);
        else if (network->ifb_ifindex && shape_each_class(&network->netlink, network->ifb_ifindex,
                                                          keep_all_classes, network, NULL))
                log_warning("the classes of VMs with unreadable records could not be listed");
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
