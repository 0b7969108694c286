/* SPDX-License-Identifier: MIT */
/*
 * Fills the host with detached VMs that sleep: bench-fill SOCKET PROGRAM N. They stay until they
 * are killed.
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>

#include <bench/ask.h>

int main(int argc, char **argv) {
        struct ask_run run;
        int null;

        if (argc != 4)
                errx(64, "usage: bench-fill SOCKET PROGRAM N");
        null = open("/dev/null", O_RDWR | O_CLOEXEC);
        ask_run_init(&run, "crowd", argv[2], "sleep", true);
        for (int i = 0; i < atoi(argv[3]); i++)
                ask_run(&run, argv[1], null);
        return 0;
}
