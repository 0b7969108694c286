/* SPDX-License-Identifier: MIT */
/*
 * Asks for N VMs, one after the other, for whatever wants to be measured from outside:
 *
 *     bench-fill SOCKET PROGRAM N        detached ones that sleep until they are killed
 *     bench-fill SOCKET PROGRAM N MSEC   such that end at once, each waited for, with a pause of
 *                                        MSEC milliseconds after each
 */
#include <err.h>
#include <fcntl.h>
#include <time.h>

#include <bench/ask.h>

int main(int argc, char **argv) {
        struct ask_run run;
        struct timespec pause = {};
        int null;

        if (argc < 4)
                errx(64, "usage: bench-fill SOCKET PROGRAM N [MSEC]");
        null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (argc == 4)
                ask_run_init(&run, "crowd", argv[2], "sleep", true);
        else
                ask_run_init(&run, "bench", argv[2], NULL, false);
        if (argc > 4)
                pause = (struct timespec){atoi(argv[4]) / 1000, (atoi(argv[4]) % 1000) * 1000000L};
        for (int i = 0; i < atoi(argv[3]); i++) {
                ask_run(&run, argv[1], null);
                if (argc > 4)
                        nanosleep(&pause, NULL);
        }
        return 0;
}
