/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_GATEWAY_LIST_H
#define CASTELLAN_GATEWAY_LIST_H

#include "gateway/request/list_data.h"

/* False: this version of the API has no such list. */
bool shape_find(const struct wire_api *api, int16_t version, enum wire_entity entity, struct shape *out);

/* The request's list, or NULL with STEP_FAIL when memory ran out. */
struct request_list *list_new(struct request *r, const struct shape *shape);
const void *list_element(const struct request_list *l, int32_t i);
/* The element's name; for a topic named by id its name if it is known, else null. *id NULL: not named by id. */
struct slice list_name(const struct request *r, const struct request_list *l, int32_t i, const struct wire_uuid **id);
void list_refuse(struct request_list *l, int32_t i, enum err err);
void list_refuse_twice(struct request_list *l, int32_t i);
void list_set_silent(struct request_list *l, int32_t i); /* not forwarded, no answer of its own */
/* One partition of an element. `note` may be NULL. False: no memory. */
bool list_refuse_part(struct request *r, int32_t i, int32_t part, int16_t fate, const struct list_note *note);
bool list_any_error(const struct request_list *l);                     /* some refusal is an error */
bool list_goes(const struct request_list *l, int32_t i, int32_t part); /* part -1: the element */
int32_t list_parts(const struct request_list *l, int32_t i);
size_t list_parts_all(const struct request_list *l); /* of all elements that go on */
int32_t list_part_index(const struct request_list *l, int32_t i, int32_t part);

/* Keep in the request what goes on. NEXT, AGAIN or FAIL; l->array->n says how much that is. */
enum step list_take_out(struct request *r);
/* Put the refusals into r->response, in the order of the request; what the cluster said about things that were not
 * asked is left out. Makes the response where there is none. NEXT, AGAIN or FAIL. Linear in the request. */
enum step list_merge(struct request *r);
/* Nothing of the list is left to forward: its refusals are the answer. Returns STEP_DONE or STEP_FAIL. */
enum step list_answer(struct request *r);

#endif
