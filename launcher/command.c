/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <base/why.h>
#include <launcher/command.h>

#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* The placeholder that @text begins with, and its length with braces; NULL if it is none of ours.
 */
static struct placeholder *match(const char *text, struct placeholder *table, size_t n,
                                 size_t *lengthp) {
        for (size_t i = 0; i < n; i++) {
                size_t length = strlen(table[i].name);

                if (strncmp(text + 1, table[i].name, length) == 0 && text[1 + length] == '}') {
                        *lengthp = length + 2;
                        return &table[i];
                }
        }
        return NULL;
}

/* Writes @word expanded to @out, or only counts if @out is NULL. Answers UNKNOWN. */
static int expand_word(const char *word, struct placeholder *table, size_t n, char *out,
                       size_t *lengthp, struct why *why) {
        size_t used = 0;

        while (*word) {
                struct placeholder *found = NULL;
                size_t skip = 1, length = 1;
                const char *from = word;

                if (*word == '{')
                        found = match(word, table, n, &skip);
                if (found && !found->value)
                        return why_set(why, COMMAND_E_UNKNOWN, "{%s} has no value for this VM%s%s",
                                       found->name, found->hint ? ": " : "", found->hint ?: "");
                if (found) {
                        found->used = true;
                        from = found->value;
                        length = strlen(found->value);
                } else {
                        skip = 1;
                }
                if (out)
                        memcpy(out + used, from, length);
                used += length;
                word += skip;
        }
        if (out)
                out[used] = '\0';
        *lengthp = used + 1;
        return 0;
}

int command_expand(char *const *argv, struct placeholder *table, size_t n, char ***argvp,
                   struct why *why) {
        size_t words = 0, bytes = 0, length;
        char **result, *at;
        int r;

        for (; argv[words]; words++) {
                r = expand_word(argv[words], table, n, NULL, &length, why);
                if (r)
                        return r;
                bytes += length;
                if (bytes > COMMAND_BYTES_MAX)
                        return why_set(why, COMMAND_E_TOO_BIG,
                                       "the command is longer than %d bytes", COMMAND_BYTES_MAX);
        }

        result = malloc((words + 1) * sizeof(*result) + bytes);
        if (!result)
                return fault(-ENOMEM);
        at = (char *)(result + words + 1);
        for (size_t i = 0; i < words; i++) {
                result[i] = at;
                r = expand_word(argv[i], table, n, at, &length, NULL);
                assert(r == 0);
                at += length;
        }
        result[words] = NULL;
        *argvp = result;
        return 0;
}

static const char *find_path(char *const *envp) {
        for (; envp && *envp; envp++)
                if (strncmp(*envp, "PATH=", 5) == 0)
                        return *envp + 5;
        return PATH_DEFAULT;
}

int command_candidates(const char *program, char *const *envp, char ***pathsp) {
        const char *path = strchr(program, '/') ? NULL : find_path(envp);
        size_t name = strlen(program) + 1, n = 0, room;
        char **result, *at;

        room = path ? strlen(path) + COMMAND_PATH_MAX * (name + 1) : name;
        result = malloc((COMMAND_PATH_MAX + 1) * sizeof(*result) + room);
        if (!result)
                return fault(-ENOMEM);
        at = (char *)(result + COMMAND_PATH_MAX + 1);

        if (!path) {
                result[n++] = memcpy(at, program, name);
        } else if (name > 1) {
                while (n < COMMAND_PATH_MAX) {
                        const char *end = strchrnul(path, ':');
                        size_t length = (size_t)(end - path);

                        if (length > 0 && path[0] == '/') {
                                result[n++] = at;
                                at = mempcpy(at, path, length);
                                *at++ = '/';
                                at = mempcpy(at, program, name);
                        }
                        if (!*end)
                                break;
                        path = end + 1;
                }
        }
        result[n] = NULL;
        *pathsp = result;
        return 0;
}
