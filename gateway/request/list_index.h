/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_LIST_INDEX_H
#define CASTELLAN_GATEWAY_LIST_INDEX_H

#include "gateway/request/list.h"

/* Finds the elements of the cluster's answer by what they are about; those of one name in their order. As long as the
 * cluster answers in the order it was asked, nothing is built. */
struct list_index;
struct list_index *list_index_new(struct request *r, void *v, int32_t n); /* in the arena; NULL: no memory */
/* The answer's element for element i of the request; *got NULL when there is none. NEXT, AGAIN or FAIL. */
enum step list_index_find(struct request *r, struct list_index *x, int32_t i, const void **got);

#endif
