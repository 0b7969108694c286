/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <broker/lease.h>
#include <broker/taps.h>
#include <broker/words.h>

#define FIRST_FD 3

static void add_word(struct words *words, const char *name, const char *value, const char *hint) {
        size_t i = words->n++;

        assert(i < WORDS_MAX);
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
static void add_tap_words(struct words *words, const struct tap *tap, const char *infix,
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
        taps_format_mac(tap->mac, value);
        add_word(words, name, value, NULL);
}

void words_make(const struct lease *lease, struct words *words) {
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

void words_note_used(struct lease *lease, const struct placeholder *table, size_t n) {
        for (size_t i = 0; lease->taps && i < n; i++)
                if (table[i].used && strncmp(table[i].name, "vhost", 5) == 0)
                        lease->taps->vhost = true;
}
