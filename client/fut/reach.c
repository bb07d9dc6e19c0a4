/* Getting to a daemon. */
#include "client/fut/reach.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum futured_status
connect_to(struct fut *f, const char *address)
{
	enum futured_status status;
	const char *task;

	futured_free(f->c);
	f->c = need(futured_new());
	status = futured_set_address(f->c, address);
	if (status == FUTURED_OK)
		status = futured_set_token_file(f->c, f->token_file);
	if (status == FUTURED_OK)
		status = futured_set_tls(f->c, f->tls_ca, f->tls_cert, f->tls_key);
	/* Inside a task the daemon should know whose child this is. */
	if (status == FUTURED_OK && (task = getenv("FUTURED_TASK")) != NULL && *task != '\0')
		status = futured_set_hello(f->c, "fut", NULL, task);
	return status == FUTURED_OK ? futured_connect(f->c) : status;
}

static bool
is_named(const struct fut *f)
{
	const char *env = getenv("FUTURED_ADDRESS");

	return f->address != NULL || (env != NULL && *env != '\0');
}

void
own_directory_path(char *path, size_t size)
{
	const char *run = getenv("XDG_RUNTIME_DIR");

	if (run != NULL && *run == '/')
		snprintf(path, size, "%s/futured", run);
	else
		snprintf(path, size, "/tmp/futured-%u", (unsigned)getuid());
}

enum futured_status
reach_own(struct fut *f)
{
	char dir[PATH_MAX], address[PATH_MAX + 32];

	own_directory_path(dir, sizeof dir);
	snprintf(address, sizeof address, "unix:%s/futured.sock", dir);
	return connect_to(f, address);
}

int
reach(struct fut *f, enum reach how)
{
	enum futured_status status = connect_to(f, f->address);

	if (status == FUTURED_NO_DAEMON && how == REACH_OR_START && !is_named(f)) {
		if (!f->no_start)
			return start_own(f);
		fut_error(f, status, "no daemon answers, and --no-start or FUTURED_NO_START forbids to start one (%s)", futured_error_text(f->c));
	} else if (status == FUTURED_NO_DAEMON && !is_named(f))
		fut_error(f, status, "no daemon answers; run, submit, call and map start yours, and so does `fut daemon start` (%s)", futured_error_text(f->c));
	else if (status == FUTURED_NO_DAEMON)
		fut_error(f, status, "no daemon answers (%s)", futured_error_text(f->c));
	else if (status != FUTURED_OK)
		fut_error(f, status, "cannot connect: %s", futured_error_text(f->c));
	if (status == FUTURED_VALUE)
		return fut_usage(f);
	if (status == FUTURED_OK)
		return EXIT_OK;
	return fut_failed(f) == EXIT_FUTURED ? EXIT_FUTURED : EXIT_NO_DAEMON;
}
