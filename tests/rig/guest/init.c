/* SPDX-License-Identifier: MIT */
/*
 * Process 1 of the quickstart's guest: a Linux with nothing else in it. Tells on the console what the
 * guest was given, keeps its processor busy for a while, and switches the machine off.
 *
 * "work=MS" on the kernel's command line says for how long. A file of the initramfs, like this program;
 * no module is needed, because the kernel has its serial line and ACPI built in.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define WORK_DEFAULT_MS 2000
#define ROUND 20000 /* additions between two looks at the clock */

static uint64_t now_ms(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t work_ms(void) {
        char text[2048];
        const char *word;
        ssize_t n = -1;
        int fd;

        fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
                n = read(fd, text, sizeof(text) - 1);
                close(fd);
        }
        if (n < 0)
                return WORK_DEFAULT_MS;
        text[n] = '\0';
        word = strstr(text, "work=");
        return word ? strtoull(word + strlen("work="), NULL, 10) : WORK_DEFAULT_MS;
}

int main(void) {
        uint64_t begin, milliseconds, rounds = 0;
        volatile uint64_t sum = 0;
        struct utsname name = {};
        struct sysinfo info = {};
        int fd;

        /* The kernel gives us its console as 0, 1 and 2, if the initramfs has one. */
        fd = open("/dev/console", O_RDWR);
        for (int to = 0; fd >= 0 && to < 3; to++)
                dup2(fd, to);
        mkdir("/proc", 0755);
        mount("proc", "/proc", "proc", 0, NULL);
        setvbuf(stdout, NULL, _IOLBF, 0);

        uname(&name);
        sysinfo(&info);
        milliseconds = work_ms();
        printf("\nHello from a guest: %s %s\n", name.sysname, name.release);
        printf("  processors  %ld\n", sysconf(_SC_NPROCESSORS_ONLN));
        printf("  memory      %lu MiB for programs\n", (info.totalram * info.mem_unit) >> 20);
        printf("  up          %ld s\n", info.uptime);
        printf("working for %llu ms ...\n", (unsigned long long)milliseconds);

        begin = now_ms();
        while (now_ms() - begin < milliseconds) {
                for (int i = 0; i < ROUND; i++)
                        sum += (uint64_t)i;
                rounds++;
        }
        printf("done: %llu million additions. Good bye.\n\n",
               (unsigned long long)(rounds * ROUND / 1000000));
        sync();
        reboot(RB_POWER_OFF);
        return 1; /* the kernel panics, and the hypervisor leaves with an error */
}
