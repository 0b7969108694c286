/* SPDX-License-Identifier: MIT */

/*
 * Any bytes as a list of system calls. A refusal is a sentence that is safe to show; a list that is
 * taken makes a program, and that program, run here as the kernel would, says of each call what the
 * list says: for arguments at, beside and beyond what the rules compare with.
 */

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <string.h>

#include <base/text.h>
#include <base/why.h>
#include <launcher/seccomp_program.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good) {
        if (!good)
                abort();
}

struct input {
        const uint8_t *data;
        size_t size;
};

static int give(char **textp, size_t *lengthp, const void *text, size_t length) {
        *textp = malloc(length ?: 1);
        must(*textp);
        memcpy(*textp, text, length);
        *lengthp = length;
        return 0;
}

/* Includes: "base" is a list, "self" is this one, "twice" includes base; nothing else is there. */
static int read_list(void *userdata, const char *name, char **textp, size_t *lengthp,
                     char path[SECCOMP_PATH_MAX], struct why *why) {
        static const char base[] = "default errno ENOSYS\nallow read clone if arg0 & 3 == 1\n";
        static const char twice[] = "default kill\ninclude base\nallow write\n";
        const struct input *input = userdata;

        must(text_check_name("list", name, NULL) == 0);
        strcpy(path, "path");
        if (strcmp(name, "input") == 0 || strcmp(name, "self") == 0)
                return give(textp, lengthp, input->data, input->size);
        if (strcmp(name, "base") == 0)
                return give(textp, lengthp, base, strlen(base));
        if (strcmp(name, "twice") == 0)
                return give(textp, lengthp, twice, strlen(twice));
        return why_set(why, SECCOMP_E_MISSING, "there is none");
}

/* ---- the kernel's side --------------------------------------------------------------------- */

static uint32_t run(const struct seccomp_program *program, const struct seccomp_data *data) {
        uint32_t a = 0, at = 0;

        for (;;) {
                const struct sock_filter *op;
                bool taken;

                must(at < program->bpf.len);
                op = &program->bpf.filter[at++];
                switch (op->code) {
                case BPF_LD | BPF_W | BPF_ABS:
                        must(op->k % 4 == 0 && op->k + 4 <= sizeof(*data));
                        memcpy(&a, (const char *)data + op->k, 4);
                        continue;
                case BPF_ALU | BPF_AND | BPF_K:
                        a &= op->k;
                        continue;
                case BPF_JMP | BPF_JA:
                        at += op->k;
                        continue;
                case BPF_JMP | BPF_JEQ | BPF_K:
                        taken = a == op->k;
                        break;
                case BPF_JMP | BPF_JGT | BPF_K:
                        taken = a > op->k;
                        break;
                case BPF_JMP | BPF_JGE | BPF_K:
                        taken = a >= op->k;
                        break;
                case BPF_RET | BPF_K:
                        return op->k;
                default:
                        abort();
                }
                at += taken ? op->jt : op->jf;
        }
}

static uint32_t expected(struct seccomp_verdict verdict) {
        switch (verdict.action) {
        case SECCOMP_ALLOW:
                return SECCOMP_RET_ALLOW;
        case SECCOMP_LOG:
                return SECCOMP_RET_LOG;
        case SECCOMP_ERRNO:
                return SECCOMP_RET_ERRNO | (uint32_t)verdict.errnum;
        case SECCOMP_KILL:
                return SECCOMP_RET_KILL_PROCESS;
        }
        abort();
}

static void compare(const struct seccomp_list *list, const struct seccomp_program *program,
                    int number, const uint64_t arguments[SECCOMP_ARGUMENTS]) {
        struct seccomp_data data = {.nr = number, .arch = AUDIT_ARCH_X86_64};

        for (size_t i = 0; i < SECCOMP_ARGUMENTS; i++)
                data.args[i] = arguments[i];
        must(run(program, &data) == expected(seccomp_list_judge(list, number, arguments)));
}

/* Around the condition @i of @rule, the others met or not. */
static void compare_near(const struct seccomp_list *list, const struct seccomp_program *program,
                         const struct seccomp_rule *rule, const struct seccomp_condition *near) {
        const uint64_t value = near->value, beyond = ~near->mask;
        const uint64_t tries[] = {value,
                                  value + 1,
                                  value - 1,
                                  value | beyond,
                                  (value ^ (near->mask & -near->mask)) | beyond,
                                  value ^ (UINT64_C(1) << 63),
                                  value ^ (UINT64_C(1) << 32),
                                  value ^ near->mask,
                                  0,
                                  UINT64_MAX};
        uint64_t arguments[SECCOMP_ARGUMENTS] = {};

        for (unsigned others = 0; others < 3; others++) {
                for (size_t i = 0; i < rule->n_conditions; i++)
                        arguments[rule->conditions[i].argument] =
                                rule->conditions[i].value + others - 1;
                for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
                        arguments[near->argument] = tries[i];
                        compare(list, program, rule->number, arguments);
                }
        }
}

static void compare_all(const struct seccomp_list *list, const struct seccomp_program *program) {
        static const uint64_t zeros[SECCOMP_ARGUMENTS];
        struct seccomp_data foreign = {.nr = 1, .arch = AUDIT_ARCH_I386};

        must(run(program, &foreign) == SECCOMP_RET_KILL_PROCESS);
        foreign = (struct seccomp_data){.nr = 0x40000001, .arch = AUDIT_ARCH_X86_64}; /* x32 */
        must(run(program, &foreign) == SECCOMP_RET_KILL_PROCESS);
        for (int number = 0; number < 600; number++)
                compare(list, program, number, zeros);
        for (size_t i = 0; i < list->n_rules; i++)
                for (size_t j = 0; j < list->n_rules && j < 32; j++) {
                        const struct seccomp_rule *rule = &list->rules[i];

                        /* Each rule around the values of its neighbours of the same call, too. */
                        if (list->rules[j].number != rule->number)
                                continue;
                        for (size_t k = 0; k < list->rules[j].n_conditions; k++)
                                compare_near(list, program, rule, &list->rules[j].conditions[k]);
                        for (size_t k = 0; k < rule->n_conditions; k++)
                                compare_near(list, program, rule, &rule->conditions[k]);
                }
}

static void check_why(const struct why *why, int r) {
        must(r > 0 && why->code == r && why->text[0] && text_is_printable(why->text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct input input = {data, size};
        struct seccomp_list list = SECCOMP_LIST_NULL;
        struct seccomp_program program = SECCOMP_PROGRAM_NULL;
        struct why why = {};
        int r;

        r = seccomp_list_parse(&list, "input", read_list, &input, &why);
        if (r) {
                check_why(&why, r);
                return 0;
        }
        must(list.n_rules <= SECCOMP_RULES_MAX);
        r = seccomp_program_compile(&program, &list, &why);
        if (r) {
                check_why(&why, r);
        } else {
                must(program.bpf.len > 0 && program.bpf.len <= BPF_MAXINSNS);
                compare_all(&list, &program);
        }
        seccomp_program_deinit(&program);
        seccomp_list_deinit(&list);
        return 0;
}
