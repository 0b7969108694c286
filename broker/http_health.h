/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_HTTP_HEALTH_H
#define PROVIUM_BROKER_HTTP_HEALTH_H

/*
 * GET /healthz: should VMs be sent here? 200 says that the loop lives and its cgroups are there;
 * 503 that a claim made now would not be served: the host is drained, or the broker is about to
 * leave. A host that is full or under pressure is well: claims wait there, in order, and /resources
 * says so.
 */

struct http_request;

int http_health(struct http_request *request);

#endif
