/* SPDX-License-Identifier: MIT */

/*
 * Any text goes to every parser of base/units.h and to the escaper. What is accepted is within
 * bounds and begins with a digit; what is printed is read again as the same number; a refusal
 * leaves the value alone and says something that is safe to show.
 */

#include <string.h>

#include <base/text.h>
#include <base/units.h>
#include <base/why.h>

#define UNTOUCHED UINT64_C(0xfeedfacecafebeef) /* above UNITS_VALUE_MAX */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef int (*parser)(const char *text, uint64_t *valuep, struct why *why);
typedef const char *(*printer)(uint64_t value, char *buffer, size_t size);

static const struct kind {
        parser parse;
        printer exact, format;
} kinds[] = {
        {units_parse_size, units_exact_size, units_format_size},
        {units_parse_rate, units_exact_rate, units_format_rate},
        {units_parse_cpus, units_format_milli, units_format_milli},
        {units_parse_ratio, units_format_milli, units_format_milli},
        {units_parse_duration, units_exact_duration, units_format_duration},
        {units_parse_count, NULL, NULL},
};

/* Not assert(): this must hold in every build. */
static void must(bool good) {
        if (!good)
                abort();
}

static void print_and_read(const struct kind *kind, uint64_t value) {
        char buffer[UNITS_TEXT_MAX];
        uint64_t again = UNTOUCHED;

        if (!kind->exact)
                return;
        must(kind->parse(kind->exact(value, buffer, sizeof(buffer)), &again, NULL) == 0);
        must(again == value);
        must(kind->format(value, buffer, sizeof(buffer)) == buffer);
        if (value < UNITS_VALUE_MAX / 2)
                must(kind->parse(buffer, &again, NULL) == 0);
}

static void try_kind(const struct kind *kind, const char *text) {
        uint64_t value = UNTOUCHED;
        struct why why = {};
        int r = kind->parse(text, &value, &why);

        if (r) {
                must(r == UNITS_E_INVALID || r == UNITS_E_RANGE);
                must(why.code == r && value == UNTOUCHED && text_is_printable(why.text));
                return;
        }
        must(value <= UNITS_VALUE_MAX && text[0] >= '0' && text[0] <= '9');
        print_and_read(kind, value);
}

static void try_text(const char *text) {
        char small[8], large[512];
        struct why why;
        bool value;

        must(text_is_printable(text_escape(text, small, sizeof(small))));
        must(text_is_printable(text_escape(text, large, sizeof(large))));
        must(strlen(small) < sizeof(small) && strlen(large) < sizeof(large));
        if (text_check_name("name", text, &why) == 0)
                must(strlen(text) <= TEXT_NAME_MAX &&
                     strcmp(text, text_escape(text, large, 512)) == 0);
        else
                must(text_is_printable(why.text));
        if (units_parse_bool(text, &value, &why))
                must(text_is_printable(why.text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char *text = malloc(size + 1); /* exactly, so that a read behind the end is seen */
        uint64_t number = 0;

        must(text);
        memcpy(text, data, size);
        text[size] = '\0';
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                try_kind(&kinds[i], text);
        try_text(text);
        free(text);

        memcpy(&number, data, min_u64(size, sizeof(number)));
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                print_and_read(&kinds[i], number & UNITS_VALUE_MAX);
        return 0;
}
