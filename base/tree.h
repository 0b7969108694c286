/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BASE_TREE_H
#define PROVIUM_BASE_TREE_H

/*
 * An ordered set, embedded in what it orders: a weight-balanced tree, in which every node knows how
 * many are below it. So finding, putting in, taking out, the next one, and the place of one in the
 * order cost O(log n) in the worst case, and nothing is allocated. Whoever wants a sum or a least
 * value over parts of the set keeps it in the objects and says how it is made (update).
 *
 * Balance after Adams, with the parameters (3, 2) that Hirai and Yamamoto proved right ("Balancing
 * weight-balanced trees", 2011): of two siblings none weighs more than three times the other.
 */

#include <base/macro.h>

struct tree_node {
        struct tree_node *left, *right;
        uint64_t key, order; /* by key, then by order; the pair is unique; fixed while inside */
        /* Nodes in this part, itself included, and of those on the left: so the way down to a node
         * is all that has to be in memory to keep the balance, and no sibling. */
        uint32_t n, n_left;
};

/* Derives what an object keeps about its part of the set from itself and from node->left and
 * node->right (each may be NULL), which are right already. */
typedef void (*tree_update)(struct tree_node *node);

static inline uint64_t tree_n(const struct tree_node *root) {
        return root ? root->n : 0;
}

static inline bool tree_before(const struct tree_node *a, const struct tree_node *b) {
        return a->key != b->key ? a->key < b->key : a->order < b->order;
}

/* Puts @node, whose key and order are set, into the set of *@rootp (NULL: empty), which has less
 * than 2^32 - 1. @update may be NULL, and is the same for all calls on a set. */
void tree_insert(struct tree_node **rootp, struct tree_node *node, tree_update update);

/* Takes @node out. Asserts that it is inside. */
void tree_remove(struct tree_node **rootp, struct tree_node *node, tree_update update);

/* What an object keeps changed in itself: derives anew what depends on it. */
void tree_refresh(struct tree_node *root, const struct tree_node *node, tree_update update);

/* The first; the last before @node, the first after it (which need not be inside). NULL if there is
 * none. */
struct tree_node *tree_first(struct tree_node *root);
struct tree_node *tree_previous(struct tree_node *root, const struct tree_node *node);
struct tree_node *tree_next(struct tree_node *root, const struct tree_node *node);

/*
 * The same as tree_previous() of @node, for who is about to put it, and @other, into two sets: the
 * ways to both are gone side by side, so that one does not wait for the memory of the other, and
 * are in a cache then.
 */
struct tree_node *tree_previous_of_two(struct tree_node *root, const struct tree_node *node,
                                       const struct tree_node *other_root,
                                       const struct tree_node *other);

/* How many stand before @node, which need not be inside. */
uint64_t tree_rank(const struct tree_node *root, const struct tree_node *node);

#endif
