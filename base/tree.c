/* SPDX-License-Identifier: MIT */
#include <base/tree.h>

static uint64_t weight(const struct tree_node *node) {
        return tree_n(node) + 1;
}

static void renew(struct tree_node *node, tree_update update) {
        node->n = tree_n(node->left) + tree_n(node->right) + 1;
        if (update)
                update(node);
}

static struct tree_node *lift_right(struct tree_node *node, tree_update update) {
        struct tree_node *right = node->right;

        node->right = right->left;
        renew(node, update);
        right->left = node;
        return right;
}

static struct tree_node *lift_left(struct tree_node *node, tree_update update) {
        struct tree_node *left = node->left;

        node->left = left->right;
        renew(node, update);
        left->right = node;
        return left;
}

/* The top of a part one of whose sides has become heavier or lighter by one. */
static struct tree_node *balance(struct tree_node *node, tree_update update) {
        if (3 * weight(node->left) < weight(node->right)) {
                const struct tree_node *heavy = node->right;

                if (weight(heavy->left) >= 2 * weight(heavy->right))
                        node->right = lift_left(node->right, update);
                if (heavy != node->right)
                        renew(node->right, update);
                node = lift_right(node, update);
        } else if (3 * weight(node->right) < weight(node->left)) {
                const struct tree_node *heavy = node->left;

                if (weight(heavy->right) >= 2 * weight(heavy->left))
                        node->left = lift_right(node->left, update);
                if (heavy != node->left)
                        renew(node->left, update);
                node = lift_left(node, update);
        }
        renew(node, update);
        return node;
}

static struct tree_node *insert(struct tree_node *at, struct tree_node *node, tree_update update) {
        if (!at) {
                node->left = node->right = NULL;
                renew(node, update);
                return node;
        }
        if (tree_before(node, at))
                at->left = insert(at->left, node, update);
        else
                at->right = insert(at->right, node, update);
        return balance(at, update);
}

/* Takes out the first of a part. */
static struct tree_node *remove_first(struct tree_node *at, struct tree_node **firstp,
                                      tree_update update) {
        if (!at->left) {
                *firstp = at;
                return at->right;
        }
        at->left = remove_first(at->left, firstp, update);
        return balance(at, update);
}

static struct tree_node *remove_node(struct tree_node *at, const struct tree_node *node,
                                     tree_update update) {
        struct tree_node *first;

        assert(at);
        if (at != node) {
                if (tree_before(node, at))
                        at->left = remove_node(at->left, node, update);
                else
                        at->right = remove_node(at->right, node, update);
                return balance(at, update);
        }
        if (!at->left || !at->right)
                return at->left ?: at->right;
        at->right = remove_first(at->right, &first, update);
        first->left = at->left;
        first->right = at->right;
        return balance(first, update);
}

void tree_insert(struct tree_node **rootp, struct tree_node *node, tree_update update) {
        *rootp = insert(*rootp, node, update);
}

void tree_remove(struct tree_node **rootp, struct tree_node *node, tree_update update) {
        *rootp = remove_node(*rootp, node, update);
        node->left = node->right = NULL;
}

void tree_refresh(struct tree_node *root, const struct tree_node *node, tree_update update) {
        assert(root);
        if (root != node)
                tree_refresh(tree_before(node, root) ? root->left : root->right, node, update);
        renew(root, update);
}

struct tree_node *tree_first(struct tree_node *root) {
        while (root && root->left)
                root = root->left;
        return root;
}

struct tree_node *tree_previous(struct tree_node *root, const struct tree_node *node) {
        struct tree_node *last = NULL;

        while (root) {
                if (tree_before(root, node)) {
                        last = root;
                        root = root->right;
                } else {
                        root = root->left;
                }
        }
        return last;
}

struct tree_node *tree_next(struct tree_node *root, const struct tree_node *node) {
        struct tree_node *first = NULL;

        while (root) {
                if (tree_before(node, root)) {
                        first = root;
                        root = root->left;
                } else {
                        root = root->right;
                }
        }
        return first;
}

uint64_t tree_rank(const struct tree_node *root, const struct tree_node *node) {
        uint64_t before = 0;

        while (root) {
                if (tree_before(root, node)) {
                        before += tree_n(root->left) + 1;
                        root = root->right;
                } else {
                        root = root->left;
                }
        }
        return before;
}
