/* The simplest use: ask, wait, read the answer. Needs the pools of examples/demo.yaml:
 *
 *	blocking [ADDRESS]      cc blocking.c $(pkg-config --cflags --libs futured) */
#include <inttypes.h>
#include <stdio.h>

#include <futured.h>

int
main(int argc, char **argv)
{
	struct futured *c = futured_new();
	struct futured_reply *reply = NULL;
	struct futured_error error;
	uint64_t id;
	int64_t sum;

	futured_set_address(c, argc > 1 ? argv[1] : NULL);
	if (futured_connect(c) != FUTURED_OK || futured_submit(c, &id, "cpu", "add", "ii", 2, 3) != FUTURED_OK ||
	    futured_result(c, id, 10, &reply) != FUTURED_OK || !futured_value_int(futured_reply_value(reply), &sum)) {
		fprintf(stderr, "%s\n", futured_error_text(c));
		return 1;
	}
	printf("2 + 3 = %" PRId64 "\n", sum);
	futured_reply_free(reply);

	/* What the task raised comes back as an error with a type, a message and, where there is one, a traceback. */
	if (futured_submit(c, &id, "cpu", "add", "is", 2, "three") == FUTURED_OK && futured_result(c, id, 10, &reply) == FUTURED_TASK &&
	    futured_reply_error(reply, &error))
		printf("2 + \"three\": %.*s: %.*s\n", (int)error.type_len, error.type, (int)error.message_len, error.message);
	futured_reply_free(reply);
	futured_free(c);
	return 0;
}
