/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>
#include <uthash.h>

#include <base/why.h>
#include <cli/trace.h>

struct name {
        uint32_t place;
        UT_hash_handle hh;
        char text[];
};

int names_find(struct names *names, const char *text, const char *what, uint32_t max,
               uint32_t *placep, struct why *why) {
        struct name *name = NULL;
        size_t length = strlen(text);
        char **list;

        HASH_FIND(hh, names->by_text, text, length, name);
        if (name) {
                *placep = name->place;
                return 0;
        }
        if (names->n > max)
                return why_set(why, TRACE_E_INVALID, "there are more than %" PRIu32 " %s", max,
                               what);
        if ((names->n & (names->n - 1)) == 0) {
                list = reallocarray(names->list, names->n ? (size_t)names->n * 2 : 1,
                                    sizeof(*list));
                if (!list)
                        return fault(-ENOMEM);
                names->list = list;
        }
        name = malloc(sizeof(*name) + length + 1);
        if (!name)
                return fault(-ENOMEM);
        memcpy(name->text, text, length + 1);
        name->place = names->n;
        HASH_ADD_KEYPTR(hh, names->by_text, name->text, length, name);
        names->list[names->n++] = name->text;
        *placep = name->place;
        return 0;
}

static void names_deinit(struct names *names) {
        struct name *name, *next;

        HASH_ITER(hh, names->by_text, name, next) {
                HASH_DEL(names->by_text, name);
                free(name);
        }
        free(names->list);
        *names = (struct names){};
}

void trace_deinit(struct trace *trace) {
        free(trace->rows);
        names_deinit(&trace->users);
        names_deinit(&trace->slices);
        *trace = (struct trace){};
}

int trace_add(struct trace *trace, struct row **rowp, struct why *why) {
        if (trace->n == TRACE_ROWS_MAX)
                return why_set(why, TRACE_E_INVALID, "there are more than %d claims",
                               TRACE_ROWS_MAX);
        if (trace->n == trace->n_allocated) {
                size_t n = trace->n_allocated ? trace->n_allocated * 2 : 1024;
                struct row *rows = reallocarray(trace->rows, n, sizeof(*rows));

                if (!rows)
                        return fault(-ENOMEM);
                trace->rows = rows;
                trace->n_allocated = n;
        }
        *rowp = &trace->rows[trace->n++];
        **rowp = (struct row){};
        return 0;
}

static int compare_rows(const void *a, const void *b) {
        const struct row *left = a, *right = b;

        if (left->arrival_usec != right->arrival_usec)
                return left->arrival_usec < right->arrival_usec ? -1 : 1;
        return left->line < right->line ? -1 : left->line > right->line;
}

void trace_sort(struct trace *trace) {
        uint64_t latest = 0;

        for (size_t i = 0; i < trace->n; i++) {
                trace->n_unsorted += trace->rows[i].arrival_usec < latest;
                latest = max_u64(latest, trace->rows[i].arrival_usec);
        }
        if (trace->n_unsorted > 0)
                qsort(trace->rows, trace->n, sizeof(*trace->rows), compare_rows);
}
