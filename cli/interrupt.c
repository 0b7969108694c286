/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <base/fd.h>
#include <cli/interrupt.h>

static void ending_signals(sigset_t *set) {
        static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

        sigemptyset(set);
        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
                struct sigaction action;

                if (sigaction(numbers[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
                        sigaddset(set, numbers[i]);
        }
}

int interrupt_init(struct interrupt *interrupt) {
        sigset_t set;

        ending_signals(&set);
        interrupt->signo = 0;
        interrupt->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (interrupt->fd < 0)
                return fault(-errno);
        sigprocmask(SIG_BLOCK, &set, NULL);
        return 0;
}

void interrupt_deinit(struct interrupt *interrupt) {
        sigset_t set;

        if (interrupt->fd < 0)
                return;
        interrupt->fd = fd_close(interrupt->fd);
        ending_signals(&set);
        sigprocmask(SIG_UNBLOCK, &set, NULL);
}

bool interrupt_came(struct interrupt *interrupt) {
        struct signalfd_siginfo info;

        if (!interrupt->signo && read(interrupt->fd, &info, sizeof(info)) == sizeof(info))
                interrupt->signo = (int)info.ssi_signo;
        return interrupt->signo;
}
