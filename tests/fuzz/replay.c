/* SPDX-License-Identifier: MIT */
/*
 * The main of a fuzz target where libFuzzer is not: feeds it every file of the given directories
 * (or files), and a few inputs that every parser must survive. So each find of the fuzzer that is
 * put into the corpus is a plain test from then on.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned n_inputs;

/* A copy of exactly that size, so that a sanitizer sees a read beyond it. */
static void feed(const void *data, size_t size) {
        uint8_t *copy = malloc(size ? size : 1);

        if (!copy)
                abort();
        memcpy(copy, data, size);
        LLVMFuzzerTestOneInput(copy, size);
        free(copy);
        n_inputs++;
}

static void feed_common(void) {
        static const char *const texts[] = {
                "", "\n", "{}", "[]", "\"", "0", "-1", "18446744073709551616", "%n%s", "\xff\xfe",
                "[Section]\nKey=Value\n", "=", "a=b", "{\"method\":\"a.b\"}", "1e999", "\xef\xbb\xbf",
        };
        static char large[65536];

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
                feed(texts[i], strlen(texts[i]));
        for (int c = 0; c < 256; c++) {
                char one = (char)c;

                feed(&one, 1);
        }
        memset(large, 'a', sizeof(large));
        feed(large, sizeof(large));
        memset(large, '[', sizeof(large));
        feed(large, sizeof(large));
        memset(large, 0, sizeof(large));
        feed(large, sizeof(large));
}

static int feed_file(const char *path) {
        FILE *file = fopen(path, "rbe");
        char *data = NULL;
        size_t size = 0, n;

        if (!file) {
                fprintf(stderr, "cannot open %s: %s\n", path, strerror(errno));
                return 1;
        }
        do {
                data = realloc(data, size + 65536);
                if (!data)
                        abort();
                n = fread(data + size, 1, 65536, file);
                size += n;
        } while (n > 0);
        fclose(file);
        feed(data, size);
        free(data);
        return 0;
}

static int feed_path(const char *path) {
        struct dirent *e;
        struct stat st;
        int failed = 0;
        DIR *d;

        if (stat(path, &st) < 0)
                return 0;               /* a target may have no corpus yet */
        if (!S_ISDIR(st.st_mode))
                return feed_file(path);
        d = opendir(path);
        if (!d)
                return 1;
        while ((e = readdir(d))) {
                char name[4096];

                if (e->d_name[0] == '.')
                        continue;
                snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
                failed |= feed_file(name);
        }
        closedir(d);
        return failed;
}

int main(int argc, char **argv) {
        int failed = 0;

        feed_common();
        for (int i = 1; i < argc; i++)
                failed |= feed_path(argv[i]);
        printf("%u inputs\n", n_inputs);
        return failed;
}
