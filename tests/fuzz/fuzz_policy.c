/* SPDX-License-Identifier: MIT */

/*
 * Any bytes as a policy file, once as broker.conf and once as a slice, the judgement of sums
 * included. Errors are bounded and safe to show; a file without errors gives values that are shown
 * as a file that is loaded without errors and shows the same.
 */

#include <string.h>

#include <base/text.h>
#include <policies/check.h>
#include <policies/parse.h>
#include <policies/policy.h>
#include <policies/value.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good) {
        if (!good)
                abort();
}

/* A set of one slice, which belongs to policy_free(). */
static struct policy *make_policy(void) {
        struct policy *policy = calloc(1, sizeof(*policy));

        must(policy);
        policy->slices = calloc(1, sizeof(*policy->slices));
        must(policy->slices);
        policy->n_slices = 1;
        strcpy(policy->slices[0].name, "a");
        strcpy(policy->slices[0].path, "a.slice");
        must(value_set_defaults(POLICY_FILE_BROKER, &policy->broker) == 0);
        must(value_set_defaults(POLICY_FILE_SLICE, &policy->slices[0]) == 0);
        return policy;
}

static void parse(struct policy *policy, enum policy_file file, const char *text, size_t size,
                  struct policy_errors *errors) {
        struct unit unit = {
                .file = file,
                .object = file == POLICY_FILE_BROKER ? (void *)&policy->broker : policy->slices,
                .errors = errors,
        };

        must(parse_text(&unit, "a", text, size) == 0);
        if (file == POLICY_FILE_BROKER)
                check_broker(&unit);
        else
                check_slice(&unit);
        check_policy(policy, errors);
}

static void check_errors(const struct policy_errors *errors) {
        must(errors->n <= POLICY_ERRORS_MAX);
        for (size_t i = 0; i < errors->n; i++) {
                char line[1400];

                policy_error_format(&errors->list[i], line, sizeof(line));
                must(text_is_printable(line) && errors->list[i].text[0]);
        }
}

static void show_and_parse(const struct policy *policy, enum policy_file file) {
        const struct slice_policy *slice = file == POLICY_FILE_SLICE ? policy->slices : NULL;
        char *first = policy_show(policy, slice), *second;
        struct policy *again = make_policy();
        struct policy_errors errors = {};

        must(first);
        parse(again, file, first, strlen(first), &errors);
        must(errors.n == 0);
        second = policy_show(again, slice ? again->slices : NULL);
        must(second && strcmp(first, second) == 0);
        free(first);
        free(second);
        policy_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const enum policy_file files[] = {POLICY_FILE_BROKER, POLICY_FILE_SLICE};

        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                char *text = malloc(size ?: 1); /* exactly, so that a read behind the end is seen */
                struct policy *policy = make_policy();
                struct policy_errors errors = {};

                must(text);
                memcpy(text, data, size);
                parse(policy, files[i], text, size, &errors);
                check_errors(&errors);
                if (errors.n == 0)
                        show_and_parse(policy, files[i]);
                policy_free(policy);
                free(text);
        }
        return 0;
}
