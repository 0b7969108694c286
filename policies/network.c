/* SPDX-License-Identifier: MIT */

/*
 * Addresses are kept as the kernel wants them, with the subnet's length beside, and judged one by
 * one: a bridge must have an address that a host can have, and one of its own. So the address of
 * the subnet itself is refused, which is what people write who mean the subnet ("10.77.0.0/24"),
 * and so are IPv4's broadcast, multicast and loopback. A subnet of two addresses (/31, RFC 3021;
 * /127, RFC 6164) or one has nothing but hosts.
 *
 * Whether a bridge exists is not asked here: the same files must be valid on every machine.
 */

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <policies/network.h>
#include <policies/policy.h>

#include <base/text.h>
#include <base/units.h>
#include <base/why.h>

_Static_assert(POLICY_INTERFACE_MAX == TEXT_INTERFACE_MAX + 1, "a name and its NUL");

static unsigned address_bits(const struct policy_address *address) {
        return address->family == AF_INET ? 32 : 128;
}

static bool read_prefix(const char *text, uint64_t most, unsigned *prefixp) {
        uint64_t prefix;

        if (units_parse_count(text, &prefix, NULL) || prefix > most)
                return false;
        *prefixp = (unsigned)prefix;
        return true;
}

/* "10.77.0.1/24": what is written, without a judgement of what it means. */
static bool read_address(const char *word, struct policy_address *address) {
        char host[INET6_ADDRSTRLEN];
        const char *slash = strchr(word, '/');
        size_t length = slash ? (size_t)(slash - word) : sizeof(host);

        if (length >= sizeof(host))
                return false;
        memcpy(host, word, length);
        host[length] = '\0';
        *address = (struct policy_address){.family = strchr(host, ':') ? AF_INET6 : AF_INET};
        return inet_pton(address->family, host, address->bytes) == 1 &&
               read_prefix(slash + 1, address_bits(address), &address->prefix);
}

/* Whether all bits behind the subnet's are @bit. */
static bool host_part_is(const struct policy_address *address, unsigned bit) {
        for (unsigned i = address->prefix; i < address_bits(address); i++)
                if ((address->bytes[i / 8] >> (7 - i % 8) & 1U) != bit)
                        return false;
        return true;
}

/* Not multicast, loopback or "any": what no device of ours could answer to. */
static bool is_unicast(const struct policy_address *address) {
        static const unsigned char zeros[15] = {};
        const unsigned char *bytes = address->bytes;

        if (address->family == AF_INET)
                return bytes[0] != 0 && bytes[0] != 127 && bytes[0] < 224;
        return bytes[0] != 0xff && !(memcmp(bytes, zeros, sizeof(zeros)) == 0 && bytes[15] <= 1);
}

static int parse_address(const char *word, struct policy_address *address, struct why *why) {
        char quoted[64];

        text_escape(word, quoted, sizeof(quoted));
        if (!read_address(word, address))
                return why_set(
                        why, POLICY_E_INVALID,
                        "\"%s\" is not an address with its subnet; valid is A.B.C.D/0 to /32, "
                        "such as 10.77.0.1/24, or IPv6 with /0 to /128, such as fd77::1/64",
                        quoted);
        if (!is_unicast(address))
                return why_set(why, POLICY_E_INVALID,
                               "\"%s\" is not an address that a host can have; valid are unicast "
                               "addresses, such as 10.77.0.1/24",
                               quoted);
        if (address_bits(address) - address->prefix < 2)
                return 0;
        if (host_part_is(address, 0))
                return why_set(
                        why, POLICY_E_INVALID,
                        "\"%s\" is the subnet itself; the bridge needs an address of its own "
                        "in it, such as the next one",
                        quoted);
        if (address->family == AF_INET && host_part_is(address, 1))
                return why_set(why, POLICY_E_INVALID,
                               "\"%s\" is the subnet's broadcast address; the bridge needs one of "
                               "its own",
                               quoted);
        return 0;
}

static bool same_address(const struct policy_address *a, const struct policy_address *b) {
        return a->family == b->family && a->prefix == b->prefix &&
               memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static int add_address(void *object, const char *word, struct why *why) {
        struct network_policy *network = object;
        struct policy_address address = {};
        int r;

        r = parse_address(word, &address, why);
        if (r)
                return r;
        for (size_t i = 0; i < network->n_addresses; i++)
                if (same_address(&network->addresses[i], &address))
                        return 0;
        if (network->n_addresses == POLICY_ADDRESSES_MAX)
                return why_set(why, POLICY_E_INVALID, "more than %d addresses",
                               POLICY_ADDRESSES_MAX);
        network->addresses[network->n_addresses++] = address;
        return 0;
}

static bool is_listed(const struct slice_policy *slice, const char *bridge) {
        for (size_t i = 0; i < slice->n_bridges; i++)
                if (strcmp(slice->bridges[i], bridge) == 0)
                        return true;
        return false;
}

static int add_bridge(void *object, const char *word, struct why *why) {
        struct slice_policy *slice = object;
        struct why reason = {};

        if (strcmp(word, "*") == 0) {
                slice->any_bridge = true;
                return 0;
        }
        if (text_check_interface("name of a bridge", word, &reason))
                return why_set(why, POLICY_E_INVALID, "%s; for any write *", reason.text);
        if (is_listed(slice, word))
                return 0;
        if (slice->n_bridges == POLICY_BRIDGES_MAX)
                return why_set(why, POLICY_E_INVALID, "more than %d bridges; for any write *",
                               POLICY_BRIDGES_MAX);
        strcpy(slice->bridges[slice->n_bridges++], word); /* it was checked to fit */
        return 0;
}

/* Calls @add with each word of @text. */
static int add_words(void *object, const char *text,
                     int (*add)(void *object, const char *word, struct why *why), struct why *why) {
        const char *separators = " \t,";

        for (const char *from = text + strspn(text, separators); *from;
             from += strspn(from, separators)) {
                size_t length = strcspn(from, separators);
                _cleanup_(freep) char *word = strndup(from, length);
                int r;

                if (!word)
                        return fault(-ENOMEM);
                r = add(object, word, why);
                if (r)
                        return r;
                from += length;
        }
        return 0;
}

/* Both work on a copy: a list of which half was valid would be one that nobody assigned. */

int network_add_addresses(struct broker_policy *broker, const char *text, struct why *why) {
        struct network_policy network = broker->network;
        int r;

        if (!*text)
                network.n_addresses = 0;
        r = add_words(&network, text, add_address, why);
        if (!r)
                broker->network = network;
        return r;
}

int network_add_bridges(struct slice_policy *slice, const char *text, struct why *why) {
        struct slice_policy changed = *slice;
        int r;

        if (!*text) {
                changed.n_bridges = 0;
                changed.any_bridge = false;
        }
        r = add_words(&changed, text, add_bridge, why);
        if (!r)
                *slice = changed;
        return r;
}

bool policy_may_join(const struct policy *policy, const struct slice_policy *slice,
                     const char *bridge) {
        if (!*bridge)
                return false;
        return slice->any_bridge || strcmp(bridge, slice->bridge) == 0 ||
               strcmp(bridge, policy->broker.network.bridge) == 0 || is_listed(slice, bridge);
}

const char *policy_address_format(const struct policy_address *address, char *buffer, size_t size) {
        char host[INET6_ADDRSTRLEN];

        snprintf(buffer, size, "%s/%u",
                 inet_ntop(address->family, address->bytes, host, sizeof(host)) ?: "?",
                 address->prefix);
        return buffer;
}
