/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <admission/place.h>

#define AXIS_VMS _RESOURCE_N
#define WHOLE (UINT64_C(1) << 32) /* a share of all */

static const char *const policy_names[_PLACE_POLICY_N] = {
        [PLACE_FIRST_FIT] = "first-fit",
        [PLACE_BEST_FIT] = "best-fit",
        [PLACE_SPREAD] = "spread",
};

const char *place_policy_name(enum place_policy policy) {
        assert(policy < _PLACE_POLICY_N);
        return policy_names[policy];
}

void place_room(const struct ledger *ledger, bool open, struct room *room) {
        *room = (struct room){};
        if (!open)
                return;
        for (unsigned i = 0; i < _RESOURCE_N; i++)
                room->amount[i] =
                        ledger->enforced[i] ? ledger_host_available(ledger, i) : LEDGER_NO_LIMIT;
        if (ledger->vms < ledger->vms_max)
                room->amount[AXIS_VMS] = ledger->vms_max - ledger->vms;
}

/* The smallest share that is free of any resource there is. */
static uint64_t share_left(const struct ledger *ledger) {
        uint64_t least = WHOLE;

        for (unsigned i = 0; i < _RESOURCE_N; i++) {
                unsigned __int128 left;

                if (!ledger->enforced[i] || ledger->effective.amount[i] == 0)
                        continue;
                left = (unsigned __int128)ledger_host_available(ledger, i) * WHOLE;
                least = min_u64(least, (uint64_t)(left / ledger->effective.amount[i]));
        }
        return least;
}

uint64_t place_key(const struct ledger *ledger, enum place_policy policy) {
        switch (policy) {
        case PLACE_FIRST_FIT:
        case _PLACE_POLICY_N:
                break;
        case PLACE_BEST_FIT:
                return share_left(ledger);
        case PLACE_SPREAD:
                return WHOLE - share_left(ledger);
        }
        return 0;
}

static struct spot *spot_of(const struct tree_node *node) {
        return node ? container_of(node, struct spot, node) : NULL;
}

static void raise(struct room *most, const struct spot *part) {
        for (unsigned i = 0; part && i < PLACE_AXES; i++)
                most->amount[i] = max_u64(most->amount[i], part->most.amount[i]);
}

/* What a spot knows of its part of the set. */
static void update(struct tree_node *node) {
        struct spot *spot = spot_of(node);

        spot->most = spot->room;
        raise(&spot->most, spot_of(node->left));
        raise(&spot->most, spot_of(node->right));
}

void placement_remove(struct placement *placement, struct spot *spot) {
        if (!spot->placed)
                return;
        tree_remove(&placement->hosts, &spot->node, update);
        spot->placed = false;
}

void placement_put(struct placement *placement, struct spot *spot, uint64_t key,
                   const struct room *room) {
        if (spot->placed && spot->node.key == key) {
                if (memcmp(&spot->room, room, sizeof(*room)) == 0)
                        return;
                spot->room = *room;
                tree_refresh(placement->hosts, &spot->node, update);
                return;
        }
        placement_remove(placement, spot);
        spot->room = *room;
        spot->node.key = key;
        spot->node.order = spot->number;
        spot->placed = true;
        tree_insert(&placement->hosts, &spot->node, update);
}

struct search {
        struct room need;
        bool (*fits)(const struct spot *spot, const void *userdata);
        const void *userdata;
        unsigned tries;
};

static bool covers(const struct room *room, const struct room *need) {
        for (unsigned i = 0; i < PLACE_AXES; i++)
                if (room->amount[i] < need->amount[i])
                        return false;
        return true;
}

static struct spot *find(const struct tree_node *node, struct search *search) {
        struct spot *root = spot_of(node), *found;

        if (!root || search->tries == 0 || !covers(&root->most, &search->need))
                return NULL;
        found = find(node->left, search);
        if (found)
                return found;
        if (search->tries > 0 && covers(&root->room, &search->need)) {
                if (!search->fits || search->fits(root, search->userdata))
                        return root;
                search->tries--;
        }
        return find(node->right, search);
}

struct spot *placement_find(const struct placement *placement, const struct demand *demand,
                            bool (*fits)(const struct spot *spot, const void *userdata),
                            const void *userdata) {
        struct search search = {.fits = fits, .userdata = userdata, .tries = PLACE_TRIES};

        for (unsigned i = 0; i < _RESOURCE_N; i++)
                search.need.amount[i] = demand->amount[i];
        search.need.amount[AXIS_VMS] = 1;
        return find(placement->hosts, &search);
}
