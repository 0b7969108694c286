/* SPDX-License-Identifier: MIT */

/*
 * The values in force as a file that would produce them. Numbers are printed exactly, lists as one
 * assignment for each name, so that no line grows beyond what the loader takes.
 */

#include <stdio.h>
#include <string.h>

#include <policies/access.h>
#include <policies/keys.h>
#include <policies/policy.h>
#include <policies/quotas.h>
#include <policies/value.h>

/* A name is printed only if it will be read as this very number again. */
static void show_id(FILE *out, const char *key, uint32_t id, bool user) {
        fprintf(out, "%s=", key);
        access_print(out, id, user);
        fputc('\n', out);
}

static void show_run_user(FILE *out, const char *key, const struct policy_user *user) {
        if (user->kind == POLICY_USER_NAMED)
                show_id(out, key, user->uid, true);
        else
                fprintf(out, "%s=%s\n", key,
                        user->kind == POLICY_USER_CALLER ? "caller" : "dynamic");
}

static void show_users(FILE *out, const char *key, const struct slice_policy *slice) {
        if (slice->everybody)
                fprintf(out, "%s=*\n", key);
        for (size_t i = 0; i < slice->n_users; i++)
                show_id(out, key, slice->users[i], true);
        if (!slice->everybody && slice->n_users == 0)
                fprintf(out, "%s=\n", key);
}

static void show_groups(FILE *out, const char *key, const struct slice_policy *slice) {
        for (size_t i = 0; i < slice->n_groups; i++)
                show_id(out, key, slice->groups[i], false);
        if (slice->n_groups == 0)
                fprintf(out, "%s=\n", key);
}

static void show_bridges(FILE *out, const char *key, const struct slice_policy *slice) {
        if (slice->any_bridge)
                fprintf(out, "%s=*\n", key);
        for (size_t i = 0; i < slice->n_bridges; i++)
                fprintf(out, "%s=%s\n", key, slice->bridges[i]);
        if (!slice->any_bridge && slice->n_bridges == 0)
                fprintf(out, "%s=\n", key);
}

static void show_addresses(FILE *out, const char *key, const struct network_policy *network) {
        char text[POLICY_ADDRESS_TEXT_MAX];

        for (size_t i = 0; i < network->n_addresses; i++)
                fprintf(out, "%s=%s\n", key,
                        policy_address_format(&network->addresses[i], text, sizeof(text)));
        if (network->n_addresses == 0)
                fprintf(out, "%s=\n", key);
}

static void show_key(FILE *out, const struct key *key, const void *object) {
        char buffer[VALUE_TEXT_MAX];

        if (key->type == KEY_USERS)
                show_users(out, key->name, object);
        else if (key->type == KEY_GROUPS)
                show_groups(out, key->name, object);
        else if (key->type == KEY_INTERFACES)
                show_bridges(out, key->name, object);
        else if (key->type == KEY_ADDRESSES)
                show_addresses(out, key->name, &((const struct broker_policy *)object)->network);
        else if (key->type == KEY_USER_QUOTAS)
                quotas_show_users(out, key->name, object);
        else if (key->type == KEY_GROUP_QUOTAS)
                quotas_show_groups(out, key->name, object);
        else if (key->type == KEY_USER)
                show_run_user(out, key->name, (const void *)((const char *)object + key->offset));
        else
                fprintf(out, "%s=%s\n", key->name,
                        value_format(key, object, buffer, sizeof(buffer)));
}

char *policy_show(const struct policy *policy, const struct slice_policy *slice) {
        const enum policy_file file = slice ? POLICY_FILE_SLICE : POLICY_FILE_BROKER;
        const void *object = slice ? (const void *)slice : &policy->broker;
        const char *section = "";
        char *text = NULL;
        size_t length;
        FILE *out;
        bool bad;

        out = open_memstream(&text, &length);
        if (!out)
                return NULL;
        for (size_t i = 0; i < KEYS_N; i++) {
                const struct key *key = &policy_keys[i];

                if (key->file != file)
                        continue;
                if (strcmp(key->section, section) != 0)
                        fprintf(out, "%s[%s]\n", *section ? "\n" : "", key->section);
                section = key->section;
                show_key(out, key, object);
        }
        bad = ferror(out);
        if (fclose(out) != 0 || bad) {
                free(text);
                return NULL;
        }
        return text;
}
