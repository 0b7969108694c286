/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "lists.h"
#include "unit.h"

static int read_text(void *userdata, const char *name, char **textp, size_t *lengthp,
                     char path[SECCOMP_PATH_MAX], struct why *why) {
        for (const struct text *text = userdata; text->name; text++)
                if (strcmp(text->name, name) == 0) {
                        strcpy(path, name);
                        *lengthp = strlen(text->text);
                        *textp = strdup(text->text);
                        return *textp ? 0 : -ENOMEM;
                }
        return why_set(why, SECCOMP_E_MISSING, "there is no list '%s'", name);
}

int lists_parse(struct seccomp_list *listp, const struct text *texts, struct why *why) {
        return seccomp_list_parse(listp, "a", read_text, (void *)texts, why);
}

void lists_need(struct seccomp_list *listp, const char *text) {
        const struct text texts[] = {{"a", text}, {}};
        struct why why = {};

        need_that(lists_parse(listp, texts, &why) == 0, "%s", why.text);
}
