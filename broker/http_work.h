/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_HTTP_WORK_H
#define PROVIUM_BROKER_HTTP_WORK_H

/*
 * Bodies that are made in steps, one body after the other. Who asks for what somebody else waits
 * for already, and what is not begun yet, gets the same one: a storm of scrapes is as much work as
 * the server has time for, and each is told what was true after it had asked.
 */

struct http;
struct http_request;

/* Takes a few steps, at most until @until_ns of the thread's time. Negative: a fault. */
int http_work_advance(struct http *http, uint64_t until_ns);
/* The request needs its body no more. */
void http_work_leave(struct http_request *request);
/* The thread's own time. */
uint64_t http_thread_ns(void);

#endif
