/* A task's value on stdout. */
#include <stdlib.h>

#include "client/fut/json.h"
#include "client/fut/outcome.h"
#include "client/fut/show.h"
#include "client/fut/text.h"

/* Text: UTF-8 without control characters beyond those that text has. */
static bool
is_text(const char *s, size_t len)
{
	unsigned code;

	while (len > 0) {
		size_t n = text_decode(s, len, &code);

		if (n == 0 || (code < 0x20 && code != '\n' && code != '\t' && code != '\r') || code == 0x7f)
			return false;
		s += n;
		len -= n;
	}
	return true;
}

void
show_bytes(struct fut *f, const void *bytes, size_t len)
{
	char *size;

	if (!f->tty_out || is_text(bytes, len)) {
		fwrite(bytes, 1, len, stdout);
		return;
	}
	size = show_size((double)len);
	fut_say(f, "%s of binary data; send it to a file or a pipe to have it", size);
	free(size);
}

void
show_value(struct fut *f, struct futured_value v)
{
	const void *bytes;
	const char *s;
	size_t len;

	if (f->json)
		jsonout_value(stdout, v);
	else if (futured_value_str(v, &s, &len)) {
		if (f->tty_out)
			text_visible(stdout, s, len, TEXT_LINES);
		else
			fwrite(s, 1, len, stdout);
	} else if (futured_value_bin(v, &bytes, &len)) {
		show_bytes(f, bytes, len);
		return;
	} else
		jsonout_value(stdout, v);
	fputc('\n', stdout);
}
