/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <string.h>

#include <base/why.h>
#include <tc/nat.h>

/* What may stand unquoted in a text for nftables, and means only itself there: a device name with
 * a star at its end would mean many. */
static int check_name(const char *what, const char *name, struct why *why) {
        static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        static const char others[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789_-.";

        if (name[0] == '\0' || !strchr(letters, name[0]) || name[strspn(name, others)] ||
            strlen(name) > 63)
                return why_set(why, NAT_E_NAME,
                               "the %s '%s' is no name for nftables: a letter, then letters, "
                               "digits, '_', '-' and '.'",
                               what, name);
        return 0;
}

/* The library speaks in several lines, with the text that it dislikes below. */
static int refuse(const char *table, const char *words, struct why *why) {
        const char *error = words ? strstr(words, "Error: ") : NULL;

        words = error ? error + strlen("Error: ") : words ?: "";
        return why_set(why, NAT_E_HOST, "cannot set the nftables table '%s': %.*s", table,
                       (int)strcspn(words, "\n"), words);
}

/* One text, one transaction. */
static int apply(const char *table, const char *text, struct why *why) {
        struct nft_ctx *context;
        int r = 0;

        context = nft_ctx_new(NFT_CTX_DEFAULT);
        if (!context)
                return fault(-ENOMEM);
        if (nft_ctx_buffer_error(context) || nft_ctx_buffer_output(context))
                r = fault(-ENOMEM);
        else if (nft_run_cmd_from_buffer(context, text))
                r = refuse(table, nft_ctx_get_error_buffer(context), why);
        nft_ctx_free(context);
        return r;
}

/* "Destroy" in the words that every nftables knows: what is made first is there to be removed. */
static void write_removal(FILE *text, const char *table) {
        fprintf(text, "add table inet %s\ndelete table inet %s\n", table, table);
}

static void write_subnet(FILE *text, const struct nat_subnet *subnet, const char *bridge) {
        char address[INET6_ADDRSTRLEN];

        inet_ntop(subnet->family, subnet->bytes, address, sizeof(address));
        fprintf(text, "    %s saddr %s/%u oifname != \"%s\" masquerade\n",
                subnet->family == AF_INET6 ? "ip6" : "ip", address, subnet->prefix, bridge);
}

int nat_set(const char *table, const char *bridge, const struct nat_subnet *subnets,
            size_t n_subnets, struct why *why) {
        _cleanup_(freep) char *words = NULL;
        size_t size;
        FILE *text;
        int r;

        r = check_name("table", table, why);
        if (!r)
                r = check_name("bridge", bridge, why);
        if (r)
                return r;
        text = open_memstream(&words, &size);
        if (!text)
                return fault(-ENOMEM);
        write_removal(text, table);
        fprintf(text,
                "table inet %s {\n"
                "  chain postrouting {\n"
                "    type nat hook postrouting priority 100; policy accept;\n",
                table);
        for (size_t i = 0; i < n_subnets; i++)
                write_subnet(text, &subnets[i], bridge);
        fprintf(text, "  }\n}\n");
        if (fclose(text))
                return fault(-ENOMEM);
        return apply(table, words, why);
}

int nat_remove(const char *table, struct why *why) {
        char text[256];
        FILE *file;
        int r;

        r = check_name("table", table, why);
        if (r)
                return r;
        file = fmemopen(text, sizeof(text), "w");
        if (!file)
                return fault(-ENOMEM);
        write_removal(file, table);
        fclose(file);
        return apply(table, text, why);
}
