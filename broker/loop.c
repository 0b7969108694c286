/* SPDX-License-Identifier: MIT */
#include <time.h>

#include <broker/broker.h>
#include <broker/loop.h>
#include <broker/meter.h>

static uint64_t now_ns(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int dispatch(struct broker *broker) {
        uint64_t began = now_ns();
        int r;

        r = sd_event_dispatch(broker->event);
        meter_turn(broker, now_ns() - began);
        return r;
}

int loop_run(struct broker *broker) {
        sd_event *event = broker->event;
        int r, code = 0;

        while (sd_event_get_state(event) != SD_EVENT_FINISHED) {
                r = sd_event_prepare(event);
                if (r == 0)
                        r = sd_event_wait(event, UINT64_MAX);
                if (r > 0)
                        r = dispatch(broker);
                if (r < 0)
                        return fault(r);
        }
        r = sd_event_get_exit_code(event, &code);
        return r < 0 ? fault(r) : code;
}
