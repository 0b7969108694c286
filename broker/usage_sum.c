/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <uthash.h>

#include <broker/usage_sum.h>

struct usage_place {
        char key[2 * TEXT_NAME_MAX + 24];
        size_t row;
        UT_hash_handle hh;
};

void usage_sum_deinit(struct usage_sum *sum) {
        struct usage_place *place, *next;

        HASH_ITER(hh, sum->index, place, next) {
                HASH_DEL(sum->index, place);
                free(place);
        }
        free(take(sum->rows));
        free(take(sum->ids));
}

/* ---- each lease once ---- */

static size_t place_of(const struct usage_sum *sum, const char id[USAGE_ID_MAX]) {
        uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
        size_t at;

        for (size_t i = 0; i < USAGE_ID_MAX; i++)
                hash = (hash ^ (unsigned char)id[i]) * UINT64_C(1099511628211);
        at = (size_t)(hash ^ hash >> 32) & (sum->ids_size - 1);
        while (sum->ids[at][0] && memcmp(sum->ids[at], id, USAGE_ID_MAX) != 0)
                at = (at + 1) & (sum->ids_size - 1);
        return at;
}

static int grow_ids(struct usage_sum *sum) {
        struct usage_sum larger = {.ids_size = sum->ids_size ? 2 * sum->ids_size : 256};

        larger.ids = calloc(larger.ids_size, sizeof(*larger.ids));
        if (!larger.ids)
                return fault(-ENOMEM);
        for (size_t i = 0; i < sum->ids_size; i++)
                if (sum->ids[i][0])
                        memcpy(larger.ids[place_of(&larger, sum->ids[i])], sum->ids[i],
                               USAGE_ID_MAX);
        free(sum->ids);
        sum->ids = larger.ids;
        sum->ids_size = larger.ids_size;
        return 0;
}

/* 1: it was there. */
static int note_id(struct usage_sum *sum, const char *text) {
        char id[USAGE_ID_MAX] = {};
        size_t at;
        int r;

        if (2 * sum->n_ids >= sum->ids_size) {
                r = grow_ids(sum);
                if (r < 0)
                        return r;
        }
        memcpy(id, text, strnlen(text, USAGE_ID_MAX));
        at = place_of(sum, id);
        if (sum->ids[at][0])
                return 1;
        memcpy(sum->ids[at], id, USAGE_ID_MAX);
        sum->n_ids++;
        return 0;
}

/* ---- rows ---- */

static int get_row(struct usage_sum *sum, const struct usage_line *line, struct usage_row **rowp) {
        bool by_vm = sum->by == USAGE_BY_VM, by_slice = by_vm || sum->by == USAGE_BY_SLICE;
        bool by_user = by_vm || sum->by == USAGE_BY_USER;
        struct usage_place *place;
        struct usage_row *more;
        char key[sizeof(place->key)];

        snprintf(key, sizeof(key), "%s:%s:%u", by_vm ? line->vm : "", by_slice ? line->slice : "",
                 by_user ? line->uid : 0);
        HASH_FIND_STR(sum->index, key, place);
        if (place) {
                *rowp = &sum->rows[place->row];
                return 0;
        }
        if (sum->n_rows == USAGE_ROWS_MAX) {
                *rowp = &sum->others;
                return 0;
        }
        if (sum->n_rows == sum->n_allocated) {
                size_t n = sum->n_allocated ? 2 * sum->n_allocated : 16;

                more = reallocarray(sum->rows, n, sizeof(*more));
                if (!more)
                        return fault(-ENOMEM);
                sum->rows = more;
                sum->n_allocated = n;
        }
        place = calloc(1, sizeof(*place));
        if (!place)
                return fault(-ENOMEM);
        strcpy(place->key, key);
        place->row = sum->n_rows;
        HASH_ADD_STR(sum->index, key, place);
        *rowp = &sum->rows[sum->n_rows++];
        **rowp = (struct usage_row){.uid = by_user ? line->uid : 0};
        strcpy((*rowp)->vm, by_vm ? line->vm : "");
        strcpy((*rowp)->slice, by_slice ? line->slice : "");
        return 0;
}

static void add(uint64_t *sump, uint64_t value) {
        if (__builtin_add_overflow(*sump, value, sump))
                *sump = UINT64_MAX;
}

/* The part of it that lies within the window, of which there are @part usec. */
static struct usage_line cut(const struct usage_line *line, uint64_t part) {
        struct usage_line piece = *line;
        uint64_t *const amounts[] = {
                &piece.claimed_cpu_usec, &piece.claimed_memory_mib_ms, &piece.cpu_usec,
                &piece.read_bytes,       &piece.write_bytes,           &piece.download_bytes,
                &piece.upload_bytes,
        };

        if (part == line->held_usec)
                return piece;
        for (size_t i = 0; i < ARRAY_SIZE(amounts); i++)
                *amounts[i] = (uint64_t)((unsigned __int128)*amounts[i] * part / line->held_usec);
        piece.held_usec = part;
        return piece;
}

static void add_to(struct usage_row *row, const struct usage_line *piece, bool whole) {
        row->vms++;
        row->running += piece->running;
        row->in_part += !whole;
        row->least_cpu += (piece->least & USAGE_LEAST_CPU) != 0;
        row->least_disk += (piece->least & USAGE_LEAST_DISK) != 0;
        row->least_network += (piece->least & USAGE_LEAST_NETWORK) != 0;
        add(&row->held_usec, piece->held_usec);
        add(&row->claimed_cpu_usec, piece->claimed_cpu_usec);
        add(&row->claimed_memory_mib_ms, piece->claimed_memory_mib_ms);
        add(&row->cpu_usec, piece->cpu_usec);
        add(&row->read_bytes, piece->read_bytes);
        add(&row->write_bytes, piece->write_bytes);
        add(&row->download_bytes, piece->download_bytes);
        add(&row->upload_bytes, piece->upload_bytes);
        row->memory_peak_bytes = max_u64(row->memory_peak_bytes, piece->memory_peak_bytes);
}

int usage_sum_add(struct usage_sum *sum, const struct usage_line *line) {
        /* Whole microseconds: ends of windows that meet are then cut alike. */
        uint64_t end = line->end_ns / 1000, start = end - min_u64(end, line->held_usec);
        uint64_t since = sum->since_ns / 1000, until = sum->until_ns / 1000;
        uint64_t from = max_u64(start, since), to = min_u64(end, until);
        struct usage_line piece;
        struct usage_row *row;
        int r;

        if (!sum->everybody && line->uid != sum->uid)
                return 0;
        r = note_id(sum, line->id);
        if (r)
                return r < 0 ? r : 0;
        /* One that took no time is where it ended. */
        if (start == end ? end < since || end >= until : from >= to)
                return 0;
        piece = cut(line, to > from ? to - from : 0);
        r = get_row(sum, line, &row);
        if (r < 0)
                return r;
        add_to(row, &piece, piece.held_usec == line->held_usec);
        add_to(&sum->total, &piece, piece.held_usec == line->held_usec);
        if (sum->first_ns == 0 || from * 1000 < sum->first_ns)
                sum->first_ns = from * 1000;
        return 0;
}

int usage_sum_add_text(struct usage_sum *sum, const char *text, size_t length) {
        struct usage_line line;

        if (usage_line_parse(&line, text, length))
                return usage_sum_add(sum, &line);
        sum->bad_lines++;
        return 0;
}
