/* JSON in, through jansson. */
#include <jansson.h>
#include <string.h>

#include "client/fut/json.h"

static int
digit_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes in place of `out`, which has room for 3/4 of len; -1 if it is not base64 with its padding. */
static long
unbase64(const char *s, size_t len, unsigned char *out)
{
	size_t pad = 0, n = 0;
	unsigned v = 0;

	if (len % 4 != 0)
		return -1;
	while (pad < 2 && pad < len && s[len - 1 - pad] == '=')
		pad++;
	for (size_t i = 0; i < len - pad; i++) {
		int d = digit_of(s[i]);

		if (d < 0)
			return -1;
		v = v << 6 | (unsigned)d;
		if (i % 4 > 0)
			out[n++] = (unsigned char)(v >> (6 - 2 * (i % 4)));
	}
	return (long)n;
}

static bool
pack_bytes(json_t *text, struct futured_pack *p)
{
	size_t len = json_string_length(text);
	unsigned char *bytes = need(malloc(len + 1));
	long n = unbase64(json_string_value(text), len, bytes);

	if (n >= 0)
		futured_pack_bin(p, bytes, (size_t)n);
	free(bytes);
	return n >= 0;
}

static bool pack_json(json_t *j, struct futured_pack *p, const char **wrong);

/* Objects with one key may stand for what JSON does not have. */
static bool
pack_special(json_t *j, struct futured_pack *p, const char **wrong, bool *well)
{
	json_t *bytes, *id;

	if (json_object_size(j) != 1)
		return false;
	if ((bytes = json_object_get(j, "base64")) != NULL && json_is_string(bytes)) {
		if (!(*well = pack_bytes(bytes, p)))
			*wrong = "\"base64\" is not base64";
		return true;
	}
	if ((id = json_object_get(j, "future")) != NULL && json_is_integer(id) && json_integer_value(id) > 0) {
		futured_pack_future(p, (uint64_t)json_integer_value(id));
		*well = true;
		return true;
	}
	return false;
}

static bool
pack_object(json_t *j, struct futured_pack *p, const char **wrong)
{
	const char *key;
	json_t *item;
	bool well;

	if (pack_special(j, p, wrong, &well))
		return well;
	futured_pack_map(p, json_object_size(j));
	json_object_foreach(j, key, item) {
		futured_pack_str(p, key);
		if (!pack_json(item, p, wrong))
			return false;
	}
	return true;
}

static bool
pack_json(json_t *j, struct futured_pack *p, const char **wrong)
{
	json_t *item;
	size_t i;

	switch (json_typeof(j)) {
	case JSON_OBJECT:
		return pack_object(j, p, wrong);
	case JSON_ARRAY:
		futured_pack_array(p, json_array_size(j));
		json_array_foreach(j, i, item)
			if (!pack_json(item, p, wrong))
				return false;
		return true;
	case JSON_STRING:
		futured_packf(p, "S", json_string_value(j), json_string_length(j));
		return true;
	case JSON_INTEGER:
		futured_pack_int(p, json_integer_value(j));
		return true;
	case JSON_REAL:
		futured_pack_double(p, json_real_value(j));
		return true;
	case JSON_TRUE:
	case JSON_FALSE:
		futured_pack_bool(p, json_is_true(j));
		return true;
	case JSON_NULL:
		futured_pack_nil(p);
		return true;
	}
	return false;
}

bool
jsonin_read(const char *text, size_t len, struct futured_pack *p, char *why, size_t why_size)
{
	json_error_t error;
	json_t *j = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
	const char *wrong = NULL;
	bool well;

	if (j == NULL) {
		snprintf(why, why_size, "line %d, column %d: %s", error.line, error.column, error.text);
		return false;
	}
	well = pack_json(j, p, &wrong);
	if (!well)
		snprintf(why, why_size, "%s", wrong != NULL ? wrong : "cannot be sent");
	json_decref(j);
	return well;
}
