/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_DOCTOR_HTTP_H
#define PROVIUM_BROKER_DOCTOR_HTTP_H

/*
 * Where readers are served over HTTP, where they should be and are not, and what whoever can reach
 * an address is shown.
 */

struct findings;

void doctor_check_http(struct findings *findings);

#endif
