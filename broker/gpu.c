/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <base/text.h>
#include <base/why.h>
#include <broker/gpu.h>
#include <broker/gpu_tag.h>
#include <broker/gpu_work.h>

#define LEFTOVER "" /* the lease whose slots are being swept */

/* Beside found->slots[i]. */
struct holding {
        bool taken;
        bool working;
        bool gone; /* from sysfs: nobody's next */
        char lease[GPU_WORD_SIZE];
        char detail[GPU_TEXT_SIZE]; /* why it could not be given back; "" */
        /* Why the last who was to have it did not get it, whoever has it now; "". */
        char refused[GPU_TEXT_SIZE];
};

struct gpus {
        char sys_dir[256];
        struct gpu_options options;
        char type[GPU_WORD_SIZE], devices[GPU_TEXT_SIZE], dev_dir[64];
        struct gpu_tag tag;
        struct gpu_found *found;
        struct holding *holdings; /* of as many slots */
        size_t n_works;
        bool stale; /* to be looked at anew when the work is done */
};

/* ---- what there is ---- */

static bool is_ours(const struct gpus *gpus, const struct gpu_slot *slot) {
        return slot->kind == GPU_MDEV && gpu_tag_is_of(&gpus->tag, slot->name);
}

static bool has(const struct gpus *gpus, size_t i, const char *lease) {
        return gpus->holdings[i].taken && strcmp(gpus->holdings[i].lease, lease) == 0;
}

/* The slot of @found that is @slot still: by name, or for an mdev that sysfs does not have (yet)
 * one that is still to be made of the same. @found->n_slots: none. */
static size_t find_again(const struct gpu_found *found, const struct holding *holdings,
                         const struct gpu_slot *slot) {
        size_t i;

        for (i = 0; i < found->n_slots; i++)
                if (strcmp(found->slots[i].name, slot->name) == 0)
                        return i;
        for (i = 0; slot->kind == GPU_MDEV && i < found->n_slots; i++)
                if (found->slots[i].name[0] == '\0' && !holdings[i].taken &&
                    strcmp(found->slots[i].parent, slot->parent) == 0)
                        break;
        return slot->kind == GPU_MDEV ? i : found->n_slots;
}

/* A place for what is leased and cannot be found: a new one, or at the bound one that is free. */
static size_t add_gone(struct gpu_found *found, const struct holding *holdings) {
        size_t i = found->n_slots;

        if (gpu_found_add_slot(found) || !found->cut)
                return i;
        while (i > 0 && holdings[i - 1].taken)
                i--;
        assert(i > 0);
        return i - 1;
}

static void keep_refusal(const struct gpus *gpus, size_t i, const struct gpu_found *found,
                         struct holding *holdings) {
        const char *name = gpus->found->slots[i].name;

        for (size_t at = 0; name[0] && at < found->n_slots; at++)
                if (strcmp(found->slots[at].name, name) == 0)
                        strcpy(holdings[at].refused, gpus->holdings[i].refused);
}

/* Takes what is leased over into @found. */
static int keep_holdings(struct gpus *gpus, struct gpu_found *found, struct holding *holdings) {
        for (size_t i = 0; gpus->found && i < gpus->found->n_slots; i++) {
                const struct gpu_slot *slot = &gpus->found->slots[i];
                size_t at;
                bool gone;

                if (!gpus->holdings[i].taken) {
                        keep_refusal(gpus, i, found, holdings);
                        continue;
                }
                at = find_again(found, holdings, slot);
                gone = at == found->n_slots;
                if (gone)
                        at = add_gone(found, holdings);
                if (at == found->n_slots)
                        return fault(-ENOMEM);
                if (gone || strcmp(found->slots[at].name, slot->name) != 0)
                        found->slots[at] = *slot;
                found->slots[at].lent = slot->lent;
                holdings[at] = gpus->holdings[i];
                holdings[at].gone = gone;
        }
        return 0;
}

static int look(struct gpus *gpus) {
        _cleanup_(gpu_found_freep) struct gpu_found *found = NULL;
        _cleanup_(freep) struct holding *holdings = NULL;
        int r;

        r = gpu_find(&found, gpus->sys_dir, &gpus->options);
        if (r < 0)
                return r;
        /* Room for those that are leased and not to be found any more. */
        holdings = calloc(GPU_SLOTS_MAX, sizeof(*holdings));
        if (!holdings)
                return fault(-ENOMEM);
        r = keep_holdings(gpus, found, holdings);
        if (r < 0)
                return r;
        gpu_found_free(gpus->found);
        free(gpus->holdings);
        gpus->found = take(found);
        gpus->holdings = take(holdings);
        return 0;
}

void gpus_configure(struct gpus *gpus, const struct gpu_options *options) {
        gpus->options = *options;
        snprintf(gpus->type, sizeof(gpus->type), "%s", options->type ?: "");
        snprintf(gpus->devices, sizeof(gpus->devices), "%s", options->devices ?: "");
        snprintf(gpus->dev_dir, sizeof(gpus->dev_dir), "%s", options->dev_dir ?: "");
        gpus->options.type = gpus->type[0] ? gpus->type : NULL;
        gpus->options.devices = gpus->devices;
        gpus->options.dev_dir = gpus->dev_dir;
}

int gpus_new(struct gpus **gpusp, const char *sys_dir, const char *owner,
             const struct gpu_options *options) {
        struct gpus *gpus = calloc(1, sizeof(*gpus));
        int r;

        if (!gpus)
                return fault(-ENOMEM);
        snprintf(gpus->sys_dir, sizeof(gpus->sys_dir), "%s", sys_dir);
        gpus_configure(gpus, options);
        gpu_tag_init(&gpus->tag, owner);
        r = look(gpus);
        if (r < 0) {
                gpus_free(gpus);
                return r;
        }
        *gpusp = gpus;
        return 0;
}

struct gpus *gpus_free(struct gpus *gpus) {
        if (!gpus)
                return NULL;
        gpu_found_free(gpus->found);
        free(gpus->holdings);
        free(gpus);
        return NULL;
}

int gpus_refresh(struct gpus *gpus) {
        gpus->stale = gpus->n_works > 0;
        return gpus->stale ? 0 : look(gpus);
}

size_t gpus_total(const struct gpus *gpus) {
        size_t n = 0;

        for (size_t i = 0; i < gpus->found->n_slots; i++)
                n += gpus->holdings[i].taken || !gpus->holdings[i].gone;
        return n;
}

size_t gpus_used(const struct gpus *gpus) {
        size_t n = 0;

        for (size_t i = 0; i < gpus->found->n_slots; i++)
                n += gpus->holdings[i].taken;
        return n;
}

size_t gpus_capacity(const struct gpus *gpus) {
        size_t n = gpus_total(gpus);

        for (size_t i = 0; i < gpus->found->n_slots; i++)
                n -= has(gpus, i, LEFTOVER);
        return n;
}

const struct gpu_found *gpus_found(const struct gpus *gpus) {
        return gpus->found;
}

bool gpus_slot_used(const struct gpus *gpus, size_t i) {
        return gpus->holdings[i].taken;
}

const char *gpus_slot_detail(const struct gpus *gpus, size_t i) {
        return gpus->holdings[i].detail;
}

const char *gpus_slot_refused(const struct gpus *gpus, size_t i) {
        return gpus->holdings[i].refused;
}

const char *gpus_summary(const struct gpus *gpus, char *buffer, size_t size) {
        return gpu_find_summary(gpus->found, buffer, size);
}

/* ---- leases ---- */

static void hold(struct gpus *gpus, size_t i, const char *lease) {
        assert(strlen(lease) < sizeof(gpus->holdings[i].lease));
        gpus->holdings[i].taken = true;
        strcpy(gpus->holdings[i].lease, lease);
}

/* Of a mediated device that is ours nothing is left but the room for another. */
static void let_go(struct gpus *gpus, size_t i) {
        struct gpu_slot *slot = &gpus->found->slots[i];

        if (is_ours(gpus, slot)) {
                slot->name[0] = '\0';
                slot->group = -1;
                slot->dev = 0;
        }
        slot->lent = false;
        gpus->holdings[i].taken = false;
        gpus->holdings[i].lease[0] = gpus->holdings[i].detail[0] = '\0';
}

/* Of those that the last lease got, or of the others; how many more are wanted. */
static size_t take_some(struct gpus *gpus, const char *lease, size_t n, bool refused) {
        for (size_t i = 0; n > 0 && i < gpus->found->n_slots; i++) {
                struct gpu_slot *slot = &gpus->found->slots[i];

                if (gpus->holdings[i].taken || gpus->holdings[i].gone ||
                    (gpus->holdings[i].refused[0] != '\0') != refused)
                        continue;
                hold(gpus, i, lease);
                for (size_t j = 0; j < slot->n_functions; j++)
                        slot->lent |= slot->functions[j].bind;
                /* Its name is recorded before it is made. */
                if (slot->name[0] == '\0')
                        gpu_tag_make_uuid(&gpus->tag, slot->name);
                n--;
        }
        return n;
}

int gpu_take(struct gpus *gpus, const char *lease, size_t n, struct why *why) {
        size_t n_free = gpus_total(gpus) - gpus_used(gpus);

        assert(lease[0]);
        if (n > n_free)
                return why_set(why, GPU_E_FULL, "%zu GPU slots are wanted, %zu of %zu are free", n,
                               n_free, gpus_total(gpus));
        n = take_some(gpus, lease, n, false);
        n = take_some(gpus, lease, n, true);
        assert(n == 0);
        return 0;
}

int gpu_claim(struct gpus *gpus, const char *lease, const char *name, bool lent, struct why *why) {
        char safe[80];

        for (size_t i = 0; name[0] && i < gpus->found->n_slots; i++) {
                if (strcmp(gpus->found->slots[i].name, name) != 0 ||
                    (gpus->holdings[i].gone && !gpus->holdings[i].taken))
                        continue;
                if (gpus->holdings[i].taken)
                        return has(gpus, i, lease)
                                       ? 0
                                       : why_set(why, GPU_E_TAKEN, "GPU %s is of lease %s", name,
                                                 gpus->holdings[i].lease);
                hold(gpus, i, lease);
                gpus->found->slots[i].lent = lent;
                return 0;
        }
        return why_set(why, GPU_E_ABSENT, "there is no GPU '%s'",
                       text_escape(name, safe, sizeof(safe)));
}

const struct gpu_slot *gpu_next(const struct gpus *gpus, const char *lease,
                                const struct gpu_slot *after) {
        for (size_t i = after ? (size_t)(after - gpus->found->slots) + 1 : 0;
             i < gpus->found->n_slots; i++)
                if (has(gpus, i, lease))
                        return &gpus->found->slots[i];
        return NULL;
}

void gpu_drop(struct gpus *gpus, const char *lease) {
        for (size_t i = 0; i < gpus->found->n_slots; i++) {
                if (!has(gpus, i, lease))
                        continue;
                assert(!gpus->holdings[i].working);
                let_go(gpus, i);
        }
}

/* ---- work ---- */

static int make_work(struct gpus *gpus, const char *lease, enum gpu_task task,
                     struct gpu_work **workp) {
        struct gpu_work *work;
        size_t n = 0;

        *workp = NULL;
        for (size_t i = 0; i < gpus->found->n_slots; i++)
                n += has(gpus, i, lease);
        if (n == 0)
                return 0;
        work = calloc(1, sizeof(*work) + n * sizeof(*work->parts));
        if (!work)
                return fault(-ENOMEM);
        work->task = task;
        strcpy(work->lease, lease);
        strcpy(work->sys_dir, gpus->sys_dir);
        strcpy(work->dev_dir, gpus->dev_dir);
        work->give_back = gpus->options.give_back;
        for (size_t i = 0; i < gpus->found->n_slots; i++) {
                struct gpu_part *part = &work->parts[work->n];

                if (!has(gpus, i, lease))
                        continue;
                assert(!gpus->holdings[i].working);
                gpus->holdings[i].working = true;
                part->slot = gpus->found->slots[i];
                part->made = is_ours(gpus, &part->slot);
                work->n++;
        }
        gpus->n_works++;
        *workp = work;
        return 0;
}

int gpu_prepare(struct gpus *gpus, const char *lease, struct gpu_work **workp) {
        return make_work(gpus, lease, GPU_PREPARE, workp);
}

int gpu_release(struct gpus *gpus, const char *lease, struct gpu_work **workp) {
        return make_work(gpus, lease, GPU_RELEASE, workp);
}

int gpu_sweep(struct gpus *gpus, struct gpu_work **workp) {
        for (size_t i = 0; i < gpus->found->n_slots; i++)
                if (!gpus->holdings[i].taken && is_ours(gpus, &gpus->found->slots[i]))
                        hold(gpus, i, LEFTOVER);
        return make_work(gpus, LEFTOVER, GPU_RELEASE, workp);
}

/* A preparation ends at its first refusal: what comes behind it was not tried. */
static void part_done(struct gpus *gpus, const struct gpu_work *work, const struct gpu_part *part,
                      bool was_tried) {
        for (size_t i = 0; i < gpus->found->n_slots; i++) {
                struct holding *holding = &gpus->holdings[i];

                if (!has(gpus, i, work->lease) ||
                    strcmp(gpus->found->slots[i].name, part->slot.name) != 0)
                        continue;
                holding->working = false;
                if (work->task == GPU_RELEASE)
                        strcpy(holding->detail, part->detail);
                else if (was_tried)
                        strcpy(holding->refused, part->detail);
                gpus->found->slots[i] = part->slot;
                if (work->task == GPU_RELEASE && part->detail[0] == '\0')
                        let_go(gpus, i);
                return;
        }
}

int gpu_done(struct gpus *gpus, struct gpu_work *work, struct why *why) {
        bool changed = strcmp(work->lease, LEFTOVER) == 0;
        int answer = 0;

        assert(gpus->n_works > 0);
        gpus->n_works--;
        for (size_t i = 0; i < work->n; i++) {
                part_done(gpus, work, &work->parts[i], !answer);
                changed |= work->task == GPU_RELEASE && work->parts[i].slot.lent;
                if (answer || work->parts[i].detail[0] == '\0')
                        continue;
                answer = why_set(why, GPU_E_HOST, "%s", work->parts[i].detail);
                if (why)
                        why->errnum = work->parts[i].errnum;
        }
        free(work);
        /* What a former broker made may be of a type that is not the chosen one today, and whether
         * another lease may take what has gone back to its driver is not what it was. */
        gpus->stale |= changed;
        if (gpus->n_works == 0 && gpus->stale) {
                int r = gpus_refresh(gpus);

                if (r < 0)
                        return r;
        }
        return answer;
}
