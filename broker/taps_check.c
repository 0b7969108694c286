/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <broker/broker.h>
#include <broker/drift.h>
#include <broker/lease.h>
#include <broker/network.h>
#include <broker/taps.h>
#include <broker/taps_adopt.h>
#include <broker/taps_check.h>
#include <tc/news.h>

#define SUSPECT_USEC UINT64_C(300000) /* from somebody's change to our looking */

/* Of one of ours that is gone: what it has carried, for the account. */
static void take_last_bytes(struct broker *broker, int ifindex, uint64_t download,
                            uint64_t upload) {
        struct lease *lease;

        TAILQ_FOREACH(lease, &broker->leases, link)
                for (size_t i = 0; lease->taps && i < lease->taps->n; i++) {
                        struct tap *tap = &lease->taps->tap[i];

                        if ((tap->ifindex ?: tap->last_ifindex) != ifindex || tap->counted)
                                continue;
                        tap->counted = true;
                        tap->download_bytes = download;
                        tap->upload_bytes = upload;
                        return;
                }
}

static void take_news(void *userdata, const struct nlmsghdr *message) {
        struct broker *broker = userdata;
        uint64_t download, upload;
        uint16_t minor;
        int ifindex;

        if (!news_subject(message, broker->network->major, &ifindex, &minor))
                return;
        if (news_last_bytes(message, &download, &upload))
                take_last_bytes(broker, ifindex, download, upload);
        taps_suspect(broker, ifindex, minor);
        if (ifindex == broker->network->ifb_ifindex)
                broker->network->suspect = true;
}

/* Many changes mostly come together: they are looked at together, in a moment. */
void taps_hear(struct broker *broker) {
        struct network *network = broker->network;

        if (network->listener.fd < 0)
                return;
        if (netlink_news(&network->listener, take_news, broker) == NETLINK_E_LOST) {
                network->suspect = true;
                taps_suspect(broker, 0, 0);
        }
        if (network->suspect)
                broker_tick_at(broker, broker_now_usec() + SUSPECT_USEC);
}

static int on_news(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        taps_hear(userdata);
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
                    strcmp(link.alias, taps_alias(lease, i, alias)) != 0) {
                        tap->lost_usec = broker_now_usec() + SUSPECT_USEC;
                        tap->last_ifindex = tap->ifindex;
                        tap->ifindex = 0;
                }
        }
}

/* The end of a hypervisor closes its taps, too, a moment before it is collected: only of a VM that
 * still runs then it is said. */
static void tell_lost(struct lease *lease) {
        uint64_t now = broker_now_usec();

        for (size_t i = 0; i < lease->taps->n; i++) {
                struct tap *tap = &lease->taps->tap[i];

                if (tap->lost_usec == 0)
                        continue;
                if (now < tap->lost_usec) {
                        lease->taps->suspect = true;
                        broker_tick_at(lease->broker, tap->lost_usec);
                        continue;
                }
                if (lease->state == LEASE_RUNNING && !lease->main_gone)
                        log_warning("VM '%s': its tap '%s' is gone", lease->record.name, tap->name);
                tap->lost_usec = 0;
        }
}

static void check_one(struct lease *lease) {
        struct network *network = lease->broker->network;
        struct why found = {}, failed = {};
        struct shape_state state;
        struct shape *shape = &lease->taps->shape;
        int r;

        lease->taps->suspect = false;
        taps_places(lease, shape);
        if (shape_read(&network->netlink, shape, &state, &failed) == 0) {
                forget_lost(lease, &state);
                taps_places(lease, shape);
        }
        tell_lost(lease);
        if (shape_read(&network->netlink, shape, &state, &failed) == 0 &&
            shape_differs(shape, &state, &found) == 0)
                return;
        r = shape_repair(&network->netlink, shape, &failed);
        drift_tell(lease->broker, "vm", lease->record.name,
                   found.text[0] ? found.text : "its network could not be read",
                   r ? failed.text : NULL);
}

/* False: there is no root whose classes frames could be marked with. */
static bool check_ifb(struct broker *broker) {
        struct network *network = broker->network;
        bool changed = !network_check_ifb(network);
        struct why why = {};
        int r;

        network->suspect = false;
        if (changed)
                taps_suspect(broker, 0, 0);
        if (!network->ifb_ifindex && !network->suspect)
                return true; /* nobody needs it */
        network->suspect = false;
        r = network_ready(broker, &why);
        if (changed || r)
                drift_tell(broker, "network", network->ifb_name,
                           "it is gone, or its root is not as it was made", r ? why.text : NULL);
        if (r == 0)
                taps_sweep_classes(broker);
        return r == 0;
}

void taps_check_suspects(struct broker *broker) {
        struct network *network = broker->network;
        struct lease *lease;

        if (network->netlink.fd < 0 || (network->suspect && !check_ifb(broker)))
                return;
        TAILQ_FOREACH(lease, &broker->leases, link)
                if (lease->taps && lease->taps->suspect && lease->state != LEASE_STARTING)
                        check_one(lease);
        if (network->crowded) {
                network->crowded = false;
                TAILQ_FOREACH(lease, &broker->leases, link)
                        taps_follow(lease);
        }
}
