/* SPDX-License-Identifier: MIT */
#include <base/tree.h>

/* A part weighs one more than it has nodes. */
static uint64_t weigh_left(const struct tree_node *node) {
        return (uint64_t)node->n_left + 1;
}

static uint64_t weigh_right(const struct tree_node *node) {
        return node->n - node->n_left;
}

static void renew(struct tree_node *node, tree_update update) {
        if (update)
                update(node);
}

/* The right one takes the place of @node, which comes below it. The caller renews it. */
static struct tree_node *lift_right(struct tree_node *node, tree_update update) {
        struct tree_node *right = node->right;
        uint32_t n = node->n;

        node->right = right->left;
        node->n = node->n_left + 1 + right->n_left;
        renew(node, update);
        right->left = node;
        right->n_left = node->n;
        right->n = n;
        return right;
}

static struct tree_node *lift_left(struct tree_node *node, tree_update update) {
        struct tree_node *left = node->left;
        uint32_t n = node->n;

        node->left = left->right;
        node->n_left = left->n - left->n_left - 1;
        node->n = n - left->n_left - 1;
        renew(node, update);
        left->right = node;
        left->n = n;
        return left;
}

/* The top of a part one of whose sides has become heavier or lighter by one. */
static struct tree_node *balance(struct tree_node *node, tree_update update) {
        if (3 * weigh_left(node) < weigh_right(node)) {
                if (weigh_left(node->right) >= 2 * weigh_right(node->right)) {
                        node->right = lift_left(node->right, update);
                        renew(node->right, update);
                }
                node = lift_right(node, update);
        } else if (3 * weigh_right(node) < weigh_left(node)) {
                if (weigh_right(node->left) >= 2 * weigh_left(node->left)) {
                        node->left = lift_right(node->left, update);
                        renew(node->left, update);
                }
                node = lift_left(node, update);
        }
        renew(node, update);
        return node;
}

static struct tree_node *insert(struct tree_node *at, struct tree_node *node, tree_update update) {
        if (!at) {
                node->left = node->right = NULL;
                node->n = 1;
                node->n_left = 0;
                renew(node, update);
                return node;
        }
        at->n++;
        if (tree_before(node, at)) {
                at->n_left++;
                at->left = insert(at->left, node, update);
        } else {
                at->right = insert(at->right, node, update);
        }
        return balance(at, update);
}

/* Takes out the first of a part. */
static struct tree_node *remove_first(struct tree_node *at, struct tree_node **firstp,
                                      tree_update update) {
        if (!at->left) {
                *firstp = at;
                return at->right;
        }
        at->n--;
        at->n_left--;
        at->left = remove_first(at->left, firstp, update);
        return balance(at, update);
}

static struct tree_node *remove_node(struct tree_node *at, const struct tree_node *node,
                                     tree_update update) {
        struct tree_node *first;

        assert(at);
        if (at != node) {
                at->n--;
                if (tree_before(node, at)) {
                        at->n_left--;
                        at->left = remove_node(at->left, node, update);
                } else {
                        at->right = remove_node(at->right, node, update);
                }
                return balance(at, update);
        }
        if (!at->left || !at->right)
                return at->left ?: at->right;
        at->right = remove_first(at->right, &first, update);
        first->left = at->left;
        first->right = at->right;
        first->n = at->n - 1;
        first->n_left = at->n_left;
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

/* One step down towards @node. Without a branch, which could only be guessed, wrongly each second
 * time: a wrong guess would throw away what was begun on the other way. */
static const struct tree_node *step(const struct tree_node *at, const struct tree_node *node) {
        const struct tree_node *left = at->left, *right = at->right;
        bool is_before =
                (node->key < at->key) | ((node->key == at->key) & (node->order < at->order));

        return is_before ? left : right;
}

struct tree_node *tree_previous_of_two(struct tree_node *root, const struct tree_node *node,
                                       const struct tree_node *other_root,
                                       const struct tree_node *other) {
        const struct tree_node *at = root, *aside = other_root;

        while (at && aside) {
                at = step(at, node);
                aside = step(aside, other);
        }
        while (aside)
                aside = step(aside, other);
        return tree_previous(root, node);
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
                        before += (uint64_t)root->n_left + 1;
                        root = root->right;
                } else {
                        root = root->left;
                }
        }
        return before;
}
