/* A task's value on stdout. */
#include <inttypes.h>
#include <stdlib.h>

#include "client/fut/json.h"
#include "client/fut/outcome.h"
#include "client/fut/show.h"
#include "client/fut/text.h"

void
show_bytes(struct fut *f, uint64_t id, const void *bytes, size_t len)
{
	char *size;

	if (!f->tty_out || !text_is_binary(bytes, len)) {
		fwrite(bytes, 1, len, stdout);
		return;
	}
	size = show_size((double)len);
	if (id != 0)
		fut_say(f, "%s of binary data; -o FILE saves it, `fut logs %" PRIu64 "` shows it as it is", size, id);
	else
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
		show_bytes(f, 0, bytes, len);
		return;
	} else
		jsonout_value(stdout, v);
	fputc('\n', stdout);
}
