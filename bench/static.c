/* SPDX-License-Identifier: MIT */
/*
 * The program that stands for a VM: static, and gone at once.
 *
 *     bench-static             ends at once
 *     bench-static sleep       sleeps until it is killed
 *     bench-static FD          notes in the file FD when main() began and when it ended
 *
 * The notes are two numbers of CLOCK_REALTIME in nanoseconds, as the broker's events carry them,
 * written through a mapping: what making the mapping costs lies between the two and counts for
 * nobody.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void) {
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int main(int argc, char **argv) {
        uint64_t began_ns = now_ns(), *notes;

        if (argc < 2)
                return 0;
        if (strcmp(argv[1], "sleep") == 0)
                for (;;)
                        pause();
        notes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, atoi(argv[1]), 0);
        if (notes == MAP_FAILED)
                return 1;
        notes[0] = began_ns;
        notes[1] = now_ns();
        _exit(0);
}
