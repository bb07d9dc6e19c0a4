/* Text that came from elsewhere, made safe to show. */
#define _XOPEN_SOURCE 700
#include "client/fut/text.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "client/fut/fut.h"

size_t
text_decode(const char *s, size_t len, unsigned *code)
{
	static const unsigned least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *p = (const unsigned char *)s;
	size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc2 ? 2 : 0;
	unsigned c;

	if (n == 0 || n > len || p[0] > 0xf4)
		return 0;
	c = n == 1 ? p[0] : p[0] & (0x7fU >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*code = c;
	return n;
}

bool
text_is_shown(unsigned c, enum text_mode mode)
{
	if (mode == TEXT_LINES && (c == '\n' || c == '\t'))
		return true;
	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		return false;
	/* What reorders or hides text, or breaks a line in some terminals. */
	return !((c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff);
}

bool
text_is_binary(const void *bytes, size_t len)
{
	enum { ODD_PERCENT = 30 }; /* Latin-1 has less, anything compressed more */
	const char *s = bytes;
	size_t odd = 0, n;
	unsigned code = 0;

	for (size_t at = 0; at < len; at += n) {
		n = text_decode(s + at, len - at, &code);
		if (n > 0 && code == 0)
			return true;
		odd += n == 0 || (code < 0x20 && strchr("\a\b\t\n\v\f\r\033", (int)code) == NULL) || code == 0x7f;
		n = n > 0 ? n : 1;
	}
	return odd * 100 > len * ODD_PERCENT;
}

static void
escape(FILE *out, const char *s, size_t n, unsigned code)
{
	if (code == '\n')
		fputs("\\n", out);
	else if (code == '\t')
		fputs("\\t", out);
	else if (code == '\r')
		fputs("\\r", out);
	else
		for (size_t i = 0; i < n; i++)
			fprintf(out, "\\x%02x", (unsigned)(unsigned char)s[i]);
}

void
text_visible(FILE *out, const char *s, size_t len, enum text_mode mode)
{
	while (len > 0) {
		unsigned code = 0;
		size_t n = text_decode(s, len, &code);

		if (n > 0 && text_is_shown(code, mode))
			fwrite(s, 1, n, out);
		else
			escape(out, s, n > 0 ? n : 1, n > 0 ? code : 0);
		n = n > 0 ? n : 1;
		s += n;
		len -= n;
	}
}

char *
text_escape(const char *s, size_t len, enum text_mode mode)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = need(open_memstream(&text, &size));

	text_visible(out, s, len, mode);
	if (fclose(out) != 0)
		need(NULL);
	return need(text);
}

void
text_shell_quoted(FILE *out, const char *s, size_t len)
{
	fputc('\'', out);
	for (size_t i = 0; i < len; i++)
		if (s[i] == '\'')
			fputs("'\\''", out);
		else
			fputc(s[i], out);
	fputc('\'', out);
}

void
text_shell_word(FILE *out, const char *s, size_t len)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%";
	bool is_plain = len > 0;

	for (size_t i = 0; i < len && is_plain; i++)
		is_plain = (unsigned char)s[i] >= 0x80 || (s[i] != '\0' && strchr(plain, s[i]) != NULL);
	if (is_plain)
		fwrite(s, 1, len, out);
	else
		text_shell_quoted(out, s, len);
}

/* The locale is read where it is needed first: most runs of fut never do, and it is a third of what they read from files. */
static size_t
width_of(unsigned code)
{
	static bool located;
	int w;

	if (code < 0x80)
		return 1;
	if (!located)
		setlocale(LC_CTYPE, "");
	located = true;
	w = wcwidth((wchar_t)code);
	return w < 0 ? 1 : (size_t)w;
}

size_t
text_width(const char *s)
{
	size_t len = strlen(s), columns = 0, n;
	unsigned code;

	for (; len > 0; s += n, len -= n) {
		n = text_decode(s, len, &code);
		columns += n > 0 ? width_of(code) : 1;
		n = n > 0 ? n : 1;
	}
	return columns;
}

size_t
text_fit(const char *s, size_t columns)
{
	size_t len = strlen(s), at = 0, used = 0;
	unsigned code;

	while (at < len) {
		size_t n = text_decode(s + at, len - at, &code), w = n > 0 ? width_of(code) : 1;

		if (used + w > columns)
			break;
		used += w;
		at += n > 0 ? n : 1;
	}
	return at;
}
