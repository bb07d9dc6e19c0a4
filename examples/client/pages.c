/* Downloads pages on a pool of threads and parses them on a pool of processes: pages ADDRESS URL...
 * Pool `io` has the module fetch, pool `cpu` the module parse: see examples/demo.yaml. */
#include <stdio.h>
#include <futured.h>

static void
on_parsed(struct futured_future *f, void *url)
{
	struct futured_value v = futured_reply_value(futured_future_outcome(f));
	uint64_t links = 0;
	const char *title = "(none)";
	size_t len = 6;

	futured_find_text(v, "title", &title, &len);
	if (futured_find_uint(v, "links", &links))
		printf("%s: %.*s, %u links\n", (char *)url, (int)len, title, (unsigned)links);
	futured_future_free(f);
}

static void
on_fetched(struct futured_future *f, void *url)
{
	struct futured *c = futured_future_connection(f);
	const struct futured_reply *reply = futured_future_outcome(f);
	const char *body;
	size_t len;

	if (futured_find_text(futured_reply_value(reply), "body", &body, &len))
		futured_future_add_done_callback(futured_future_submit(c, "cpu", "page", "B", body, len), on_parsed, url);
	else
		printf("%s: %s\n", (char *)url, futured_status_text(futured_reply_status(reply)));
	futured_future_free(f);
}

int
main(int argc, char **argv)
{
	struct futured *c = futured_new();

	futured_set_address(c, argv[1]);
	if (argc < 2 || futured_connect(c) != FUTURED_OK)
		return 1;
	for (int i = 2; i < argc; i++)
		futured_future_add_done_callback(futured_future_submit(c, "io", "fetch", "s", argv[i]), on_fetched, argv[i]);
	while (futured_pending_futures(c) > 0 && futured_step(c, -1) == FUTURED_OK)
		;
	futured_free(c);
	return 0;
}
