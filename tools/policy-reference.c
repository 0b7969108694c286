/* SPDX-License-Identifier: MIT */

/*
 * Prints provium.conf(5): the hand-written page given as the first argument, with the line
 * "@REFERENCE@" replaced by the reference out of the table of keys. Runs when the project is built.
 */

#include <stdio.h>
#include <string.h>

#include <base/macro.h>
#include <policies/policy.h>

static void fclosep(FILE **filep) {
        if (*filep)
                fclose(*filep);
}

int main(int argc, char **argv) {
        _cleanup_(fclosep) FILE *page = NULL;
        _cleanup_(freep) char *reference = policy_reference();
        char line[1024];

        if (argc != 2) {
                fprintf(stderr, "Usage: %s PAGE.in\n", argv[0]);
                return 64;
        }
        page = fopen(argv[1], "re");
        if (!page || !reference) {
                fprintf(stderr, "%s: cannot read \"%s\"\n", argv[0], argv[1]);
                return 1;
        }
        while (fgets(line, sizeof(line), page))
                fputs(strcmp(line, "@REFERENCE@\n") == 0 ? reference : line, stdout);
        return ferror(page) || fflush(stdout) != 0;
}
