/* SPDX-License-Identifier: MIT */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include <launcher/seccomp_learn.h>
#include <launcher/seccomp_names.h>

#define COLUMNS 80
/* Of clone's first argument; the low byte, where CLONE_NEWTIME lies, is a signal there. */
#define NAMESPACES                                                                                 \
        ((uint64_t)(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |  \
                    CLONE_NEWPID | CLONE_NEWNET))

/* Calls of which an int argument is kept, and how the names of its values begin. */
static const struct {
        int number;
        unsigned argument;
        const char *prefixes[3];
} told_calls[SECCOMP_LEARN_TOLD] = {
        {SYS_ioctl, 1, {"TC", "TIOC", "FIO"}},
        {SYS_socket, 0, {"AF_"}},
        {SYS_socketpair, 0, {"AF_"}},
        {SYS_prctl, 0, {"PR_"}},
        {SYS_personality, 0, {}},
};

static void note_value(struct seccomp_learned *learned, size_t at, uint32_t value) {
        for (size_t i = 0; i < learned->told[at].n; i++)
                if (learned->told[at].values[i] == value)
                        return;
        if (learned->told[at].n == SECCOMP_LEARN_VALUES)
                learned->told[at].more = true;
        else
                learned->told[at].values[learned->told[at].n++] = value;
}

void seccomp_learn_note(struct seccomp_learned *learned, int number,
                        const uint64_t arguments[SECCOMP_ARGUMENTS]) {
        if (number < 0 || number >= SECCOMP_LEARN_MAX) {
                learned->beyond = true;
                return;
        }
        learned->n_called += !learned->called[number];
        learned->called[number] = true;
        for (size_t i = 0; i < SECCOMP_LEARN_TOLD; i++)
                if (told_calls[i].number == number)
                        note_value(learned, i, (uint32_t)arguments[told_calls[i].argument]);
        if (number != SYS_clone)
                return;
        if (arguments[0] & NAMESPACES)
                learned->namespaces = true;
        else if (arguments[0] & CLONE_THREAD)
                learned->threads = true;
        else
                learned->processes = true;
}

/* Whether call @number is allowed under conditions only. */
static bool is_told(const struct seccomp_learned *learned, int number) {
        for (size_t i = 0; i < SECCOMP_LEARN_TOLD; i++)
                if (told_calls[i].number == number)
                        return !learned->told[i].more;
        return number == SYS_clone && !learned->namespaces;
}

struct names {
        char name[SECCOMP_LEARN_MAX][SECCOMP_NAME_MAX];
        size_t n;
};

static int compare(const void *a, const void *b) {
        return strcmp(a, b);
}

static void write_names(FILE *stream, struct names *names) {
        size_t column = 0;

        qsort(names->name, names->n, sizeof(names->name[0]), compare);
        for (size_t i = 0; i < names->n; i++) {
                size_t width = strlen(names->name[i]) + 1;

                if (column == 0 || column + width > COLUMNS) {
                        fputs("\nallow", stream);
                        column = strlen("allow");
                }
                fprintf(stream, " %s", names->name[i]);
                column += width;
        }
        fputs("\n", stream);
}

static void write_value(FILE *stream, size_t at, const char *call, uint32_t value) {
        const char *name = NULL;

        for (size_t i = 0; i < ARRAY_SIZE(told_calls[at].prefixes) && !name; i++)
                if (told_calls[at].prefixes[i])
                        name = seccomp_names_show_constant(told_calls[at].prefixes[i], value);
        if (name)
                fprintf(stream, "allow %s if int%u == %s\n", call, told_calls[at].argument, name);
        else
                fprintf(stream, "allow %s if int%u == %#x\n", call, told_calls[at].argument, value);
}

static void write_told(FILE *stream, const struct seccomp_learned *learned) {
        for (size_t i = 0; i < SECCOMP_LEARN_TOLD; i++) {
                char call[SECCOMP_NAME_MAX];

                if (learned->told[i].n == 0 || !seccomp_names_show_call(told_calls[i].number, call))
                        continue;
                if (learned->told[i].more)
                        fprintf(stream, "# %s: more than %d different ones, so all are allowed\n",
                                call, SECCOMP_LEARN_VALUES);
                for (size_t j = 0; j < learned->told[i].n && !learned->told[i].more; j++)
                        write_value(stream, i, call, learned->told[i].values[j]);
        }
        if (learned->namespaces) {
                fputs("# clone: it made namespaces, so all is allowed\n", stream);
                return;
        }
        if (learned->threads)
                fputs("allow clone if arg0 & CLONE_THREAD == CLONE_THREAD\n", stream);
        if (learned->processes)
                fprintf(stream,
                        "# processes of its own, without new namespaces\n"
                        "allow clone if arg0 & %#jx == 0\n",
                        (uintmax_t)(NAMESPACES | CLONE_THREAD));
}

static void write_list(FILE *stream, const struct seccomp_learned *learned, struct names *names) {
        fputs("# Written from what a program was seen to call; calls that it needs only now and\n"
              "# then may be missing.\n"
              "default errno ENOSYS\n"
              "# Its flags are where no filter can look; so it was not there, nor will it be.\n"
              "errno ENOSYS clone3\n",
              stream);
        write_names(stream, names);
        fputs("\n", stream);
        write_told(stream, learned);
        for (int i = 0; i < SECCOMP_LEARN_MAX; i++) {
                char name[SECCOMP_NAME_MAX];

                if (learned->called[i] && !seccomp_names_show_call(i, name))
                        fprintf(stream, "# call %d was seen, too, but has no name here\n", i);
        }
        if (learned->beyond)
                fputs("# calls were seen, too, that no kernel has\n", stream);
}

int seccomp_learn_format(char **textp, const struct seccomp_learned *learned) {
        static const int unseen[] = {
                SYS_exit,          SYS_exit_group,   SYS_rt_sigreturn, SYS_restart_syscall,
                SYS_clock_gettime, SYS_clock_getres, SYS_gettimeofday, SYS_time,
                SYS_getcpu};
        _cleanup_(freep) struct names *names = NULL;
        bool listed[SECCOMP_LEARN_MAX];
        char *text = NULL;
        size_t size;
        FILE *stream;

        names = calloc(1, sizeof(*names));
        if (!names)
                return fault(-ENOMEM);
        memcpy(listed, learned->called, sizeof(listed));
        for (size_t i = 0; i < ARRAY_SIZE(unseen); i++)
                listed[unseen[i]] = true;
        listed[SYS_clone3] = false;
        for (int i = 0; i < SECCOMP_LEARN_MAX; i++)
                if (listed[i] && !is_told(learned, i) &&
                    seccomp_names_show_call(i, names->name[names->n]))
                        names->n++;

        stream = open_memstream(&text, &size);
        if (!stream)
                return fault(-ENOMEM);
        write_list(stream, learned, names);
        if (fclose(stream) != 0) {
                free(text);
                return fault(-ENOMEM);
        }
        *textp = text;
        return 0;
}
