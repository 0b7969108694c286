/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <base/fd.h>

#include "tree.h"
#include "unit.h"

void tree_init(struct tree *tree) {
        memset(tree, 0, sizeof(*tree));
        strcpy(tree->path, "/tmp/provium-test-policy-XXXXXX");
        need(mkdtemp(tree->path) != NULL);
        snprintf(tree->etc, sizeof(tree->etc), "%s/etc", tree->path);
        snprintf(tree->lib, sizeof(tree->lib), "%s/lib", tree->path);
        need(mkdir(tree->etc, 0755) == 0);
        need(mkdir(tree->lib, 0755) == 0);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

void tree_deinit(struct tree *tree) {
        tree->policy = policy_free(tree->policy);
        nftw(tree->path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

const char *tree_path(struct tree *tree, const char *name, char buffer[256]) {
        snprintf(buffer, 256, "%s/%s", tree->path, name);
        return buffer;
}

void tree_put_bytes(struct tree *tree, const char *name, const char *bytes, size_t length) {
        char path[256];
        int fd;

        tree_path(tree, name, path);
        for (char *slash = strchr(path + strlen(tree->path) + 1, '/'); slash;
             slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                need(mkdir(path, 0755) == 0 || errno == EEXIST);
                *slash = '/';
        }
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        need(fd >= 0);
        need(fchmod(fd, 0644) == 0);
        need(write(fd, bytes, length) == (ssize_t)length);
        fd_close(fd);
}

void tree_put(struct tree *tree, const char *name, const char *text) {
        tree_put_bytes(tree, name, text, strlen(text));
}

int tree_load(struct tree *tree) {
        size_t used = 0;
        int r;

        tree->policy = policy_free(tree->policy);
        r = policy_load(&tree->policy, tree->etc, tree->lib, &tree->errors);
        tree->text[0] = '\0';
        for (size_t i = 0; i < tree->errors.n && used < sizeof(tree->text); i++) {
                char line[1200];
                const char *at = policy_error_format(&tree->errors.list[i], line, sizeof(line));

                if (strncmp(at, tree->path, strlen(tree->path)) == 0)
                        at += strlen(tree->path) + 1;
                used += (size_t)snprintf(tree->text + used, sizeof(tree->text) - used, "%s\n", at);
        }
        return r;
}
