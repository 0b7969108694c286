/* SPDX-License-Identifier: MIT */

/*
 * Any text as what we parse of HTTP ourselves: Host, If-None-Match, numbers of events, and the
 * lists of [HTTP]. A host that is taken has no name in it that a stranger's name server could
 * answer for; a number is one that prints the same.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <base/why.h>
#include <broker/http_parse.h>
#include <policies/http.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_seq(const char *text) {
        char again[32];
        uint64_t seq;

        if (!http_parse_seq(text, &seq))
                return;
        assert(seq <= INT64_MAX);
        snprintf(again, sizeof(again), "%" PRIu64, seq);
        text += strspn(text, "0");
        assert(strcmp(*text ? text : "0", again) == 0);
}

static void check_host(const char *text) {
        if (http_host_is_ours(text, "", false))
                assert(strspn(text, "0123456789.:") == strlen(text) || text[0] == '[' ||
                       strcasestr(text, "localhost"));
        (void)http_host_is_ours(text, text, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct policy_listen listens[POLICY_LISTENS_MAX];
        char *text = malloc(size + 1);
        struct why why = {};
        size_t n = 0;

        assert(text);
        memcpy(text, data, size);
        text[size] = '\0';
        check_seq(text);
        check_host(text);
        (void)http_etag_matches(text, "\"0123456789abcdef\"");
        (void)http_list_has(text, "kind");
        if (policy_parse_listens(text, listens, &n, &why) == 0)
                for (size_t i = 0; i < n; i++)
                        assert(listens[i].port > 0 && strstr(text, listens[i].text));
        else
                assert(why.text[0]);
        if (policy_check_hosts(text, &why))
                assert(why.text[0]);
        free(text);
        return 0;
}
