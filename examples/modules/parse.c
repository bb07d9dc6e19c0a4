/* A task module that reads what another fetched: page(bytes) finds the title of an HTML page and counts its links.
 *
 * What comes from strangers is best parsed in a process of its own, so a pool of kind process suits it: a page that made the
 * parser crash would cost that page alone. */
#include <string.h>
#include <strings.h>

#include <futured_task.h>

/* Where `what`, in lower case, stands in text of any case; NULL: nowhere. */
static const char *
find(const char *text, const char *end, const char *what)
{
	size_t len = strlen(what);

	for (; text + len <= end; text++)
		if (strncasecmp(text, what, len) == 0)
			return text;
	return NULL;
}

static int
page(struct futured_task *t)
{
	const char *text, *end, *title, *title_end = NULL;
	const void *bytes;
	unsigned links = 0;
	size_t len;

	if (!futured_args(t, 1, 1) || !futured_arg_bytes(t, 0, &bytes, &len))
		return FUTURED_FAILED;
	text = bytes;
	end = text + len;
	if ((title = find(text, end, "<title>")) != NULL)
		title_end = find(title += strlen("<title>"), end, "</title>");
	for (const char *a = text; (a = find(a, end, "<a ")) != NULL; a++)
		links++;
	futured_put_map(t, 2);
	futured_put_cstr(t, "title");
	if (title_end != NULL)
		futured_put_bin(t, title, (size_t)(title_end - title));
	else
		futured_put_nil(t);
	futured_put_cstr(t, "links");
	futured_put_uint(t, links);
	return FUTURED_OK;
}

static const struct futured_function functions[] = {
	{"page", page, "page(bytes): {title, links} of an HTML page"},
	{NULL, NULL, NULL},
};

FUTURED_MODULE("parse", functions, NULL, NULL);
