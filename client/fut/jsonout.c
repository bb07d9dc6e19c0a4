/* JSON out: straight from MessagePack, so that no value is rounded on the way. */
#include "client/fut/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "client/fut/text.h"

enum { EXT_FUTURE = 1 };

void
jsonout_string(FILE *out, const char *s, size_t len)
{
	fputc('"', out);
	while (len > 0) {
		unsigned code = 0;
		size_t n = text_decode(s, len, &code);

		if (n == 0)
			fputs("\\ufffd", out);
		else if (code == '"' || code == '\\')
			fprintf(out, "\\%c", (int)code);
		else if (code == '\n')
			fputs("\\n", out);
		else if (code == '\t')
			fputs("\\t", out);
		else if (!text_is_shown(code, TEXT_LINE))
			fprintf(out, "\\u%04x", code);
		else
			fwrite(s, 1, n, out);
		n = n > 0 ? n : 1;
		s += n;
		len -= n;
	}
	fputc('"', out);
}

static void
base64(FILE *out, const void *bytes, size_t len)
{
	static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = bytes;

	for (; len > 0; p += 3) {
		unsigned v = (unsigned)p[0] << 16 | (len > 1 ? (unsigned)p[1] << 8 : 0) | (len > 2 ? p[2] : 0);

		fputc(digit[v >> 18], out);
		fputc(digit[v >> 12 & 63], out);
		fputc(len > 1 ? digit[v >> 6 & 63] : '=', out);
		fputc(len > 2 ? digit[v & 63] : '=', out);
		len -= len > 3 ? 3 : len;
	}
}

static void
bytes_object(FILE *out, const void *bytes, size_t len)
{
	fputs("{\"base64\": \"", out);
	base64(out, bytes, len);
	fputs("\"}", out);
}

static bool
is_utf8(const char *s, size_t len)
{
	unsigned code;

	while (len > 0) {
		size_t n = text_decode(s, len, &code);

		if (n == 0)
			return false;
		s += n;
		len -= n;
	}
	return true;
}

void
jsonout_printed(FILE *out, const void *bytes, size_t len)
{
	if (is_utf8(bytes, len))
		jsonout_string(out, bytes, len);
	else
		bytes_object(out, bytes, len);
}

static void
number(FILE *out, double v)
{
	char text[40];

	if (!isfinite(v)) {
		fputs("null", out);
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	fputs(text, out);
	if (strpbrk(text, ".e") == NULL)
		fputs(".0", out);
}

static void
ext(FILE *out, struct futured_value v)
{
	const void *bytes = NULL;
	uint64_t id = 0;
	size_t len = 0;
	int type = 0;

	futured_value_ext(v, &type, &bytes, &len);
	if (type == EXT_FUTURE && len == 8) {
		for (size_t i = 0; i < 8; i++)
			id = id << 8 | ((const unsigned char *)bytes)[i];
		fprintf(out, "{\"future\": %" PRIu64 "}", id);
		return;
	}
	fprintf(out, "{\"ext\": %d, \"base64\": \"", type);
	base64(out, bytes, len);
	fputs("\"}", out);
}

static void
array(FILE *out, struct futured_value v)
{
	struct futured_value inside, item;
	const char *comma = "";
	size_t n;

	fputc('[', out);
	if (futured_value_array(v, &n, &inside))
		for (; n > 0 && futured_value_next(&inside, &item); n--, comma = ", ") {
			fputs(comma, out);
			jsonout_value(out, item);
		}
	fputc(']', out);
}

static void
key(FILE *out, struct futured_value k)
{
	char *text = NULL;
	const char *s;
	size_t len;
	FILE *f;

	if (futured_value_str(k, &s, &len)) {
		jsonout_string(out, s, len);
		return;
	}
	f = need(open_memstream(&text, &len));
	jsonout_value(f, k);
	if (fclose(f) != 0)
		need(NULL);
	jsonout_string(out, text, len);
	free(text);
}

static void
map(FILE *out, struct futured_value v)
{
	struct futured_value inside, k, item;
	const char *comma = "";
	const void *bytes;
	size_t n, len;

	fputc('{', out);
	if (futured_value_map(v, &n, &inside))
		for (; n > 0 && futured_value_next(&inside, &k) && futured_value_next(&inside, &item); n--, comma = ", ") {
			fputs(comma, out);
			key(out, k);
			fputs(": ", out);
			if ((futured_value_is_str(k, "stdout") || futured_value_is_str(k, "stderr")) && futured_value_bin(item, &bytes, &len))
				jsonout_printed(out, bytes, len);
			else
				jsonout_value(out, item);
		}
	fputc('}', out);
}

static void
integer(FILE *out, struct futured_value v)
{
	uint64_t u;
	int64_t i = 0;

	if (futured_value_uint(v, &u))
		fprintf(out, "%" PRIu64, u);
	else if (futured_value_int(v, &i))
		fprintf(out, "%" PRId64, i);
}

void
jsonout_value(FILE *out, struct futured_value v)
{
	const void *bytes = NULL;
	const char *s = NULL;
	double d = 0;
	bool b = false;
	size_t len = 0;

	switch (futured_value_type(v)) {
	case FUTURED_TYPE_NONE:
	case FUTURED_TYPE_NIL:
		fputs("null", out);
		break;
	case FUTURED_TYPE_BOOL:
		futured_value_bool(v, &b);
		fputs(b ? "true" : "false", out);
		break;
	case FUTURED_TYPE_INT:
		integer(out, v);
		break;
	case FUTURED_TYPE_FLOAT:
		futured_value_number(v, &d);
		number(out, d);
		break;
	case FUTURED_TYPE_STR:
		futured_value_str(v, &s, &len);
		jsonout_printed(out, s, len);
		break;
	case FUTURED_TYPE_BIN:
		futured_value_bin(v, &bytes, &len);
		bytes_object(out, bytes, len);
		break;
	case FUTURED_TYPE_ARRAY:
		array(out, v);
		break;
	case FUTURED_TYPE_MAP:
		map(out, v);
		break;
	case FUTURED_TYPE_EXT:
		ext(out, v);
		break;
	}
}

void
jsonout_error(FILE *out, const struct futured_error *e)
{
	if (e->map.at != NULL) {
		jsonout_value(out, e->map);
		return;
	}
	fputs("{\"type\": ", out);
	jsonout_string(out, e->type, e->type_len);
	fputs(", \"message\": ", out);
	jsonout_string(out, e->message, e->message_len);
	fputc('}', out);
}
