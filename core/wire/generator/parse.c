/* SPDX-License-Identifier: Apache-2.0
 * Reads a description. The format is one item a line, nesting by indentation (README.md beside the messages):
 *
 *     api KEY NAME listeners broker,controller [unstable]
 *     request|response|header|data NAME VERSIONS flexible VERSIONS|none
 *     metadata|key|value NUMBER NAME VERSIONS flexible VERSIONS|none
 *         FIELD TYPE VERSIONS [nullable V] [tag N V] [flexible V] [default X] [ignorable] [key] [entity E] [secret]
 *             fields of the struct that TYPE names, when it is declared here
 *         struct NAME VERSIONS
 *             fields of a struct that several fields of this message use
 *
 * A wrong line ends the program: descriptions are part of the source. */
#include "core/wire/generator/model.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORDS_MAX = 32, DEPTH_MAX = 16, LINE_MAX_BYTES = 1024 };

struct parser {
    struct arena *a;
    const char *path;
    int line;
    struct file *file;
    struct message *message;
    struct {
        int indent;       /* of the lines that belong to this struct; -1: not seen yet */
        struct strukt *s; /* whose fields they are */
    } stack[DEPTH_MAX];
    int depth;
    char *words[WORDS_MAX];
    int word_count, at;
};

static const char *next_word(struct parser *p, const char *what)
{
    if (p->at >= p->word_count)
        die(p->path, p->line, "%s is missing", what);
    return p->words[p->at++];
}

static long parse_number(struct parser *p, const char *text, long min, long max)
{
    char *end;
    long v = strtol(text, &end, 10);
    if (*text == 0 || *end || v < min || v > max)
        die(p->path, p->line, "\"%s\" is not a number from %ld to %ld", text, min, max);
    return v;
}

static struct wire_versions parse_versions(struct parser *p, const char *text)
{
    struct wire_versions v = {1, 0};
    char copy[32], *dash;
    size_t n = strlen(text);

    if (strcmp(text, "none") == 0)
        return v;
    if (n >= sizeof copy)
        die(p->path, p->line, "\"%s\" is not a version range", text);
    memcpy(copy, text, n + 1);
    if (copy[n - 1] == '+') {
        copy[n - 1] = 0;
        v.min = (int16_t)parse_number(p, copy, 0, INT16_MAX - 1);
        v.max = WIRE_VERSION_OPEN;
        return v;
    }
    dash = strchr(copy, '-');
    if (dash)
        *dash++ = 0;
    v.min = (int16_t)parse_number(p, copy, 0, INT16_MAX - 1);
    v.max = (int16_t)parse_number(p, dash ? dash : copy, v.min, INT16_MAX - 1);
    return v;
}

static struct strukt *new_struct(struct parser *p, const char *name, const char *c_name, struct wire_versions versions)
{
    struct strukt *s = arena_alloc(p->a, sizeof *s);
    if (!s)
        die(p->path, p->line, "out of memory");
    s->name = name;
    s->c_name = c_name;
    s->versions = versions;
    s->tail = &s->fields;
    return s;
}

static struct strukt *add_struct(struct parser *p, const char *name, struct wire_versions versions)
{
    struct message *m = p->message;
    struct strukt *s;

    for (s = m->structs; s; s = s->next)
        if (strcmp(s->name, name) == 0)
            die(p->path, p->line, "struct %s is declared twice in %s", name, m->name);
    s = new_struct(p, name, arena_printf(p->a, "%s_%s", m->c_name, snake_case(name, p->a)), versions);
    *m->structs_tail = s;
    m->structs_tail = &s->next;
    return s;
}

static enum wire_type parse_type(const char *name)
{
    static const struct {
        const char *name;
        enum wire_type type;
    } types[] = {{"bool", WIRE_BOOL},   {"int8", WIRE_INT8},     {"int16", WIRE_INT16}, {"uint16", WIRE_UINT16},
                 {"int32", WIRE_INT32}, {"uint32", WIRE_UINT32}, {"int64", WIRE_INT64}, {"float64", WIRE_FLOAT64},
                 {"uuid", WIRE_UUID},   {"string", WIRE_STRING}, {"bytes", WIRE_BYTES}, {"records", WIRE_RECORDS}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, name) == 0)
            return types[i].type;
    return WIRE_STRUCT;
}

static enum wire_entity parse_entity(struct parser *p, const char *name)
{
    static const char *const names[] = {[WIRE_ENTITY_NONE] = "none",
                                        [WIRE_ENTITY_TOPIC_NAME] = "topicName",
                                        [WIRE_ENTITY_GROUP_ID] = "groupId",
                                        [WIRE_ENTITY_TRANSACTIONAL_ID] = "transactionalId",
                                        [WIRE_ENTITY_PRODUCER_ID] = "producerId",
                                        [WIRE_ENTITY_BROKER_ID] = "brokerId",
                                        [WIRE_ENTITY_TOPIC_ID] = "topicId",
                                        [WIRE_ENTITY_RESOURCE_NAME] = "resourceName",
                                        [WIRE_ENTITY_COORDINATOR_KEY] = "coordinatorKey"};
    for (size_t i = 1; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return (enum wire_entity)i;
    die(p->path, p->line, "unknown entity type \"%s\"", name);
}

static void parse_attribute(struct parser *p, struct field *f, const char *word)
{
    if (strcmp(word, "nullable") == 0) {
        f->nullable = parse_versions(p, next_word(p, "version range"));
    } else if (strcmp(word, "tag") == 0) {
        f->tag = (int)parse_number(p, next_word(p, "tag"), 0, INT16_MAX);
        f->tagged = parse_versions(p, next_word(p, "version range"));
    } else if (strcmp(word, "flexible") == 0) {
        f->flexible_overridden = true;
        f->flexible = parse_versions(p, next_word(p, "version range"));
    } else if (strcmp(word, "default") == 0) {
        f->default_text = next_word(p, "default");
        if (strcmp(f->default_text, "\"\"") == 0)
            f->default_text = "";
    } else if (strcmp(word, "ignorable") == 0) {
        f->ignorable = true;
    } else if (strcmp(word, "key") == 0) {
        f->map_key = true;
    } else if (strcmp(word, "entity") == 0) {
        f->entity = parse_entity(p, next_word(p, "entity type"));
    } else if (strcmp(word, "secret") == 0) {
        f->secret = true;
    } else {
        die(p->path, p->line, "unknown attribute \"%s\"", word);
    }
}

static struct field *parse_field(struct parser *p, struct strukt *owner)
{
    struct field *f = arena_alloc(p->a, sizeof *f);

    if (!f)
        die(p->path, p->line, "out of memory");
    p->at = 0;
    f->line = p->line;
    f->tag = -1;
    f->nullable = f->tagged = f->flexible = (struct wire_versions){1, 0};
    f->name = next_word(p, "field name");
    f->c_name = field_c_name(f->name, p->a);
    f->type_name = next_word(p, "type");
    if (strncmp(f->type_name, "[]", 2) == 0) {
        f->array = true;
        f->type_name += 2;
    }
    f->type = parse_type(f->type_name);
    f->versions = parse_versions(p, next_word(p, "version range"));
    while (p->at < p->word_count)
        parse_attribute(p, f, p->words[p->at++]);
    for (const struct field *other = owner->fields; other; other = other->next)
        if (strcmp(other->name, f->name) == 0)
            die(p->path, p->line, "field %s stands twice in %s", f->name, owner->name);
    *owner->tail = f;
    owner->tail = &f->next;
    return f;
}

static void push(struct parser *p, struct strukt *s)
{
    if (p->depth == DEPTH_MAX)
        die(p->path, p->line, "nested too deeply");
    p->stack[p->depth].indent = -1;
    p->stack[p->depth++].s = s;
}

/* A line within a message: leave the structs that are indented deeper, then add to the one that is left. */
static void parse_member(struct parser *p, int indent)
{
    struct strukt *s;
    struct field *f;

    if (!p->message)
        die(p->path, p->line, "a field outside of a message");
    while (p->depth > 1 && ((p->stack[p->depth - 1].indent == -1 && indent <= p->stack[p->depth - 2].indent) ||
                            indent < p->stack[p->depth - 1].indent))
        p->depth--;
    if (p->stack[p->depth - 1].indent == -1)
        p->stack[p->depth - 1].indent = indent;
    if (p->stack[p->depth - 1].indent != indent)
        die(p->path, p->line, "the indentation fits no line above");
    s = p->stack[p->depth - 1].s;
    if (strcmp(p->words[0], "struct") == 0 && p->depth == 1) {
        const char *name;
        p->at = 1;
        name = next_word(p, "struct name");
        push(p, add_struct(p, name, parse_versions(p, next_word(p, "version range"))));
        return;
    }
    f = parse_field(p, s);
    if (f->type == WIRE_STRUCT) { /* fields may follow, deeper; else it is declared with "struct" */
        struct strukt *declared = new_struct(p, f->type_name, NULL, f->versions);
        f->body = declared;
        push(p, declared);
    }
}

static void parse_message(struct parser *p, enum wire_kind kind, bool keyed)
{
    struct message *m = arena_alloc(p->a, sizeof *m);

    if (!m)
        die(p->path, p->line, "out of memory");
    p->at = 1;
    m->kind = kind;
    m->key = keyed ? (int)parse_number(p, next_word(p, "number"), 0, INT16_MAX) : -1;
    if (kind == WIRE_REQUEST || kind == WIRE_RESPONSE) {
        if (!p->file->is_api)
            die(p->path, p->line, "a request or response before the line \"api\"");
        m->key = p->file->api_key;
    }
    m->name = next_word(p, "message name");
    m->c_name = snake_case(m->name, p->a);
    m->valid = parse_versions(p, next_word(p, "version range"));
    if (strcmp(next_word(p, "\"flexible\""), "flexible") != 0 || versions_none(m->valid))
        die(p->path, p->line, "expected: VERSIONS flexible VERSIONS");
    m->flexible = parse_versions(p, next_word(p, "version range"));
    m->structs_tail = &m->structs;
    m->root = new_struct(p, m->name, m->c_name, m->valid);
    *p->file->tail = m;
    p->file->tail = &m->next;
    p->message = m;
    p->depth = 0;
    push(p, m->root);
}

static void parse_api(struct parser *p)
{
    struct file *f = p->file;

    p->at = 1;
    f->is_api = true;
    f->api_key = (int)parse_number(p, next_word(p, "API key"), 0, INT16_MAX);
    f->api_name = next_word(p, "API name");
    while (p->at < p->word_count) {
        const char *word = p->words[p->at++];
        if (strcmp(word, "unstable") == 0) {
            f->unstable = true;
        } else if (strcmp(word, "listeners") == 0) {
            const char *list = next_word(p, "listeners");
            if (strstr(list, "broker"))
                f->listeners |= WIRE_LISTENER_BROKER;
            if (strstr(list, "controller"))
                f->listeners |= WIRE_LISTENER_CONTROLLER;
        } else {
            die(p->path, p->line, "unknown word \"%s\"", word);
        }
    }
}

static void parse_top(struct parser *p)
{
    static const struct {
        const char *word;
        enum wire_kind kind;
        bool keyed;
    } kinds[] = {{"request", WIRE_REQUEST, false},         {"response", WIRE_RESPONSE, false},
                 {"header", WIRE_HEADER, false},           {"data", WIRE_DATA, false},
                 {"metadata", WIRE_METADATA_RECORD, true}, {"key", WIRE_COORDINATOR_KEY, true},
                 {"value", WIRE_COORDINATOR_VALUE, true}};

    if (strcmp(p->words[0], "api") == 0) {
        parse_api(p);
        return;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(p->words[0], kinds[i].word) == 0) {
            parse_message(p, kinds[i].kind, kinds[i].keyed);
            return;
        }
    }
    die(p->path, p->line, "unknown word \"%s\"", p->words[0]);
}

static void split_words(struct parser *p, char *line)
{
    char *save = NULL;

    p->word_count = p->at = 0;
    for (char *w = strtok_r(line, " \t\r\n", &save); w; w = strtok_r(NULL, " \t\r\n", &save)) {
        if (*w == '#')
            return;
        if (p->word_count == WORDS_MAX)
            die(p->path, p->line, "too many words");
        p->words[p->word_count++] = arena_strdup(p->a, slice_str(w));
    }
}

struct file *parse_file(const char *path, struct arena *a)
{
    struct parser p = {.a = a, .path = path};
    const char *base = strrchr(path, '/'), *dot;
    char line[LINE_MAX_BYTES];
    FILE *in = fopen(path, "r");

    if (!in)
        die(path, 0, "cannot be opened");
    base = base ? base + 1 : path;
    dot = strrchr(base, '.');
    p.file = arena_alloc(a, sizeof *p.file);
    if (!p.file)
        die(path, 0, "out of memory");
    p.file->path = path;
    p.file->base = arena_strdup(a, slice_of(base, dot ? (size_t)(dot - base) : strlen(base)));
    p.file->tail = &p.file->messages;
    while (fgets(line, sizeof line, in)) {
        int indent = 0;
        p.line++;
        while (line[indent] == ' ')
            indent++;
        split_words(&p, line);
        if (p.word_count == 0)
            continue;
        if (indent == 0)
            parse_top(&p);
        else
            parse_member(&p, indent);
    }
    fclose(in);
    resolve_file(p.file, a);
    return p.file;
}
