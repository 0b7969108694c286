/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_HTTP_RESOURCES_H
#define PROVIUM_BROKER_HTTP_RESOURCES_H

/*
 * GET /resources: what the method Resources answers, for who asks. With ?instance= the allocations
 * are those of one VM, by its id or name.
 */

struct http_request;

int http_resources(struct http_request *request);

#endif
