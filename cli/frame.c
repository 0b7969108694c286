/* SPDX-License-Identifier: MIT */
#include <endian.h>
#include <msgpack.h>
#include <string.h>

#include <base/why.h>
#include <cli/frame.h>

bool frame_begins(unsigned char byte) {
        return (byte & 0xf0) == 0x80 || byte == 0xde || byte == 0xdf;
}

/* What one value takes: its own bytes, and the values that follow as its elements. */
struct extent {
        uint64_t bytes, values;
};

static uint64_t number_at(const unsigned char *bytes, size_t width) {
        uint64_t number = 0;

        for (size_t i = 0; i < width; i++)
                number = number << 8 | bytes[i];
        return number;
}

/* A value with a number of @width bytes behind its first: of bytes, or of @each values. */
static int sized(const unsigned char *at, size_t left, size_t width, size_t more, unsigned each,
                 struct extent *extent) {
        uint64_t number;

        if (left < 1 + width)
                return FRAME_E_SHORT;
        number = number_at(at + 1, width);
        *extent = each ? (struct extent){1 + width, number * each}
                       : (struct extent){1 + width + more + number, 0};
        return 0;
}

/* The format of MessagePack, https://github.com/msgpack/msgpack/blob/master/spec.md */
static int measure(const unsigned char *at, size_t left, struct extent *extent) {
        unsigned char type = *at;

        if (type <= 0x7f || type >= 0xe0 || type == 0xc0 || type == 0xc2 || type == 0xc3)
                *extent = (struct extent){1, 0};
        else if (type <= 0x8f)
                *extent = (struct extent){1, UINT64_C(2) * (type & 0x0f)};
        else if (type <= 0x9f)
                *extent = (struct extent){1, type & 0x0f};
        else if (type <= 0xbf)
                *extent = (struct extent){1 + (type & 0x1fU), 0};
        else if (type == 0xc1)
                return FRAME_E_INVALID;
        else if (type <= 0xc6) /* bin */
                return sized(at, left, (size_t)1 << (type & 3), 0, 0, extent);
        else if (type <= 0xc9) /* ext: a type beside the length */
                return sized(at, left, (size_t)1 << ((type + 1) & 3), 1, 0, extent);
        else if (type <= 0xcb) /* float */
                *extent = (struct extent){type == 0xca ? 5 : 9, 0};
        else if (type <= 0xd3) /* uint, int */
                *extent = (struct extent){1 + (UINT64_C(1) << ((type - 0xcc) & 3)), 0};
        else if (type <= 0xd8) /* fixext */
                *extent = (struct extent){2 + (UINT64_C(1) << (type - 0xd4)), 0};
        else if (type <= 0xdb) /* str */
                return sized(at, left, (size_t)1 << ((type - 1) & 3), 0, 0, extent);
        else
                return sized(at, left, type & 1 ? 4 : 2, 0, type <= 0xdd ? 1 : 2, extent);
        return 0;
}

int frame_length(const void *bytes, size_t size, size_t *lengthp) {
        const unsigned char *at = bytes;
        uint64_t done = 0, values = 1;

        if (size == 0)
                return FRAME_E_SHORT;
        if (!frame_begins(*at))
                return FRAME_E_INVALID;
        while (values > 0) {
                struct extent extent;
                int r;

                /* Each value that is still to come takes a byte at least. */
                if (done + values > FRAME_MAX)
                        return FRAME_E_INVALID;
                if (done >= size)
                        return FRAME_E_SHORT;
                r = measure(at + done, size - done, &extent);
                if (r)
                        return r;
                done += extent.bytes;
                values += extent.values - 1;
        }
        if (done > FRAME_MAX)
                return FRAME_E_INVALID;
        if (done > size)
                return FRAME_E_SHORT;
        *lengthp = (size_t)done;
        return 0;
}

static int pack(msgpack_packer *packer, const json_t *value) {
        const char *key;
        json_t *member;
        size_t i;
        int r = 0;

        switch (json_typeof(value)) {
        case JSON_OBJECT:
                r |= msgpack_pack_map(packer, json_object_size(value));
                json_object_foreach((json_t *)value, key, member) {
                        r |= msgpack_pack_str_with_body(packer, key, strlen(key));
                        r |= pack(packer, member);
                }
                return r;
        case JSON_ARRAY:
                r |= msgpack_pack_array(packer, json_array_size(value));
                json_array_foreach(value, i, member)
                        r |= pack(packer, member);
                return r;
        case JSON_STRING:
                return msgpack_pack_str_with_body(packer, json_string_value(value),
                                                  json_string_length(value));
        case JSON_INTEGER:
                return msgpack_pack_int64(packer, json_integer_value(value));
        case JSON_REAL:
                return msgpack_pack_double(packer, json_real_value(value));
        case JSON_TRUE:
                return msgpack_pack_true(packer);
        case JSON_FALSE:
                return msgpack_pack_false(packer);
        case JSON_NULL:
                break;
        }
        return msgpack_pack_nil(packer);
}

int frame_pack(const json_t *event, char **bytesp, size_t *lengthp) {
        msgpack_sbuffer buffer;
        msgpack_packer packer;
        size_t length;

        if (!json_is_object(event))
                return FRAME_E_INVALID;
        msgpack_sbuffer_init(&buffer);
        msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
        if (pack(&packer, event) != 0) {
                msgpack_sbuffer_destroy(&buffer);
                return fault(-ENOMEM);
        }
        length = buffer.size;
        if (length > FRAME_MAX) {
                msgpack_sbuffer_destroy(&buffer);
                return FRAME_E_INVALID;
        }
        *bytesp = msgpack_sbuffer_release(&buffer);
        *lengthp = length;
        return 0;
}

static json_t *convert(const msgpack_object *value);

static json_t *convert_map(const msgpack_object_map *map) {
        json_t *object = json_object();

        for (uint32_t i = 0; object && i < map->size; i++) {
                const msgpack_object *key = &map->ptr[i].key;
                json_t *member = key->type == MSGPACK_OBJECT_STR ? convert(&map->ptr[i].val) : NULL;

                if (!member ||
                    json_object_setn_new(object, key->via.str.ptr, key->via.str.size, member) < 0)
                        json_decref(take(object));
        }
        return object;
}

static json_t *convert_array(const msgpack_object_array *elements) {
        json_t *array = json_array();

        for (uint32_t i = 0; array && i < elements->size; i++)
                if (json_array_append_new(array, convert(&elements->ptr[i])) < 0)
                        json_decref(take(array));
        return array;
}

/* NULL: there is no such thing in JSON (or no memory). No deeper than the library unpacks. */
static json_t *convert(const msgpack_object *value) {
        switch (value->type) {
        case MSGPACK_OBJECT_NIL:
                return json_null();
        case MSGPACK_OBJECT_BOOLEAN:
                return json_boolean(value->via.boolean);
        case MSGPACK_OBJECT_POSITIVE_INTEGER:
                return value->via.u64 > INT64_MAX ? NULL : json_integer((json_int_t)value->via.u64);
        case MSGPACK_OBJECT_NEGATIVE_INTEGER:
                return json_integer(value->via.i64);
        case MSGPACK_OBJECT_FLOAT32:
        case MSGPACK_OBJECT_FLOAT64:
                return json_real(value->via.f64);
        case MSGPACK_OBJECT_STR:
                return json_stringn(value->via.str.ptr, value->via.str.size);
        case MSGPACK_OBJECT_ARRAY:
                return convert_array(&value->via.array);
        case MSGPACK_OBJECT_MAP:
                return convert_map(&value->via.map);
        case MSGPACK_OBJECT_BIN:
        case MSGPACK_OBJECT_EXT:
                break;
        }
        return NULL;
}

int frame_unpack(const void *bytes, size_t length, json_t **eventp, struct why *why) {
        msgpack_unpacked unpacked;
        json_t *event = NULL;
        size_t done = 0;

        msgpack_unpacked_init(&unpacked);
        if (msgpack_unpack_next(&unpacked, bytes, length, &done) == MSGPACK_UNPACK_SUCCESS &&
            done == length)
                event = convert(&unpacked.data);
        msgpack_unpacked_destroy(&unpacked);
        if (!event)
                return why_set(why, FRAME_E_INVALID,
                               "this frame is no event: it is deeper, or holds something else than "
                               "texts, numbers, truths, lists and maps with texts as keys");
        *eventp = event;
        return 0;
}
