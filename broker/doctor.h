/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_DOCTOR_H
#define PROVIUM_BROKER_DOCTOR_H

#include <jansson.h>

struct broker;

/*
 * Doctor: all findings, as this host is at this moment; new reference, NULL when out of memory.
 * Reads some twenty small files of the kernel and asks it for the links that the policies name:
 * nothing that waits for another process.
 */
json_t *doctor_report(struct broker *broker);

#endif
