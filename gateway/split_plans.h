/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_SPLIT_PLANS_H
#define CASTELLAN_GATEWAY_SPLIT_PLANS_H

#include "gateway/split.h"

extern const struct split_plan split_plans[]; /* ends with api_key -1 */

#endif
