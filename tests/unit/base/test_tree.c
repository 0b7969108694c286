/* SPDX-License-Identifier: MIT */
#include <base/tree.h>
#include <string.h>

#include "unit.h"

#define MEMBERS 300

struct member {
        struct tree_node node;
        uint64_t value, sum, least;
        bool inside;
};

static uint64_t random_state;

static uint64_t any(uint64_t below) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        return (random_state >> 24) % below;
}

static struct member *member(struct tree_node *node) {
        return node ? container_of(node, struct member, node) : NULL;
}

static void update(struct tree_node *node) {
        struct member *own = member(node), *left = member(node->left), *right = member(node->right);

        own->sum = own->value + (left ? left->sum : 0) + (right ? right->sum : 0);
        own->least = min_u64(own->value, min_u64(left ? left->least : UINT64_MAX,
                                                 right ? right->least : UINT64_MAX));
}

/* Order, balance, counts and sums of a part. */
static void check(struct tree_node *node, uint64_t *depthp) {
        uint64_t left = 0, right = 0, sum, least;

        *depthp = 0;
        if (!node)
                return;
        check(node->left, &left);
        check(node->right, &right);
        *depthp = max_u64(left, right) + 1;
        need(!node->left || tree_before(node->left, node));
        need(!node->right || tree_before(node, node->right));
        need_uint(node->n, tree_n(node->left) + tree_n(node->right) + 1);
        need_uint(node->n_left, tree_n(node->left));
        need(tree_n(node->left) + 1 <= 3 * (tree_n(node->right) + 1));
        need(tree_n(node->right) + 1 <= 3 * (tree_n(node->left) + 1));
        sum = member(node)->sum;
        least = member(node)->least;
        update(node);
        need_uint(sum, member(node)->sum);
        need_uint(least, member(node)->least);
}

static void any_sequence_leaves_it_ordered_balanced_and_summed(void) {
        static struct member members[MEMBERS];
        struct tree_node *root = NULL;
        uint64_t n = 0, depth;

        random_state = 5;
        memset(members, 0, sizeof(members));
        for (unsigned step = 0; step < 20000; step++) {
                struct member *one = &members[any(MEMBERS)];

                if (one->inside && any(4) == 0) {
                        one->value = any(1000);
                        tree_refresh(root, &one->node, update);
                } else if (one->inside) {
                        tree_remove(&root, &one->node, update);
                        n--;
                        one->inside = false;
                } else {
                        /* Few keys: often only the order tells them apart. */
                        one->node.key = any(20);
                        one->node.order = (uint64_t)(one - members);
                        one->value = any(1000);
                        tree_insert(&root, &one->node, update);
                        n++;
                        one->inside = true;
                }
                if (step % 16)
                        continue;
                check(root, &depth);
                need_uint(tree_n(root), n);
                need(depth <= 22);
        }
}

static void places_and_neighbours_are_those_of_a_sorted_list(void) {
        struct member members[50] = {};
        struct tree_node *root = NULL, *at, absent = {.key = 31};

        for (unsigned i = 0; i < ARRAY_SIZE(members); i++) {
                members[i].node.key = (i * 7 + 3) % 50 * 2;
                tree_insert(&root, &members[i].node, NULL);
        }
        at = tree_first(root);
        expect(tree_previous(root, at) == NULL);
        for (uint64_t i = 0; i < 50; i++) {
                need(at != NULL);
                expect_uint(at->key, 2 * i);
                expect_uint(tree_rank(root, at), i);
                at = tree_next(root, at);
        }
        expect(at == NULL);
        expect_uint(tree_previous(root, &absent)->key, 30);
        expect_uint(tree_previous_of_two(root, &absent, root, tree_first(root))->key, 30);
        expect_uint(tree_previous_of_two(root, &absent, NULL, &absent)->key, 30);
        expect(tree_previous_of_two(NULL, &absent, root, &absent) == NULL);
        expect_uint(tree_next(root, &absent)->key, 32);
        expect_uint(tree_rank(root, &absent), 16);
        expect(tree_first(NULL) == NULL && tree_next(NULL, &absent) == NULL);
}

static void a_hundred_thousand_in_order_stay_shallow(void) {
        struct tree_node *root = NULL, *nodes = calloc(100000, sizeof(*nodes));
        unsigned depth = 0;

        need(nodes != NULL);
        for (uint64_t i = 0; i < 100000; i++) {
                nodes[i].key = i;
                tree_insert(&root, &nodes[i], NULL);
        }
        for (struct tree_node *at = root; at; at = at->right)
                depth++;
        expect(depth <= 40);
        for (uint64_t i = 0; i < 99999; i++)
                tree_remove(&root, &nodes[i], NULL);
        expect(root == &nodes[99999] && root->n == 1);
        free(nodes);
}

UNIT_MAIN(TEST(any_sequence_leaves_it_ordered_balanced_and_summed),
          TEST(places_and_neighbours_are_those_of_a_sorted_list),
          TEST(a_hundred_thousand_in_order_stay_shallow), )
