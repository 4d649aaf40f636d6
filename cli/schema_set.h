/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CASTELLAN_CLI_SCHEMA_SET_H
#define CASTELLAN_CLI_SCHEMA_SET_H

#include "cli/session.h"

/* A registry's content in memory, and as a file of JSON lines:
 *
 *   {"kind":"header","format":"castellan-schemas","version":1,"from":URL,"notes":[TEXT...]}
 *   {"kind":"schema","subject":S,"version":N,"id":N,"schemaType":T,"schema":TEXT,"references":[...],"metadata":{...},
 *    "ruleSet":{...},"deleted":true}         (the last four where there is something to say)
 *   {"kind":"config","scope":SCOPE,"config":{...}}
 *   {"kind":"mode","scope":SCOPE,"mode":MODE}
 *   {"kind":"end","schemas":N,"configs":N,"modes":N}
 *
 * SCOPE is "" (global), ":.CONTEXT:" or a subject. A schema comes after all those it refers to, so the lines can be
 * registered in their order. A file without its last line was cut short. */
struct schema_set {
    char *from;      /* where it was read */
    json_t *schemas; /* array of schema lines without "kind" */
    json_t *by_version, *by_id;
    json_t *configs, *modes; /* by scope; in GET's form, and a string */
    json_t *notes;           /* what could not be read, or looks odd: array of texts */
};

void schema_set_init(struct schema_set *set);
void schema_set_free(struct schema_set *set);
enum err schema_set_from(struct session *s, struct schema_set *set, const char *where) MUST_CHECK;
/* A schema as a registry serves it; what is not a schema's own is dropped, what is not said is filled in. Takes over
 * nothing. One that is there already is left. ERR_MALFORMED: it lacks subject, version, id or text. */
enum err schema_set_add(struct session *s, struct schema_set *set, const json_t *schema, bool deleted) MUST_CHECK;
json_t *schema_set_find(const struct schema_set *set, const char *subject, json_int_t version); /* borrowed, or NULL */
/* The schemas with that id in the subject's context: a borrowed array, or NULL. */
const json_t *schema_set_with_id(const struct schema_set *set, const char *subject, json_int_t id);
void schema_set_note(struct schema_set *set, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Puts each schema behind those it refers to, else by id. */
enum err schema_set_sort(struct session *s, struct schema_set *set) MUST_CHECK;
enum err schema_set_print(struct session *s, const struct schema_set *set, FILE *out) MUST_CHECK;
enum err schema_set_read(struct session *s, struct schema_set *set, const char *path) MUST_CHECK; /* "-": stdin */

/* --- schema objects --- */
const char *schema_subject(const json_t *schema);
json_int_t schema_version(const json_t *schema);
json_int_t schema_id(const json_t *schema);
bool schema_deleted(const json_t *schema);
/* The subject a reference of a schema under `parent` means: a plain name belongs to the parent's context. Appends. */
void schema_put_referred(struct buf *out, const char *parent, const char *subject);
/* "" for a subject of the default context, else ":.CONTEXT:": the scope around it. Appends. */
void schema_put_context_scope(struct buf *out, const char *subject);
/* Equal but for the spelling of JSON. */
bool schema_same_text(const json_t *a, const json_t *b);
/* The same but for id, version, subject and spelling. */
bool schema_same_content(const json_t *a, const json_t *b);

#endif
