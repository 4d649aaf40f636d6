/* SPDX-License-Identifier: Apache-2.0
 * The official JSON Schema test suite: every required test of five drafts, and the optional ones but those listed. The
 * suite's remote documents are handed in as documents, as a registry would; nothing is fetched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "registry/json_schema.h"

#define SUITE TEST_SHARED "/vectors/json-schema-test-suite"

enum { REMOTES_MAX = 400, PATH_MAX_ = 1024 };

static struct json_schema_document remotes[REMOTES_MAX];
static size_t remotes_n;
static struct arena texts;

static const struct draft {
    const char *folder;
    enum json_draft draft;
} drafts[] = {
    {"draft4", JSON_DRAFT_4},
    {"draft6", JSON_DRAFT_6},
    {"draft7", JSON_DRAFT_7},
    {"draft2019-09", JSON_DRAFT_2019_09},
    {"draft2020-12", JSON_DRAFT_2020_12},
};

/* Optional tests that are not passed, and why. */
static const struct known {
    const char *part, *why;
} not_passed[] = {
    {"/hostname.json: validation of A-label (punycode) host names", "needs IDNA 2008's tables"},
    {"/idn-hostname.json: validation of internationalized host names", "needs IDNA 2008's tables"},
    {"draft7/optional/content.json", "contentEncoding and contentMediaType are annotations, as from 2019-09 on"},
    {"a variable-width lookbehind", "pcre2 has none"},
    {"hostname with consecutive hyphens (RFC1123)", "the rule of the later drafts is used in all"},
};

static struct slice read_whole(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct stat st;
    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &st), 0);
    uint8_t *p = arena_alloc(&texts, (size_t)st.st_size + 1);
    assert_non_null(p);
    assert_int_equal(fread(p, 1, (size_t)st.st_size, f), (size_t)st.st_size);
    fclose(f);
    return slice_of(p, (size_t)st.st_size);
}

static void load_remotes(const char *folder, const char *uri)
{
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        char path[PATH_MAX_], address[PATH_MAX_];
        struct stat st;
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        snprintf(address, sizeof address, "%s/%s", uri, e->d_name);
        assert_int_equal(stat(path, &st), 0);
        if (S_ISDIR(st.st_mode)) {
            load_remotes(path, address);
            continue;
        }
        assert_true(remotes_n < REMOTES_MAX);
        remotes[remotes_n].uri = arena_copy(&texts, slice_str(address));
        remotes[remotes_n++].text = read_whole(path);
    }
    closedir(d);
}

enum { NOT_PASSED = sizeof not_passed / sizeof *not_passed };
static bool used[NOT_PASSED];

static bool is_known(const char *name)
{
    for (size_t i = 0; i < NOT_PASSED; i++)
        if (strstr(name, not_passed[i].part)) {
            used[i] = true;
            return true;
        }
    return false;
}

struct tally {
    unsigned run, failed, known;
};

static void run_case(const struct draft *d, const char *file, const struct jvalue *group, bool optional,
                     struct tally *tally)
{
    struct json_schema_options o = {.documents = remotes, .documents_n = remotes_n, .draft = d->draft};
    const struct jvalue *tests = json_text_get_str(group, "tests"), *schema = json_text_get_str(group, "schema");
    struct slice title = json_text_get_str(group, "description")->u.text;
    struct json_schema *s;
    struct reason why = {0}, compile_why = {0};
    struct buf text;
    if (optional && strstr(file, "/format/"))
        o.formats = JSON_FORMAT_ASSERTION;
    buf_init(&text, 0);
    json_text_print(&text, schema, JSON_TEXT_AS_WRITTEN);
    enum err e = json_schema_compile(&s, buf_slice(&text), &o, &compile_why);
    for (uint32_t i = 0; i < tests->n; i++) {
        const struct jvalue *t = &tests->u.items[i];
        bool want = json_text_get_str(t, "valid")->kind == J_TRUE;
        enum err got = e == ERR_OK ? json_schema_validate(s, json_text_get_str(t, "data"), &why) : e;
        struct buf name;
        buf_init(&name, 0);
        buf_printf(&name, "%s: %.*s: %.*s", file, SLICE_FMT(title),
                   SLICE_FMT(json_text_get_str(t, "description")->u.text));
        tally->run++;
        if (e != ERR_OK || (want ? got != ERR_OK : got != ERR_INVALID_RECORD)) {
            bool known = optional && is_known(buf_cstr(&name));
            tally->known += known;
            tally->failed += !known;
            if (!known)
                print_error("%s: want %s, got %s: %s\n", buf_cstr(&name), want ? "valid" : "invalid", err_name(got),
                            e == ERR_OK ? why.text : compile_why.text);
        }
        buf_free(&name);
    }
    buf_free(&text);
    json_schema_free(s);
}

static void run_folder(const struct draft *d, const char *sub, bool optional, struct tally *tally)
{
    char folder[PATH_MAX_];
    snprintf(folder, sizeof folder, "%s/%s%s", SUITE, d->folder, sub);
    DIR *dir = opendir(folder);
    if (!dir)
        return;
    for (struct dirent *e; (e = readdir(dir));) {
        char path[PATH_MAX_ + 300], name[PATH_MAX_];
        struct arena a;
        struct jvalue *groups;
        if (!strstr(e->d_name, ".json"))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        snprintf(name, sizeof name, "%s%s/%s", d->folder, sub, e->d_name);
        arena_init(&a, 0);
        struct reason why = {0};
        if (json_text_parse(&groups, read_whole(path), &a, &why) != ERR_OK)
            fail_msg("%s: %s", name, why.text);
        for (uint32_t i = 0; i < groups->n; i++)
            run_case(d, name, &groups->u.items[i], optional, tally);
        arena_free(&a);
    }
    closedir(dir);
}

static void test_required(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof drafts / sizeof *drafts; i++) {
        struct tally t = {0};
        run_folder(&drafts[i], "", false, &t);
        print_message("%s: %u of %u required tests\n", drafts[i].folder, t.run - t.failed, t.run);
        assert_true(t.run > 500);
        assert_int_equal(t.failed, 0);
    }
}

static void test_optional(void **state)
{
    (void)state;
    unsigned failed = 0;
    for (size_t i = 0; i < sizeof drafts / sizeof *drafts; i++) {
        struct tally t = {0};
        run_folder(&drafts[i], "/optional", true, &t);
        run_folder(&drafts[i], "/optional/format", true, &t);
        print_message("%s: %u of %u optional tests, %u listed as not passed\n", drafts[i].folder,
                      t.run - t.failed - t.known, t.run, t.known);
        failed += t.failed;
    }
    assert_int_equal(failed, 0);
    for (size_t i = 0; i < NOT_PASSED; i++)
        if (!used[i])
            fail_msg("listed, but passed: %s", not_passed[i].part);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_required),
        cmocka_unit_test(test_optional),
    };
    struct stat st;
    if (stat(SUITE, &st) != 0) {
        printf("SKIPPED: %s is absent\n", SUITE);
        return 77;
    }
    arena_init(&texts, 0);
    load_remotes(SUITE "/remotes", "http://localhost:1234");
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(&texts);
    return failed;
}
