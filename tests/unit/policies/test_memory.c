/* SPDX-License-Identifier: MIT */

/*
 * Memory runs out at the first, second, ... n-th allocation of a load: each time that is a fault,
 * nothing is handed out, and everything is given back. The allocator is replaced for this program
 * only (malloc(3) allows that); a sanitizer brings its own, and there the test is skipped.
 */

#include <stdio.h>
#include <string.h>

#include "tree.h"
#include "unit.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAS_OWN_ALLOCATOR 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_OWN_ALLOCATOR 1
#endif
#endif

/* The state of the allocator; a test program may have what the house may not. */
static bool armed;
static long left; /* allocations that still succeed */
static long live; /* blocks that were allocated while armed */

#ifndef HAS_OWN_ALLOCATOR

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *block, size_t size);
void __libc_free(void *block);

static bool refuse(void) {
        if (!armed)
                return false;
        if (left-- > 0)
                return false;
        errno = ENOMEM;
        return true;
}

static void *count(void *block) {
        if (armed && block)
                live++;
        return block;
}

void *malloc(size_t size) {
        return refuse() ? NULL : count(__libc_malloc(size));
}

void *calloc(size_t n, size_t size) {
        return refuse() ? NULL : count(__libc_calloc(n, size));
}

void *realloc(void *block, size_t size) {
        void *moved;

        if (refuse())
                return NULL;
        moved = __libc_realloc(block, size);
        return block ? moved : count(moved);
}

void free(void *block) {
        if (armed && block)
                live--;
        __libc_free(block);
}

#endif

static void arm(long allocations) {
        left = allocations;
        live = 0;
        armed = true;
}

static void put_everything(struct tree *tree) {
        tree_put(tree, "etc/broker.conf", "[Broker]\nMaxVMs=7\n");
        tree_put(tree, "etc/broker.conf.d/a.conf", "[Broker]\nMaxVMs=8\n");
        tree_put(tree, "lib/broker.d/b.conf", "[Broker]\nMaxVMs=9\n");
        tree_put(tree, "etc/broker.d/c.conf",
                 "[Network]\nBridge=b\nAddress=10.0.0.1/8 fd77::1/64\n");
        tree_put(tree, "etc/slices/a.d/b.conf", "[Network]\nBridges=b c\n");
        tree_put(tree, "etc/slices/a.slice", "[Access]\nUsers=1 2 3\nGroups=4 5\n");
        tree_put(tree, "lib/slices/b.slice", "[Access]\nUsers=1 2 3\nGroups=4 5\n");
        tree_put(tree, "lib/slices/b.slice.d/a.conf", "[Slice]\nCPU=1\n");
}

static void every_allocation_of_a_load_may_fail(void) {
        struct tree tree;
        long n;
        int r;

#ifdef HAS_OWN_ALLOCATOR
        unit_skip("the sanitizer has an allocator of its own");
#endif
        tree_init(&tree);
        put_everything(&tree);
        need_that(tree_load(&tree) == 0, "%s", tree.text);
        tree.policy = policy_free(tree.policy);

        for (n = 0; n < 1000; n++) {
                long kept;

                arm(n);
                r = policy_load(&tree.policy, tree.etc, tree.lib, &tree.errors);
                if (!r)
                        tree.policy = policy_free(tree.policy);
                kept = live;
                armed = false;
                expect_that(kept == 0, "%ld blocks left after allocation %ld failed", kept, n);
                if (!r)
                        break;
                expect_that(r == -ENOMEM && !tree.policy, "allocation %ld gave %d", n, r);
        }
        expect_int(r, 0);
        expect_within(n, 20, 999);
        tree_deinit(&tree);
}

static void every_allocation_of_showing_may_fail(void) {
        struct policy *policy = NULL;
        struct policy_errors errors;
        char *text = NULL;

#ifdef HAS_OWN_ALLOCATOR
        unit_skip("the sanitizer has an allocator of its own");
#endif
        need_int(policy_load(&policy, "/nonexistent", "/nonexistent", &errors), 0);
        for (long n = 0; n < 1000 && !text; n++) {
                long kept;

                arm(n);
                text = policy_show(policy, NULL);
                kept = live;
                armed = false;
                expect_that(kept == (text ? 1 : 0), "%ld blocks left after %ld", kept, n);
        }
        expect(text != NULL);
        free(text);

        text = NULL;
        for (long n = 0; n < 1000 && !text; n++) {
                arm(n);
                text = policy_reference();
                armed = false;
        }
        expect(text != NULL);
        expect_in(text, "GracePeriod=");
        free(text);
        policy_free(policy);
}

UNIT_MAIN(
        TEST(every_allocation_of_a_load_may_fail),
        TEST(every_allocation_of_showing_may_fail),
)
