/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_HTTP_METRICS_H
#define PROVIUM_BROKER_HTTP_METRICS_H

/*
 * /metrics and /stats: what a survey says, as Prometheus' text and as JSON (as method Stats tells
 * it, all VMs in one). Survey and text are made by threads beside the loop; all who ask meanwhile,
 * and within the second in which the survey is told again, get the same text.
 */

#include <broker/http.h>

struct broker;

_must_check_ int http_metrics(struct http_request *request);
_must_check_ int http_stats(struct http_request *request);
void http_metrics_close(struct broker *broker);

#endif
