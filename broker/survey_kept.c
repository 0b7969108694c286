/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include <broker/survey_kept.h>

struct usage_files *survey_kept_files(struct survey_kept *kept, const char *id) {
        struct survey_kept_vm *vm;

        HASH_FIND_STR(kept->by_id, id, vm);
        if (!vm && HASH_COUNT(kept->by_id) < kept->max) {
                vm = calloc(1, sizeof(*vm));
                if (!vm)
                        return NULL;
                snprintf(vm->id, sizeof(vm->id), "%s", id);
                usage_files_init(&vm->files);
                HASH_ADD_STR(kept->by_id, id, vm);
        }
        if (!vm)
                return NULL;
        vm->round = kept->round;
        return &vm->files;
}

static void drop(struct survey_kept *kept, bool all) {
        struct survey_kept_vm *vm, *next;

        HASH_ITER(hh, kept->by_id, vm, next) {
                if (!all && vm->round == kept->round)
                        continue;
                HASH_DEL(kept->by_id, vm);
                usage_files_deinit(&vm->files);
                free(vm);
        }
}

void survey_kept_settle(struct survey_kept *kept) {
        drop(kept, false);
        kept->round++;
}

void survey_kept_deinit(struct survey_kept *kept) {
        drop(kept, true);
}
