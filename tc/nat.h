/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_TC_NAT_H
#define PROVIUM_TC_NAT_H

/*
 * Masquerading: what comes from a bridge's subnets and leaves by another device gets the address
 * of that device. One nftables table of our own, family inet, replaced as a whole in one
 * transaction: no packet meets half of it, and nobody else's rules are touched. Forwarding
 * (ip_forward) and the operator's own filters are not ours.
 */

#include <base/macro.h>

struct why;

enum {
        _NAT_E_SUCCESS,
        NAT_E_NAME, /* a name that nftables cannot carry */
        NAT_E_HOST, /* the kernel refuses, or has no nftables; the library's words are in why */
};

struct nat_subnet {
        int family;              /* AF_INET, AF_INET6 */
        unsigned char bytes[16]; /* network order; the first 4 for AF_INET */
        unsigned prefix;
};

/* Makes or replaces table inet @table for what comes from @subnets behind @bridge. Answers NAME,
 * HOST. */
_must_check_ int nat_set(const char *table, const char *bridge, const struct nat_subnet *subnets,
                         size_t n_subnets, struct why *why);

/* Removes the table; one that is not there is fine. Answers NAME, HOST. */
_must_check_ int nat_remove(const char *table, struct why *why);

#endif
