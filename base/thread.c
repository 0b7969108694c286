/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <signal.h>

#include <base/thread.h>

int thread_start(void *(*run)(void *), void *userdata, size_t stack_bytes) {
        pthread_attr_t attributes;
        pthread_t thread;
        sigset_t all;
        int r;

        r = pthread_attr_init(&attributes);
        if (r)
                return r;
        sigfillset(&all);
        r = pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        if (r == 0 && stack_bytes)
                r = pthread_attr_setstacksize(&attributes, stack_bytes);
        if (r == 0)
                r = pthread_attr_setsigmask_np(&attributes, &all);
        if (r == 0)
                r = pthread_create(&thread, &attributes, run, userdata);
        pthread_attr_destroy(&attributes);
        return r;
}
