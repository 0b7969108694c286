/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <time.h>

#include <broker/broker.h>

static uint64_t now_ns(clockid_t clock) {
        struct timespec now;

        clock_gettime(clock, &now);
        return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t broker_now_ns(void) {
        return now_ns(CLOCK_BOOTTIME);
}

uint64_t broker_now_usec(void) {
        return broker_now_ns() / 1000;
}

uint64_t broker_realtime_ns(void) {
        return now_ns(CLOCK_REALTIME);
}

uint64_t broker_monotonic_usec(void) {
        return now_ns(CLOCK_MONOTONIC) / 1000;
}

int broker_fault(struct broker *broker, int r) {
        log_error("fault: %s", strerrordesc_np(-r));
        sd_event_exit(broker->event, r);
        return r;
}

void broker_tick_at(struct broker *broker, uint64_t usec) {
        if (!broker->tick || usec >= broker->tick_usec)
                return;
        broker->tick_usec = usec;
        sd_event_source_set_time(broker->tick, usec);
        sd_event_source_set_enabled(broker->tick, SD_EVENT_ONESHOT);
}

void broker_settle_later(struct broker *broker) {
        sd_event_source_set_enabled(broker->settle, SD_EVENT_ONESHOT);
}
