/* Packing by a format, as printf prints by one. Containers need their size in front, so the format is counted ahead. */
#include "client/packer.h"

#include <string.h>

/* How many values stand between here and the bracket that closes; -1 if none does. */
static long
count_inside(const char *f)
{
	long n = 0;
	int depth = 0;

	for (; *f != '\0'; f++) {
		if (*f == ']' || *f == '}') {
			if (depth-- == 0)
				return n;
			continue;
		}
		if (depth == 0 && *f != ' ' && *f != ',')
			n++;
		if (*f == '[' || *f == '{')
			depth++;
	}
	return -1;
}

static void
open_container(struct futured_pack *p, const char *f)
{
	long n = count_inside(f + 1);

	if (n < 0 || (*f == '{' && n % 2 != 0))
		p->wrong = true;
	else if (*f == '[')
		futured_pack_array(p, (size_t)n);
	else
		futured_pack_map(p, (size_t)n / 2);
}

static void
string(struct futured_pack *p, char letter, const char *s)
{
	if (s == NULL)
		futured_pack_nil(p);
	else if (letter == 's')
		futured_pack_str(p, s);
	else
		futured_pack_text(p, s, strlen(s));
}

void
futured_vpackf(struct futured_pack *p, const char *format, va_list ap)
{
	for (const char *f = format; *f != '\0' && !p->wrong; f++) {
		const char *bytes;

		switch (*f) {
		case 'i':
			futured_pack_int(p, va_arg(ap, int));
			break;
		case 'I':
			futured_pack_int(p, va_arg(ap, int64_t));
			break;
		case 'u':
			futured_pack_uint(p, va_arg(ap, uint64_t));
			break;
		case 'd':
			futured_pack_double(p, va_arg(ap, double));
			break;
		case 'b':
			futured_pack_bool(p, va_arg(ap, int) != 0);
			break;
		case 'n':
			futured_pack_nil(p);
			break;
		case 'r':
			futured_pack_future(p, va_arg(ap, uint64_t));
			break;
		case 's':
		case 't':
			string(p, *f, va_arg(ap, const char *));
			break;
		case 'S':
			bytes = va_arg(ap, const char *);
			futured_pack_text(p, bytes, va_arg(ap, size_t));
			break;
		case 'B':
			bytes = va_arg(ap, const char *);
			futured_pack_bin(p, bytes, va_arg(ap, size_t));
			break;
		case 'v':
			futured_pack_copy(p, va_arg(ap, struct futured_value));
			break;
		case '[':
		case '{':
			open_container(p, f);
			break;
		case ']':
		case '}':
		case ' ':
		case ',':
			break;
		default:
			p->wrong = true;
		}
	}
}

void
futured_packf(struct futured_pack *p, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	futured_vpackf(p, format, ap);
	va_end(ap);
}
