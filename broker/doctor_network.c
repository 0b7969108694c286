/* SPDX-License-Identifier: MIT */
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <broker/broker.h>
#include <broker/doctor_network.h>
#include <broker/finding.h>
#include <broker/network.h>

static const struct network_policy *policy_of(const struct findings *findings) {
        return &findings->broker->policy->broker.network;
}

void doctor_check_rtnetlink(struct findings *findings) {
        if (findings->broker->network->netlink.fd >= 0)
                finding_ok(findings, "open: VMs can have networks");
        else
                finding_problem(findings,
                                "give the broker CAP_NET_ADMIN, then 'systemctl restart "
                                "provium-broker'",
                                "the broker has none: no VM can have a network");
}

/* Without asking for it, since asking loads the module. */
static bool is_loaded(const struct options *options) {
        char text[64];

        if (finding_read(options->proc_dir, "sys/net/core/default_qdisc", text, sizeof(text)) ==
                    0 &&
            strcmp(text, "fq_codel") == 0)
                return true;
        return finding_read(options->sys_dir, "module/sch_fq_codel/initstate", text,
                            sizeof(text)) == 0;
}

void doctor_check_fq_codel(struct findings *findings) {
        const struct network *network = findings->broker->network;

        if (network->netlink.fd < 0)
                return;
        if (network->major != 0 && network->fifo)
                finding_warning(findings, "modprobe sch_fq_codel && provium upgrade",
                                "this kernel has none: uploads wait in a fifo, and of one VM a "
                                "thin flow waits behind a thick one");
        else if (network->major != 0 || is_loaded(findings->broker->options))
                finding_ok(findings, "uploads of one VM wait in fair queues");
        else
                finding_ok(findings, "not known before the first VM has a network");
}

/* ---- the bridge ---- */

/* Of what the kernel lists through netlink: the broker may make no sockets of the Internet. */
static bool has_address(const struct ifaddrs *all, const char *link,
                        const struct policy_address *address) {
        for (const struct ifaddrs *one = all; one; one = one->ifa_next) {
                const struct sockaddr *found = one->ifa_addr;

                if (!found || found->sa_family != address->family ||
                    strcmp(one->ifa_name, link) != 0)
                        continue;
                if (address->family == AF_INET
                            ? memcmp(&((const struct sockaddr_in *)found)->sin_addr, address->bytes,
                                     4) == 0
                            : memcmp(&((const struct sockaddr_in6 *)found)->sin6_addr,
                                     address->bytes, 16) == 0)
                        return true;
        }
        return false;
}

/* Tells of each address that is missing; were there none? */
static bool check_addresses(struct findings *findings, const struct network_policy *policy) {
        struct ifaddrs *addresses = NULL;
        bool all = true;

        if (policy->n_addresses > 0 && getifaddrs(&addresses) < 0)
                addresses = NULL;
        for (size_t i = 0; i < policy->n_addresses; i++) {
                const struct policy_address *address = &policy->addresses[i];
                char text[POLICY_ADDRESS_TEXT_MAX], mend[128];

                if (has_address(addresses, policy->bridge, address))
                        continue;
                all = false;
                policy_address_format(address, text, sizeof(text));
                snprintf(mend, sizeof(mend), "ip address add %s dev %s", text, policy->bridge);
                finding_problem(findings, mend, "the bridge %s lacks its address %s",
                                policy->bridge, text);
        }
        freeifaddrs(addresses);
        return all;
}

/*
 * Is there such a link, and up? If not, that is told. What is ours the broker puts back as a whole:
 * a link that goes down also loses its IPv6 addresses.
 */
static bool find_link_up(struct findings *findings, const char *what, const char *name,
                         const char *mend_missing, struct link *link) {
        struct network *network = findings->broker->network;
        char mend[128] = "provium policy reload", alias[NETWORK_ALIAS_MAX];
        struct why why = {};
        int r;

        r = link_get(&network->netlink, name, 0, link, &why);
        if (r == NETLINK_E_GONE) {
                finding_problem(findings, mend_missing, "the %s %s is missing", what, name);
                return false;
        }
        if (r) {
                finding_problem(findings, "", "the %s %s: %s", what, name, why.text);
                return false;
        }
        if (link->up)
                return true;
        if (strcmp(link->alias, network_alias(network, "bridge", alias)) != 0)
                snprintf(mend, sizeof(mend), "ip link set %s up", name);
        finding_problem(findings, mend, "the %s %s is down", what, name);
        return false;
}

void doctor_check_bridge(struct findings *findings) {
        const struct network_policy *policy = policy_of(findings);
        struct network *network = findings->broker->network;
        char alias[NETWORK_ALIAS_MAX];
        struct link link;

        if (!policy->bridge[0] || network->netlink.fd < 0 ||
            !find_link_up(findings, "bridge", policy->bridge, "provium policy reload", &link))
                return;
        if (strcmp(link.kind, "bridge") != 0) {
                finding_problem(findings, "set another Bridge= in [Network] of broker.conf",
                                "the link %s is no bridge", policy->bridge);
        } else if (strcmp(link.alias, network_alias(network, "bridge", alias)) == 0) {
                if (check_addresses(findings, policy))
                        finding_ok(findings, "%s is ours, and up%s", policy->bridge,
                                   policy->n_addresses ? ", with its addresses" : "");
        } else if (policy->n_addresses || policy->uplink[0]) {
                finding_warning(findings,
                                "take Address= and Uplink= out of [Network], or set another "
                                "Bridge=",
                                "the bridge %s is somebody else's: Address= and Uplink= are not "
                                "put in force",
                                policy->bridge);
        } else {
                finding_ok(findings, "%s is up; it is somebody else's, and used as it is",
                           policy->bridge);
        }
}

/* Was this slice's bridge looked at before? */
static bool is_known_bridge(const struct policy *policy, size_t slice) {
        const char *name = policy->slices[slice].bridge;

        if (strcmp(name, policy->broker.network.bridge) == 0)
                return true;
        for (size_t i = 0; i < slice; i++)
                if (strcmp(name, policy->slices[i].bridge) == 0)
                        return true;
        return false;
}

void doctor_check_slice_bridges(struct findings *findings) {
        const struct policy *policy = findings->broker->policy;

        if (findings->broker->network->netlink.fd < 0)
                return;
        for (size_t i = 0; i < policy->n_slices; i++) {
                const struct slice_policy *slice = &policy->slices[i];
                struct link link;
                char what[TEXT_NAME_MAX + 32], mend[128];

                if (!slice->bridge[0] || is_known_bridge(policy, i))
                        continue;
                snprintf(what, sizeof(what), "bridge of slice '%s':", slice->name);
                snprintf(mend, sizeof(mend), "ip link add %s type bridge && ip link set %s up",
                         slice->bridge, slice->bridge);
                if (!find_link_up(findings, what, slice->bridge, mend, &link))
                        continue;
                if (strcmp(link.kind, "bridge") == 0)
                        finding_ok(findings, "%s, of slice '%s', is up", slice->bridge,
                                   slice->name);
                else
                        finding_problem(findings, "set another Bridge= in the slice's [Network]",
                                        "%s, of slice '%s', is no bridge", slice->bridge,
                                        slice->name);
        }
}

void doctor_check_uplink(struct findings *findings) {
        const struct network_policy *policy = policy_of(findings);
        struct network *network = findings->broker->network;
        struct link bridge, uplink;
        char mend[128];

        if (!policy->uplink[0] || !policy->bridge[0] || network->netlink.fd < 0 ||
            !find_link_up(findings, "uplink", policy->uplink,
                          "set another Uplink= in [Network] of broker.conf", &uplink))
                return;
        if (link_get(&network->netlink, policy->bridge, 0, &bridge, NULL))
                return; /* told above */
        if (uplink.master == bridge.ifindex) {
                finding_ok(findings, "%s is up, and a port of %s", policy->uplink, policy->bridge);
                return;
        }
        snprintf(mend, sizeof(mend), "ip link set %s master %s", policy->uplink, policy->bridge);
        finding_problem(findings, mend, "%s is no port of %s: VMs do not reach the outside",
                        policy->uplink, policy->bridge);
}

/* ---- the kernel's switches ---- */

static bool has_family(const struct network_policy *policy, int family) {
        for (size_t i = 0; i < policy->n_addresses; i++)
                if (policy->addresses[i].family == family)
                        return true;
        return false;
}

void doctor_check_forwarding(struct findings *findings) {
        static const struct {
                int family;
                const char *file, *mend, *name;
        } rows[] = {
                {AF_INET, "sys/net/ipv4/ip_forward", "sysctl -w net.ipv4.ip_forward=1", "IPv4"},
                {AF_INET6, "sys/net/ipv6/conf/all/forwarding",
                 "sysctl -w net.ipv6.conf.all.forwarding=1", "IPv6"},
        };
        const struct network_policy *policy = policy_of(findings);

        for (size_t i = 0; policy->nat && i < ARRAY_SIZE(rows); i++) {
                uint64_t on = 0;

                if (!has_family(policy, rows[i].family))
                        continue;
                if (finding_read_number(findings->broker->options->proc_dir, rows[i].file, &on) ||
                    on == 0)
                        finding_problem(findings, rows[i].mend,
                                        "%s is not forwarded, which NAT=yes needs", rows[i].name);
                else
                        finding_ok(findings, "%s is forwarded, for NAT=yes", rows[i].name);
        }
}

void doctor_check_tun(struct findings *findings) {
        if (finding_device(findings, "net/tun"))
                finding_ok(findings, "/dev/net/tun is there");
        else
                finding_problem(findings, "modprobe tun",
                                "there is no /dev/net/tun: no VM can have a network");
}

void doctor_check_vhost_net(struct findings *findings) {
        if (finding_device(findings, "vhost-net"))
                finding_ok(findings, "/dev/vhost-net is there");
        else
                finding_warning(findings, "modprobe vhost_net",
                                "there is no /dev/vhost-net: a command with {vhost.fd} is refused");
}

void doctor_check_bridge_nf(struct findings *findings) {
        static const char *const names[] = {"iptables", "ip6tables"};
        char file[64], mend[96];
        bool on = false;

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                uint64_t value = 0;

                snprintf(file, sizeof(file), "sys/net/bridge/bridge-nf-call-%s", names[i]);
                if (finding_read_number(findings->broker->options->proc_dir, file, &value) ||
                    value == 0)
                        continue;
                on = true;
                snprintf(mend, sizeof(mend), "sysctl -w net.bridge.bridge-nf-call-%s=0", names[i]);
                finding_warning(findings, mend,
                                "bridge-nf-call-%s is on: frames of bridged VMs pass the %s rules "
                                "of the host",
                                names[i], names[i]);
        }
        if (!on)
                finding_ok(findings, "bridged frames do not pass the host's iptables");
}
