/* Futures as they finish, with a line of progress. Needs the pools of examples/demo.yaml:
 *
 *	progress [ADDRESS [SECONDS]]      cc progress.c $(pkg-config --cflags --libs futured) */
#include <stdio.h>
#include <stdlib.h>

#include <futured.h>

enum { TASKS = 8 };

static void
told(struct futured_future *f, double done, double total, const char *note, size_t note_len, void *data)
{
	(void)data;
	fprintf(stderr, "future %llu: %.0f of %.0f %.*s\n", (unsigned long long)futured_future_known_id(f), done, total,
		(int)note_len, note);
}

int
main(int argc, char **argv)
{
	double seconds = argc > 2 ? strtod(argv[2], NULL) : 0.5;
	struct futured *c = futured_new();
	struct futured_future *fs[TASKS], *f;
	struct futured_as_completed *i;
	enum futured_status status;
	int done = 0;

	futured_set_address(c, argc > 1 ? argv[1] : NULL);
	if (futured_connect(c) != FUTURED_OK) {
		fprintf(stderr, "%s\n", futured_error_text(c));
		return 1;
	}
	for (int k = 0; k < TASKS; k++) {
		if ((fs[k] = futured_future_submit(c, "io", "wait", "d", seconds * (TASKS - k) / TASKS)) == NULL) {
			fprintf(stderr, "%s\n", futured_error_text(c));
			return 1;
		}
		futured_future_on_progress(fs[k], told, NULL);
	}
	i = futured_as_completed_new(fs, TASKS, 60);
	while (i != NULL && (status = futured_as_completed_next(i, &f)) == FUTURED_OK)
		printf("%d of %d: future %llu %s\n", ++done, TASKS, (unsigned long long)futured_future_known_id(f),
			futured_status_name(futured_reply_status(futured_future_outcome(f))));
	if (i == NULL || status != FUTURED_END)
		fprintf(stderr, "%s\n", futured_error_text(c));
	futured_as_completed_free(i);
	for (int k = 0; k < TASKS; k++)
		futured_future_free(fs[k]);
	futured_free(c);
	return done == TASKS ? 0 : 1;
}
