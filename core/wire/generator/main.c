/* SPDX-License-Identifier: Apache-2.0
 * wire_generate OUTDIR FILE.msg...: writes OUTDIR/wire/NAME.h and NAME.c for each description, OUTDIR/wire/keys.h and
 * OUTDIR/wire/index.c for all of them. A file whose text would not change is left alone, so that nothing is rebuilt
 * for it. Runs on the building machine only; any problem ends it with a message and status 1. */
#include "core/wire/generator/model.h"

#include <stdio.h>
#include <stdlib.h>

void die(const char *path, int line, const char *fmt, ...)
{
    va_list ap;

    if (line)
        fprintf(stderr, "%s:%d: ", path, line);
    else
        fprintf(stderr, "%s: ", path);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(1);
}

static bool same_as_file(const char *path, const struct buf *text, struct arena *a)
{
    FILE *in = fopen(path, "r");
    char *now = arena_alloc(a, text->n + 1);
    size_t n;

    if (!in)
        return false;
    n = now ? fread(now, 1, text->n + 1, in) : 0;
    fclose(in);
    return now && n == text->n && memcmp(now, text->p, n) == 0;
}

static void write_file(const char *path, struct buf *text, struct arena *a)
{
    FILE *out;

    if (buf_error(text))
        die(path, 0, "%s", err_text(text->error));
    if (!same_as_file(path, text, a)) {
        out = fopen(path, "w");
        if (!out || fwrite(text->p, 1, text->n, out) != text->n || fclose(out) != 0)
            die(path, 0, "cannot be written");
    }
    buf_clear(text);
}

int main(int argc, char **argv)
{
    struct file **files;
    struct arena a;
    struct buf text;
    size_t n = argc > 2 ? (size_t)argc - 2 : 0;

    if (n == 0)
        die(argc > 0 ? argv[0] : "wire_generate", 0, "usage: wire_generate OUTDIR FILE.msg...");
    arena_init(&a, 0);
    buf_init(&text, 0);
    files = arena_array(&a, n, sizeof *files);
    if (!files)
        die(argv[0], 0, "out of memory");
    for (size_t i = 0; i < n; i++) {
        files[i] = parse_file(argv[i + 2], &a);
        emit_header(&text, files[i], &a);
        write_file(arena_printf(&a, "%s/wire/%s.h", argv[1], files[i]->base), &text, &a);
        emit_source(&text, files[i], &a);
        write_file(arena_printf(&a, "%s/wire/%s.c", argv[1], files[i]->base), &text, &a);
    }
    emit_keys(&text, files, n, &a);
    write_file(arena_printf(&a, "%s/wire/keys.h", argv[1]), &text, &a);
    emit_index(&text, files, n);
    write_file(arena_printf(&a, "%s/wire/index.c", argv[1]), &text, &a);
    buf_free(&text);
    arena_free(&a);
    return 0;
}
