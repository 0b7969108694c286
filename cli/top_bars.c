/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <base/units.h>
#include <cli/top_view.h>

#define NAME_WIDTH 9
#define AMOUNT_WIDTH 8
#define WIDE 120 /* columns from which on there is room for what the limit is made of */

/* How many of @inner places an amount fills: at least one if it is not 0. */
static int places(uint64_t amount, uint64_t scale, int inner) {
        double share;

        if (amount == TOP_UNKNOWN || amount == 0 || scale == 0 || scale == TOP_UNKNOWN)
                return 0;
        share = (double)amount / (double)scale * inner;
        if (share >= inner)
                return inner;
        return share < 1 ? 1 : (int)(share + 0.5);
}

static void put_run(struct grid *grid, int row, int column, int n, enum grid_style style,
                    char character) {
        const char text[] = {character, '\0'};

        for (int i = 0; i < n; i++)
                grid_put(grid, row, column + i, style, text);
}

void top_draw_bar(struct grid *grid, int row, int column, int width, uint64_t scale, uint64_t used,
                  uint64_t guaranteed, uint64_t sold, uint64_t limit) {
        int inner = width - 2, a = places(used, scale, inner), b = places(guaranteed, scale, inner),
            c = places(sold, scale, inner), end = places(limit, scale, inner);

        if (inner < 1)
                return;
        grid_put(grid, row, column, GRID_PLAIN, "[");
        grid_put(grid, row, column + 1 + inner, GRID_PLAIN, "]");
        column++;
        put_run(grid, row, column, c, GRID_SOLD, '-');
        put_run(grid, row, column, b, GRID_GUARANTEED, '=');
        put_run(grid, row, column, a, GRID_USED, '#');
        if (c > 0 && c < a)
                put_run(grid, row, column + c - 1, 1, GRID_SOLD, '-');
        if (b > 0 && b < a)
                put_run(grid, row, column + b - 1, 1, GRID_GUARANTEED, '=');
        if (limit != TOP_UNKNOWN)
                put_run(grid, row, column + end, 1, GRID_BOLD, '|');
}

static void put_amount(struct grid *grid, int row, int column, enum resource resource,
                       uint64_t amount) {
        char text[UNITS_TEXT_MAX];

        if (amount == TOP_UNKNOWN)
                snprintf(text, sizeof(text), "-");
        else if (resource == RESOURCE_CPU)
                top_format_cpu(amount, text, sizeof(text));
        else
                resource_format(resource, amount, text, sizeof(text));
        grid_put_right(grid, row, column, AMOUNT_WIDTH, GRID_PLAIN, text);
}

static uint64_t known(uint64_t amount) {
        return amount == TOP_UNKNOWN ? 0 : amount;
}

static void draw_resource(struct grid *grid, int row, enum resource resource,
                          const struct top_resource *values) {
        uint64_t scale = max_u64(max_u64(known(values->limit), known(values->capacity)),
                                 max_u64(known(values->sold), known(values->used)));
        int column = NAME_WIDTH;
        /* What is not enforced has no end. */
        uint64_t limit = values->enforced ? values->limit : TOP_UNKNOWN;

        grid_put_cut(grid, row, 0, NAME_WIDTH - 1, GRID_BOLD,
                     resource == RESOURCE_NETWORK_UPLOAD ? "net up" : resource_name(resource));
        put_amount(grid, row, column, resource, values->used);
        put_amount(grid, row, column += AMOUNT_WIDTH + 1, resource, values->guaranteed);
        put_amount(grid, row, column += AMOUNT_WIDTH + 1, resource, values->sold);
        put_amount(grid, row, column += AMOUNT_WIDTH + 1, resource, limit);
        column += AMOUNT_WIDTH + 1;
        if (grid->columns >= WIDE) {
                char ratio[24] = "-";

                put_amount(grid, row, column, resource, values->capacity);
                if (values->ratio >= 0)
                        snprintf(ratio, sizeof(ratio), "%.4g", values->ratio);
                grid_put_right(grid, row, column + AMOUNT_WIDTH + 1, 5, GRID_PLAIN, ratio);
                column += AMOUNT_WIDTH + 1 + 6;
        }
        if (limit == TOP_UNKNOWN && known(values->capacity) == 0)
                grid_put(grid, row, column, GRID_PLAIN, "not limited");
        else
                top_draw_bar(grid, row, column, grid->columns - column, scale, values->used,
                             values->guaranteed, values->sold, limit);
}

static bool is_drawn(const struct top_model *model, size_t resource) {
        const struct top_resource *values = &model->resources[resource];

        if (!values->there)
                return false;
        return resource != RESOURCE_GPU || known(values->capacity) > 0 || known(values->sold) > 0;
}

int top_count_bars(const struct top_model *model) {
        int n = 0;

        for (size_t i = 0; i < _RESOURCE_N; i++)
                n += is_drawn(model, i);
        return n;
}

int top_draw_bars(struct grid *grid, int row, const struct top_model *model,
                  const struct top_frame *frame, bool few) {
        static const char *const heads[] = {"GUARANT.", "SOLD", "LIMIT"};
        int column = NAME_WIDTH;

        grid_put(grid, row, 0, GRID_BOLD, "RESOURCE");
        grid_put_right(grid, row, column, AMOUNT_WIDTH, GRID_BOLD,
                       frame->partial ? "YOURS" : "USED");
        for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
                grid_put_right(grid, row, column += AMOUNT_WIDTH + 1, AMOUNT_WIDTH, GRID_BOLD,
                               heads[i]);
        column += AMOUNT_WIDTH + 1;
        if (grid->columns >= WIDE) {
                grid_put_right(grid, row, column, AMOUNT_WIDTH, GRID_BOLD, "CAPACITY");
                grid_put_right(grid, row, column + AMOUNT_WIDTH + 1, 5, GRID_BOLD, "RATIO");
                column += AMOUNT_WIDTH + 1 + 6;
        }
        grid_put_cut(grid, row, column, grid->columns - column, GRID_PLAIN,
                     "#used =guaranteed -sold |limit");
        row++;
        for (size_t i = 0; i < _RESOURCE_N; i++)
                if (is_drawn(model, i) && (!few || i == RESOURCE_CPU || i == RESOURCE_MEMORY))
                        draw_resource(grid, row++, (enum resource)i, &model->resources[i]);
        return row;
}

int top_draw_pressure(struct grid *grid, int row, const struct top_model *model) {
        static const char *const names[] = {"cpu", "memory", "io"};
        int column = grid_put(grid, row, 0, GRID_BOLD, "pressure");

        column = grid_put(grid, row, column, GRID_PLAIN, " some/full");
        for (size_t i = 0; i < _TOP_PRESSURE_N; i++) {
                const struct top_psi *psi = &model->pressure[i];

                column = grid_format(grid, row, column, GRID_PLAIN, "  %s ", names[i]);
                if (psi->some < 0)
                        column = grid_put(grid, row, column, GRID_PLAIN, "unknown");
                else
                        column = grid_format(grid, row, column, GRID_PLAIN, "%.1f/%.1f%%",
                                             psi->some, psi->full);
        }
        return row + 1;
}

/* One line: what it is, used of claimed, and both as a bar. */
static int draw_use(struct grid *grid, int row, const char *name, enum resource resource,
                    uint64_t used, uint64_t claim) {
        bool claimed = known(claim) > 0 && claim < (uint64_t)INT64_MAX;

        grid_put(grid, row, 0, GRID_BOLD, name);
        put_amount(grid, row, NAME_WIDTH, resource, used);
        put_amount(grid, row, NAME_WIDTH + AMOUNT_WIDTH + 1, resource,
                   claimed ? claim : TOP_UNKNOWN);
        if (claimed)
                top_draw_bar(grid, row, NAME_WIDTH + 2 * AMOUNT_WIDTH + 3,
                             (int)min_u64((uint64_t)grid->columns, WIDE) - NAME_WIDTH -
                                     2 * AMOUNT_WIDTH - 3,
                             max_u64(claim, known(used)), used, TOP_UNKNOWN, TOP_UNKNOWN, claim);
        return row + 1;
}

int top_draw_vm_bars(struct grid *grid, int row, const struct top_vm *vm) {
        grid_put_right(grid, row, NAME_WIDTH, AMOUNT_WIDTH, GRID_BOLD, "USED");
        grid_put_right(grid, row, NAME_WIDTH + AMOUNT_WIDTH + 1, AMOUNT_WIDTH, GRID_BOLD, "CLAIM");
        row = draw_use(grid, row + 1, "cpu", RESOURCE_CPU, vm->cpu_milli, vm->claim.cpu_milli);
        row = draw_use(grid, row, "memory", RESOURCE_MEMORY, vm->memory_bytes,
                       vm->claim.memory_bytes);
        row = draw_use(grid, row, "read", RESOURCE_DISK_IO, vm->read_bytes_per_s,
                       vm->claim.disk_io);
        row = draw_use(grid, row, "write", RESOURCE_DISK_IO, vm->write_bytes_per_s,
                       vm->claim.disk_io);
        row = draw_use(grid, row, "download", RESOURCE_NETWORK, vm->down_bytes_per_s,
                       vm->claim.network);
        return draw_use(grid, row, "upload", RESOURCE_NETWORK, vm->up_bytes_per_s,
                        vm->claim.network);
}
