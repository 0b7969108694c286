/* SPDX-License-Identifier: MIT */
#ifndef PROVIUM_BROKER_RATES_H
#define PROVIUM_BROKER_RATES_H

/*
 * One number for admission, enforcement and report: TBF's rate is the claim, the class's rate the
 * guarantee (claim / ratio), its ceil what may be borrowed.
 */

#include <base/macro.h>

struct broker;
struct lease;
struct shape;

/* What claim, ratio and policy come to, into the rates and the bucket of @shape. */
void rates_set(const struct lease *lease, struct shape *shape);

/* Is more of the network sold than may be? Then guarantees are cut in proportion. */
bool rates_oversold(const struct broker *broker);

#endif
