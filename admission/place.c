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

/* What balances the tree: the finalizer of splitmix64, which is one to one. */
static uint64_t weight(const struct spot *spot) {
        uint64_t z = spot->number + UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        return z ^ (z >> 31);
}

static bool is_before(const struct spot *a, const struct spot *b) {
        return a->key != b->key ? a->key < b->key : a->number < b->number;
}

/* Corrects what a node knows of its subtree. */
static void pull(struct spot *spot) {
        const struct spot *left = spot->left, *right = spot->right;

        spot->most = spot->room;
        for (unsigned i = 0; left && i < PLACE_AXES; i++)
                spot->most.amount[i] = max_u64(spot->most.amount[i], left->most.amount[i]);
        for (unsigned i = 0; right && i < PLACE_AXES; i++)
                spot->most.amount[i] = max_u64(spot->most.amount[i], right->most.amount[i]);
}

/* All of @left are before all of @right. */
static struct spot *merge(struct spot *left, struct spot *right) {
        if (!left || !right)
                return left ?: right;
        if (weight(left) > weight(right)) {
                left->right = merge(left->right, right);
                pull(left);
                return left;
        }
        right->left = merge(left, right->left);
        pull(right);
        return right;
}

/* Those before @spot, and the others. */
static void split(struct spot *root, const struct spot *spot, struct spot **leftp,
                  struct spot **rightp) {
        if (!root) {
                *leftp = *rightp = NULL;
        } else if (is_before(root, spot)) {
                split(root->right, spot, &root->right, rightp);
                pull(root);
                *leftp = root;
        } else {
                split(root->left, spot, leftp, &root->left);
                pull(root);
                *rightp = root;
        }
}

static struct spot *insert(struct spot *root, struct spot *spot) {
        if (!root || weight(spot) > weight(root)) {
                split(root, spot, &spot->left, &spot->right);
                root = spot;
        } else if (is_before(spot, root)) {
                root->left = insert(root->left, spot);
        } else {
                root->right = insert(root->right, spot);
        }
        pull(root);
        return root;
}

static struct spot *without(struct spot *root, struct spot *spot) {
        assert(root);
        if (root == spot)
                return merge(spot->left, spot->right);
        if (is_before(spot, root))
                root->left = without(root->left, spot);
        else
                root->right = without(root->right, spot);
        pull(root);
        return root;
}

/* The room of @spot has changed, and nothing else. */
static void refresh(struct spot *root, struct spot *spot) {
        assert(root);
        if (root != spot)
                refresh(is_before(spot, root) ? root->left : root->right, spot);
        pull(root);
}

void placement_remove(struct placement *placement, struct spot *spot) {
        if (!spot->placed)
                return;
        placement->root = without(placement->root, spot);
        spot->placed = false;
}

void placement_put(struct placement *placement, struct spot *spot, uint64_t key,
                   const struct room *room) {
        if (spot->placed && spot->key == key) {
                if (memcmp(&spot->room, room, sizeof(*room)) == 0)
                        return;
                spot->room = *room;
                refresh(placement->root, spot);
                return;
        }
        placement_remove(placement, spot);
        spot->key = key;
        spot->room = *room;
        spot->left = spot->right = NULL;
        spot->placed = true;
        placement->root = insert(placement->root, spot);
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

static struct spot *find(struct spot *root, struct search *search) {
        struct spot *found;

        if (!root || search->tries == 0 || !covers(&root->most, &search->need))
                return NULL;
        found = find(root->left, search);
        if (found)
                return found;
        if (search->tries > 0 && covers(&root->room, &search->need)) {
                if (!search->fits || search->fits(root, search->userdata))
                        return root;
                search->tries--;
        }
        return find(root->right, search);
}

struct spot *placement_find(const struct placement *placement, const struct demand *demand,
                            bool (*fits)(const struct spot *spot, const void *userdata),
                            const void *userdata) {
        struct search search = {.fits = fits, .userdata = userdata, .tries = PLACE_TRIES};

        for (unsigned i = 0; i < _RESOURCE_N; i++)
                search.need.amount[i] = demand->amount[i];
        search.need.amount[AXIS_VMS] = 1;
        return find(placement->root, &search);
}
