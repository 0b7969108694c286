/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include <launcher/seccomp_learn.h>
#include <launcher/seccomp_names.h>

#define COLUMNS 80

struct calls {
        char names[SECCOMP_LEARN_MAX][SECCOMP_NAME_MAX];
        int unknown[SECCOMP_LEARN_MAX];
        size_t n_names, n_unknown;
};

static void add(struct calls *calls, int number) {
        char name[SECCOMP_NAME_MAX];

        if (seccomp_names_show_call(number, name)) {
                for (size_t i = 0; i < calls->n_names; i++)
                        if (strcmp(calls->names[i], name) == 0)
                                return;
                if (calls->n_names < SECCOMP_LEARN_MAX)
                        strcpy(calls->names[calls->n_names++], name);
                return;
        }
        for (size_t i = 0; i < calls->n_unknown; i++)
                if (calls->unknown[i] == number)
                        return;
        if (calls->n_unknown < SECCOMP_LEARN_MAX)
                calls->unknown[calls->n_unknown++] = number;
}

static int compare(const void *a, const void *b) {
        return strcmp(a, b);
}

static void write_list(FILE *stream, const struct calls *calls) {
        size_t column = 0;

        fputs("# Written from what a program was seen to call; calls that it needs only now and\n"
              "# then may be missing.\n"
              "default errno ENOSYS\n",
              stream);
        for (size_t i = 0; i < calls->n_names; i++) {
                size_t width = strlen(calls->names[i]) + 1;

                if (column == 0 || column + width > COLUMNS) {
                        fputs("\nallow", stream);
                        column = strlen("allow");
                }
                fprintf(stream, " %s", calls->names[i]);
                column += width;
        }
        fputs("\n", stream);
        for (size_t i = 0; i < calls->n_unknown; i++)
                fprintf(stream, "# call %d was seen, too, but has no name here\n",
                        calls->unknown[i]);
}

int seccomp_learn_format(char **textp, const int *numbers, size_t n) {
        static const int unseen[] = {SYS_exit, SYS_exit_group, SYS_rt_sigreturn,
                                     SYS_restart_syscall};
        _cleanup_(freep) struct calls *calls = NULL;
        char *text = NULL;
        size_t size;
        FILE *stream;

        calls = calloc(1, sizeof(*calls));
        if (!calls)
                return fault(-ENOMEM);
        for (size_t i = 0; i < ARRAY_SIZE(unseen); i++)
                add(calls, unseen[i]);
        for (size_t i = 0; i < n; i++)
                add(calls, numbers[i]);
        qsort(calls->names, calls->n_names, sizeof(calls->names[0]), compare);

        stream = open_memstream(&text, &size);
        if (!stream)
                return fault(-ENOMEM);
        write_list(stream, calls);
        if (fclose(stream) != 0) {
                free(text);
                return fault(-ENOMEM);
        }
        *textp = text;
        return 0;
}
