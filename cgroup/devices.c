/* SPDX-License-Identifier: MIT */
/*
 * The program, for each rule in order; r1 is the kernel's question, access is (ways << 16 | type):
 *
 *         r2 = r1->major; if r2 != major goto next           unless any
 *         r2 = r1->minor; if r2 != minor goto next           unless any
 *         r2 = r1->access; r2 &= (ways not allowed << 16 | 0xffff); if r2 != type goto next
 *         r0 = 1; exit
 * next:
 *
 * and behind the last: r0 = 0; exit.
 *
 * Each rule asks anew instead of keeping the answers in registers. What the verifier has learnt of
 * a register in one rule would else make the next a different one for each way to it, and its work
 * would grow with the square of the rules: 360 ms at 256 of them (emulated), instead of 14.
 */
#include <linux/bpf.h>

#include <base/why.h>
#include <cgroup/bpf.h>
#include <cgroup/device_rule.h>
#include <cgroup/devices.h>

#define RULE_INSNS_MAX 9
#define FRAME_INSNS 2 /* behind the rules */
#define INSNS_MAX (DEVICES_RULES_MAX * RULE_INSNS_MAX + FRAME_INSNS)

static_assert((int)DEVICE_MKNOD == (int)BPF_DEVCG_ACC_MKNOD, "the kernel's numbers");
static_assert((int)DEVICE_READ == (int)BPF_DEVCG_ACC_READ, "the kernel's numbers");
static_assert((int)DEVICE_WRITE == (int)BPF_DEVCG_ACC_WRITE, "the kernel's numbers");

struct program {
        struct bpf_insn insns[INSNS_MAX];
        size_t n;
};

static void add(struct program *program, uint8_t code, uint8_t to, uint8_t from, int16_t offset,
                int32_t value) {
        assert(program->n < INSNS_MAX);
        program->insns[program->n++] = (struct bpf_insn){
                .code = code, .dst_reg = to, .src_reg = from, .off = offset, .imm = value};
}

static void add_load(struct program *program, size_t offset) {
        add(program, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, (int16_t)offset, 0);
}

/* A jump whose target is not known yet. */
static void add_unless(struct program *program, uint32_t value) {
        add(program, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_2, 0, 0, (int32_t)value);
}

static void add_return(struct program *program, int32_t value) {
        add(program, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, value);
        add(program, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void add_rule(struct program *program, const struct device_rule *rule) {
        unsigned denied = DEVICE_ALL & ~rule->access;
        size_t begin = program->n;

        if (rule->major != DEVICE_ANY) {
                add_load(program, offsetof(struct bpf_cgroup_dev_ctx, major));
                add_unless(program, rule->major);
        }
        if (rule->minor != DEVICE_ANY) {
                add_load(program, offsetof(struct bpf_cgroup_dev_ctx, minor));
                add_unless(program, rule->minor);
        }
        add_load(program, offsetof(struct bpf_cgroup_dev_ctx, access_type));
        add(program, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_2, 0, 0,
            (int32_t)(denied << 16 | 0xffff));
        add_unless(program, rule->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
        add_return(program, 1);
        for (size_t i = begin; i < program->n; i++)
                if (program->insns[i].code == (BPF_JMP | BPF_JNE | BPF_K))
                        program->insns[i].off = (int16_t)(program->n - i - 1);
}

static void build(struct program *program, const struct device_rule *rules, size_t n) {
        program->n = 0;
        for (size_t i = 0; i < n; i++)
                add_rule(program, &rules[i]);
        add_return(program, 0);
}

/* What device_rule_parse() would not have made is not guessed at. */
static bool is_rule(const struct device_rule *rule) {
        return (rule->type == 'c' || rule->type == 'b') &&
               (rule->major <= DEVICE_MAJOR_MAX || rule->major == DEVICE_ANY) &&
               (rule->minor <= DEVICE_MINOR_MAX || rule->minor == DEVICE_ANY) && rule->access &&
               !(rule->access & ~(unsigned)DEVICE_ALL);
}

int devices_load(const struct device_rule *rules, size_t n, int *prog_fdp, struct why *why) {
        _cleanup_(freep) struct program *program = NULL;

        if (n > DEVICES_RULES_MAX)
                return why_set(why, CGROUP_E_LIMIT, "%zu device rules are more than %d", n,
                               DEVICES_RULES_MAX);
        for (size_t i = 0; i < n; i++)
                if (!is_rule(&rules[i]))
                        return why_set(why, CGROUP_E_LIMIT, "device rule %zu is none", i + 1);
        program = malloc(sizeof(*program));
        if (!program)
                return fault(-ENOMEM);
        build(program, rules, n);
        return bpf_load_device(program->insns, program->n, prog_fdp, why);
}

int devices_id(int prog_fd, uint32_t *idp, struct why *why) {
        return bpf_program_id(prog_fd, idp, why);
}

int devices_attach(int dir_fd, int prog_fd, struct why *why) {
        int r = bpf_attach_device(dir_fd, prog_fd, why);

        return r == CGROUP_E_EXISTS ? 0 : r;
}

int devices_check(int dir_fd, uint32_t id, bool *attachedp, struct why *why) {
        uint32_t ids[BPF_PROGRAMS_MAX];
        size_t n = 0;
        int r;

        r = bpf_attached_devices(dir_fd, ids, &n, why);
        if (r)
                return r;
        *attachedp = false;
        for (size_t i = 0; i < n; i++)
                *attachedp = *attachedp || ids[i] == id;
        return 0;
}
