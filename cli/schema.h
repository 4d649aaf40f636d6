/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CLI_SCHEMA_H
#define CASTELLAN_CLI_SCHEMA_H

#include "cli/session.h"

enum { SCHEMA_PAGE = 1000, SCHEMA_FILE_MAX = 64 * 1024 * 1024 };

/* FIRST SUBJECT REST at the registry, the subject escaped (or NULL). */
enum err schema_ask(struct session *s, const char *method, const json_t *body, json_t **answer, const char *first,
                    const char *subject, const char *rest) MUST_CHECK;
/* Every schema of GET /schemas, page after page; `query` is "" or "&key=value". */
enum err schema_each_page(struct session *s, const char *query, json_t **out) MUST_CHECK;

enum err schema_export(struct session *s) MUST_CHECK;
enum err schema_import(struct session *s) MUST_CHECK;

#endif
