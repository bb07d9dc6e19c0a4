/* Values as the public header shows them: thin over proto's reader. */
#include "client/futured.h"

#include <string.h>

#include "proto/reader.h"

static struct reader
at(struct futured_value v)
{
	return (struct reader){ v.at, v.end };
}

enum futured_type
futured_value_type(struct futured_value v)
{
	struct reader r = at(v);

	if (v.at == NULL)
		return FUTURED_TYPE_NONE;
	switch (reader_peek(&r)) {
	case READER_NIL:
		return FUTURED_TYPE_NIL;
	case READER_BOOL:
		return FUTURED_TYPE_BOOL;
	case READER_INT:
		return FUTURED_TYPE_INT;
	case READER_FLOAT:
		return FUTURED_TYPE_FLOAT;
	case READER_STR:
		return FUTURED_TYPE_STR;
	case READER_BIN:
		return FUTURED_TYPE_BIN;
	case READER_ARRAY:
		return FUTURED_TYPE_ARRAY;
	case READER_MAP:
		return FUTURED_TYPE_MAP;
	case READER_EXT:
		return FUTURED_TYPE_EXT;
	case READER_END:
	case READER_BAD:
		break;
	}
	return FUTURED_TYPE_NONE;
}

const char *
futured_type_name(enum futured_type type)
{
	static const char *const name[] = { "nothing", "nil", "bool", "int", "float", "str", "bin", "array", "map", "ext" };

	return (unsigned)type < sizeof name / sizeof name[0] ? name[type] : "nothing";
}

bool
futured_value_bool(struct futured_value v, bool *out)
{
	struct reader r = at(v);

	return v.at != NULL && read_bool(&r, out);
}

bool
futured_value_int(struct futured_value v, int64_t *out)
{
	struct reader r = at(v);

	return v.at != NULL && read_int(&r, out);
}

bool
futured_value_uint(struct futured_value v, uint64_t *out)
{
	struct reader r = at(v);

	return v.at != NULL && read_uint(&r, out);
}

bool
futured_value_number(struct futured_value v, double *out)
{
	struct reader r = at(v);

	return v.at != NULL && read_number(&r, out);
}

bool
futured_value_str(struct futured_value v, const char **s, size_t *len)
{
	struct reader r = at(v);

	return v.at != NULL && read_str(&r, s, len);
}

bool
futured_value_bin(struct futured_value v, const void **bytes, size_t *len)
{
	struct reader r = at(v);
	const uint8_t *p;

	if (v.at == NULL || !read_bin(&r, &p, len))
		return false;
	*bytes = p;
	return true;
}

bool
futured_value_text(struct futured_value v, const char **s, size_t *len)
{
	struct reader r = at(v);

	return v.at != NULL && read_text(&r, s, len);
}

bool
futured_value_ext(struct futured_value v, int *type, const void **bytes, size_t *len)
{
	struct reader r = at(v);
	const uint8_t *p;
	int8_t t;

	if (v.at == NULL || !read_ext(&r, &t, &p, len))
		return false;
	*type = t;
	*bytes = p;
	return true;
}

bool
futured_value_is_str(struct futured_value v, const char *s)
{
	struct reader r = at(v);

	return v.at != NULL && read_is(&r, s);
}

bool
futured_value_array(struct futured_value v, size_t *count, struct futured_value *inside)
{
	struct reader r = at(v);
	uint32_t n;

	if (v.at == NULL || !read_array(&r, &n))
		return false;
	*count = n;
	*inside = (struct futured_value){ r.at, r.end };
	return true;
}

bool
futured_value_map(struct futured_value v, size_t *pairs, struct futured_value *inside)
{
	struct reader r = at(v);
	uint32_t n;

	if (v.at == NULL || !read_map(&r, &n))
		return false;
	*pairs = n;
	*inside = (struct futured_value){ r.at, r.end };
	return true;
}

bool
futured_value_next(struct futured_value *cursor, struct futured_value *item)
{
	struct reader r = at(*cursor);
	const uint8_t *bytes;
	size_t len;

	if (cursor->at == NULL || reader_is_at_end(&r) || !read_raw(&r, &bytes, &len))
		return false;
	*item = (struct futured_value){ bytes, bytes + len };
	cursor->at = r.at;
	return true;
}

bool
futured_value_find(struct futured_value map, const char *key, struct futured_value *out)
{
	struct futured_value inside, k, v;
	size_t pairs;

	memset(out, 0, sizeof *out);
	if (!futured_value_map(map, &pairs, &inside))
		return false;
	while (pairs-- > 0 && futured_value_next(&inside, &k) && futured_value_next(&inside, &v))
		if (futured_value_is_str(k, key)) {
			*out = v;
			return true;
		}
	return false;
}

bool
futured_find_int(struct futured_value map, const char *key, int64_t *out)
{
	struct futured_value v;

	return futured_value_find(map, key, &v) && futured_value_int(v, out);
}

bool
futured_find_uint(struct futured_value map, const char *key, uint64_t *out)
{
	struct futured_value v;

	return futured_value_find(map, key, &v) && futured_value_uint(v, out);
}

bool
futured_find_number(struct futured_value map, const char *key, double *out)
{
	struct futured_value v;

	return futured_value_find(map, key, &v) && futured_value_number(v, out);
}

bool
futured_find_bool(struct futured_value map, const char *key, bool *out)
{
	struct futured_value v;

	return futured_value_find(map, key, &v) && futured_value_bool(v, out);
}

bool
futured_find_text(struct futured_value map, const char *key, const char **s, size_t *len)
{
	struct futured_value v;

	return futured_value_find(map, key, &v) && futured_value_text(v, s, len);
}
