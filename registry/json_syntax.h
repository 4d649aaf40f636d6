/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_REGISTRY_JSON_SYNTAX_H
#define CASTELLAN_REGISTRY_JSON_SYNTAX_H

#include "core/base/buf.h"

/* What is wrong with a JSON text, in the words of the JSON reader the reference uses (clients show them). Says nothing
 * of texts that are JSON. */
enum json_syntax { JSON_SYNTAX_FINE, JSON_SYNTAX_EMPTY, JSON_SYNTAX_WRONG };

/* JSON_SYNTAX_EMPTY: nothing but blanks. JSON_SYNTAX_WRONG: `out` holds the text. `bound` names the type the document
 * is read as; it is part of what is said when something follows the document. */
enum json_syntax json_syntax_check(struct slice text, const char *bound, struct buf *out);

#endif
