/* SPDX-License-Identifier: Apache-2.0
 * The effective access matrix against tests/golden/acl_matrix.txt: every operation for every question of that file, so
 * that no change of governance goes unseen. UPDATE_GOLDEN=1 writes the answers anew. */
#include "acl/acl_records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define GOLDEN TEST_SOURCE "/tests/golden/acl_matrix.txt"

enum { LINE_LEN = 512, WORDS = 8 };

struct matrix {
    struct acl_set *set;
    struct acl_snapshot *s; /* built at the first question */
    char super[LINE_LEN];
    struct buf out;
};

static size_t split(char *line, char *words[WORDS])
{
    size_t n = 0;
    char *save = NULL;

    for (char *w = strtok_r(line, " \n", &save); w && n < WORDS; w = strtok_r(NULL, " \n", &save))
        words[n++] = w;
    return n;
}

/* Each rule goes through its record, too. */
static void take_rule(struct matrix *m, char *w[WORDS], size_t n)
{
    struct acl_rule r;
    struct buf key, value;

    assert_int_equal(n, 8);
    r = (struct acl_rule){acl_type_parse(slice_str(w[4])),
                          acl_pattern_parse(slice_str(w[5])),
                          acl_operation_parse(slice_str(w[3])),
                          acl_permission_parse(slice_str(w[1])),
                          slice_str(w[6]),
                          slice_str(w[2]),
                          slice_str(w[7])};
    buf_init(&key, 0);
    buf_init(&value, 0);
    assert_int_equal(acl_record_key(&key, &r), ERR_OK);
    assert_int_equal(acl_record_value(&value), ERR_OK);
    assert_int_equal(acl_record_apply(m->set, buf_slice(&key), buf_slice(&value), NULL), ERR_OK);
    assert_int_equal(acl_record_apply(m->set, buf_slice(&key), SLICE_NULL, NULL), ERR_OK);
    assert_int_equal(acl_record_apply(m->set, buf_slice(&key), buf_slice(&value), NULL), ERR_OK);
    buf_free(&key);
    buf_free(&value);
}

static void put_answers(struct matrix *m, struct acl_question *q)
{
    struct buf rules;

    buf_init(&rules, 0);
    buf_put_str(&m->out, "   ");
    for (int o = ACL_READ; o < ACL_OPERATIONS; o++) {
        struct acl_explanation x;
        q->operation = (enum acl_operation)o;
        acl_explain(m->s, q, &x);
        assert_int_equal(x.allowed, acl_allowed(m->s, q));
        buf_put_str(&m->out, x.allowed ? " +" : " -");
        if (o == ACL_READ || o == ACL_WRITE || o == ACL_DESCRIBE) {
            buf_printf(&rules, "    %s ", acl_operation_name(q->operation));
            acl_explanation_put(&rules, &x);
            buf_u8(&rules, '\n');
        }
    }
    buf_u8(&m->out, '\n');
    buf_put_slice(&m->out, buf_slice(&rules));
    buf_free(&rules);
}

static void take_question(struct matrix *m, char *w[WORDS], size_t n)
{
    struct acl_options o = {.super_users = slice_str(m->super)};
    struct acl_question q;

    assert_int_equal(n, 5);
    if (!m->s) {
        buf_put_str(&m->out, "# columns:");
        for (int i = ACL_READ; i < ACL_OPERATIONS; i++)
            buf_printf(&m->out, " %s", acl_operation_name((enum acl_operation)i));
        buf_put_str(&m->out, "\n");
        assert_int_equal(acl_snapshot_build(&m->s, m->set, &o, NULL), ERR_OK);
    }
    q = (struct acl_question){.type = acl_type_parse(slice_str(w[2])),
                              .name = slice_str(w[3]),
                              .principal = slice_str(w[1]),
                              .host = slice_str(w[4])};
    buf_printf(&m->out, "ask %s %s %s %s\n", w[1], w[2], w[3], w[4]);
    put_answers(m, &q);
}

/* The file's rules and questions are kept as they are; its answers are written anew. */
static void take_line(struct matrix *m, char *line)
{
    char copy[LINE_LEN], *words[WORDS];
    size_t n;

    if (line[0] == ' ' || strncmp(line, "# columns:", 10) == 0)
        return;
    snprintf(copy, sizeof copy, "%s", line);
    n = split(copy, words);
    if (n && strcmp(words[0], "ask") == 0) {
        take_question(m, words, n);
        return;
    }
    buf_put_str(&m->out, line);
    if (n && strcmp(words[0], "super") == 0)
        snprintf(m->super, sizeof m->super, "%s", words[1]);
    else if (n && strcmp(words[0], "rule") == 0)
        take_rule(m, words, n);
}

static void read_golden(struct buf *text)
{
    FILE *f = fopen(GOLDEN, "r");
    char block[4096];
    size_t n;

    assert_non_null(f);
    while ((n = fread(block, 1, sizeof block, f)) > 0)
        buf_put(text, block, n);
    fclose(f);
}

static void write_golden(struct slice text)
{
    FILE *f = fopen(GOLDEN, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text.p, 1, text.n, f), text.n);
    assert_int_equal(fclose(f), 0);
}

static void show_difference(const char *want, const char *got)
{
    int line = 1;
    size_t i = 0, start = 0;

    for (; want[i] && want[i] == got[i]; i++) {
        if (want[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    fail_msg(GOLDEN ":%d: want: %.*s\n   got:  %.*s", line, (int)strcspn(want + start, "\n"), want + start,
             (int)strcspn(got + start, "\n"), got + start);
}

static void the_matrix_is_as_agreed(void **state)
{
    struct matrix m = {.set = acl_set_new()};
    struct buf text;
    char line[LINE_LEN], *at;

    (void)state;
    buf_init(&text, 0);
    buf_init(&m.out, 0);
    read_golden(&text);
    for (at = buf_cstr(&text); *at;) {
        size_t n = strcspn(at, "\n");
        snprintf(line, sizeof line, "%.*s\n", (int)n, at);
        take_line(&m, line);
        at += n + (at[n] == '\n');
    }
    if (getenv("UPDATE_GOLDEN"))
        write_golden(buf_slice(&m.out));
    else if (!slice_eq(buf_slice(&text), buf_slice(&m.out)))
        show_difference(buf_cstr(&text), buf_cstr(&m.out));
    acl_snapshot_unref(m.s);
    acl_set_free(m.set);
    buf_free(&text);
    buf_free(&m.out);
}

static void foreign_records_are_skipped(void **state)
{
    static const char *const foreign[] = {
        "",
        "x",
        "[]",
        "{}",
        "null",
        "{\"host\":\"*\",\"name\":\"t\",\"operation\":\"JUMP\",\"pattern\":\"LITERAL\",\"permission\":\"ALLOW\","
        "\"principal\":\"User:a\",\"type\":\"TOPIC\"}",
        "{\"host\":\"*\",\"name\":7,\"operation\":\"READ\",\"pattern\":\"LITERAL\",\"permission\":\"ALLOW\","
        "\"principal\":\"User:a\",\"type\":\"TOPIC\"}"};
    struct acl_set *set = acl_set_new();
    struct acl_rule r = {ACL_TOPIC,           ACL_LITERAL,         ACL_READ,      ACL_ALLOW,
                         slice_str("a\"\\b"), slice_str("User:a"), slice_str("*")};
    struct buf key;

    (void)state;
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        assert_int_equal(acl_record_apply(set, slice_str(foreign[i]), slice_str("{}"), NULL), ERR_MALFORMED);
    assert_int_equal(acl_set_count(set), 0);
    buf_init(&key, 0);
    assert_int_equal(acl_record_key(&key, &r), ERR_OK);
    assert_string_equal(buf_cstr(&key), "{\"host\":\"*\",\"name\":\"a\\\"\\\\b\",\"operation\":\"READ\",\"pattern\":"
                                        "\"LITERAL\",\"permission\":\"ALLOW\",\"principal\":\"User:a\",\"type\":"
                                        "\"TOPIC\"}");
    buf_free(&key);
    acl_set_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_matrix_is_as_agreed),
        cmocka_unit_test(foreign_records_are_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
