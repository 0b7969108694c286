/* SPDX-License-Identifier: MIT */
#include <cli/sim_ends.h>

static bool is_before(const struct end *a, const struct end *b) {
        return a->at_usec != b->at_usec ? a->at_usec < b->at_usec : a->order < b->order;
}

int ends_add(struct ends *ends, uint64_t at_usec, void *what) {
        const struct end end = {.at_usec = at_usec, .order = ends->order++, .what = what};
        size_t i;

        if (ends->n == ends->n_allocated) {
                size_t n = ends->n_allocated ? ends->n_allocated * 2 : 1024;
                struct end *heap = reallocarray(ends->heap, n, sizeof(*heap));

                if (!heap)
                        return fault(-ENOMEM);
                ends->heap = heap;
                ends->n_allocated = n;
        }
        for (i = ends->n++; i > 0 && is_before(&end, &ends->heap[(i - 1) / 2]); i = (i - 1) / 2)
                ends->heap[i] = ends->heap[(i - 1) / 2];
        ends->heap[i] = end;
        return 0;
}

void *ends_take(struct ends *ends) {
        void *what;
        struct end last;
        size_t i = 0, child;

        assert(ends->n > 0);
        what = ends->heap[0].what;
        last = ends->heap[--ends->n];
        while ((child = 2 * i + 1) < ends->n) {
                if (child + 1 < ends->n && is_before(&ends->heap[child + 1], &ends->heap[child]))
                        child++;
                if (!is_before(&ends->heap[child], &last))
                        break;
                ends->heap[i] = ends->heap[child];
                i = child;
        }
        ends->heap[i] = last;
        return what;
}

void ends_deinit(struct ends *ends) {
        free(ends->heap);
        *ends = (struct ends){};
}
