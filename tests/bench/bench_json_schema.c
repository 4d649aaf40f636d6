/* SPDX-License-Identifier: Apache-2.0
 * Documents per second: parsed and validated against a JSON Schema, only validated, and, for comparison in the same
 * run, only parsed by jansson. Usage: bench_json_schema */
#include "registry/json_schema.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { DOCUMENTS = 200000, KINDS = 64 };

static const char schema_text[] =
    "{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"type\":\"object\",\"additionalProperties\":false,"
    "\"required\":[\"id\",\"customer\",\"lines\",\"state\"],\"properties\":{"
    "\"id\":{\"type\":\"integer\",\"minimum\":1},\"state\":{\"enum\":[\"new\",\"paid\",\"sent\"]},"
    "\"note\":{\"type\":[\"string\",\"null\"],\"maxLength\":200},"
    "\"customer\":{\"$ref\":\"#/definitions/customer\"},"
    "\"lines\":{\"type\":\"array\",\"minItems\":1,\"items\":{\"type\":\"object\",\"required\":[\"sku\",\"count\"],"
    "\"properties\":{\"sku\":{\"type\":\"string\",\"pattern\":\"^[A-Z]{2}-[0-9]+$\"},"
    "\"count\":{\"type\":\"integer\",\"exclusiveMinimum\":0},\"price\":{\"type\":\"number\",\"multipleOf\":0.01}}}}},"
    "\"definitions\":{\"customer\":{\"type\":\"object\",\"required\":[\"name\"],\"properties\":{"
    "\"name\":{\"type\":\"string\",\"minLength\":1},\"mail\":{\"type\":\"string\"},\"age\":{\"type\":\"integer\"}}}}}";

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static double per_second(int64_t started)
{
    return DOCUMENTS / ((double)(now_ns() - started) / 1e9);
}

static void make_documents(struct buf *documents)
{
    for (int i = 0; i < KINDS; i++) {
        buf_init(&documents[i], 0);
        buf_printf(&documents[i],
                   "{\"id\":%d,\"state\":\"%s\",\"customer\":{\"name\":\"Customer %d\",\"mail\":\"c%d@example.com\","
                   "\"age\":%d},\"lines\":[{\"sku\":\"AB-%d\",\"count\":%d,\"price\":%d.%02d},"
                   "{\"sku\":\"XY-%d\",\"count\":2,\"price\":9.95}],\"note\":null}",
                   1000 + i, i % 2 ? "new" : "paid", i, i, 20 + i, i, 1 + i % 5, i, i % 100, i * 7);
    }
}

static double run_ours(const struct json_schema *s, struct buf *documents, bool validate)
{
    struct arena a;
    int64_t started = now_ns();
    arena_init(&a, 0);
    for (int i = 0; i < DOCUMENTS; i++) {
        struct jvalue *v;
        if (json_text_parse(&v, buf_slice(&documents[i % KINDS]), &a, NULL) != ERR_OK ||
            (validate && json_schema_validate(s, v, NULL) != ERR_OK))
            exit(1);
        arena_reset(&a);
    }
    arena_free(&a);
    return per_second(started);
}

static double run_jansson(struct buf *documents)
{
    int64_t started = now_ns();
    for (int i = 0; i < DOCUMENTS; i++) {
        json_error_t error;
        json_t *v = json_loadb((const char *)documents[i % KINDS].p, documents[i % KINDS].n, 0, &error);
        if (!v)
            exit(1);
        json_decref(v);
    }
    return per_second(started);
}

int main(void)
{
    struct json_schema *s;
    struct reason why = {0};
    struct buf documents[KINDS];
    double jansson, parse, both;
    if (json_schema_compile(&s, slice_str(schema_text), NULL, &why) != ERR_OK) {
        fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    make_documents(documents);
    jansson = run_jansson(documents);
    parse = run_ours(s, documents, false);
    both = run_ours(s, documents, true);
    printf("documents of about %zu bytes, one core\n", documents[0].n);
    printf("parse (jansson)        %9.0f/s  1.00\n", jansson);
    printf("parse                  %9.0f/s  %.2f\n", parse, parse / jansson);
    printf("parse and validate     %9.0f/s  %.2f\n", both, both / jansson);
    printf("validate only          %9.0f/s  %.2f\n", 1 / (1 / both - 1 / parse), 1 / (1 / both - 1 / parse) / jansson);
    for (int i = 0; i < KINDS; i++)
        buf_free(&documents[i]);
    json_schema_free(s);
    return 0;
}
