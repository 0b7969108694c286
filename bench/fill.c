/* SPDX-License-Identifier: MIT */
/*
 * Asks for N VMs, one after the other, for whatever wants to be measured from outside:
 *
 *     bench-fill SOCKET PROGRAM N        detached ones that sleep until they are killed
 *     bench-fill SOCKET PROGRAM N life   such that end at once, each waited for
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>

#include <bench/ask.h>

int main(int argc, char **argv) {
        struct ask_run run;
        int null;

        if (argc < 4)
                errx(64, "usage: bench-fill SOCKET PROGRAM N [life]");
        null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (argc == 4)
                ask_run_init(&run, "crowd", argv[2], "sleep", true);
        else
                ask_run_init(&run, "bench", argv[2], NULL, false);
        for (int i = 0; i < atoi(argv[3]); i++)
                ask_run(&run, argv[1], null);
        return 0;
}
