/* SPDX-License-Identifier: Apache-2.0
 * Runs a fuzz target without libFuzzer: every file of the given folders (or each given file) as it is, cut short, and
 * with bytes changed in a way that is the same on every run. Inputs stand in memory of exactly their size, so that a
 * sanitizer sees any read beyond them. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { INPUT_MAX = 1 << 20, VARIANTS = 48, SKIPPED = 77 };

static unsigned files;

static uint32_t next(uint32_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 17;
    *x ^= *x << 5;
    return *x;
}

static void run(const uint8_t *p, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy)
        exit(1);
    memcpy(copy, p, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

static void replay_file(const char *path)
{
    uint8_t *p = malloc(INPUT_MAX);
    uint32_t x = 2463534242u;
    FILE *in = fopen(path, "rb");
    size_t n;

    if (!in || !p) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(1);
    }
    n = fread(p, 1, INPUT_MAX, in);
    fclose(in);
    files++;
    run(p, n);
    for (int i = 0; n && i < VARIANTS; i++) {
        size_t at = next(&x) % n;
        uint8_t was = p[at];
        run(p, at);
        p[at] = (uint8_t)next(&x);
        run(p, n);
        if (i % 4)
            p[at] = was;
    }
    free(p);
}

static void replay(const char *path)
{
    struct dirent **entries;
    struct stat st;
    int n;

    if (stat(path, &st) != 0)
        return;
    if (!S_ISDIR(st.st_mode)) {
        replay_file(path);
        return;
    }
    n = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char inner[4096];
        if (entries[i]->d_name[0] != '.') {
            snprintf(inner, sizeof inner, "%s/%s", path, entries[i]->d_name);
            replay(inner);
        }
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    printf("%u inputs replayed\n", files);
    if (files == 0) {
        printf("skipped: no corpus\n");
        return SKIPPED;
    }
    return 0;
}
