/* fut: the command line of futured. This file reads what stands before the verb and hands over. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/fut/args.h"
#include "client/fut/common.h"
#include "client/fut/text.h"

/* A descriptor that is closed would be taken by the socket, and the output of a task written into it. What is written there now is
 * refused, so that a stdout that is closed is not taken for one that has it all. */
static void
fill_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
}

static void
look_at_terminal(struct fut *f)
{
	f->tty_out = isatty(STDOUT_FILENO) == 1;
	f->tty_err = isatty(STDERR_FILENO) == 1;
	common_color(f, "auto");
}

int
main(int argc, char **argv)
{
	struct fut f = { .out_name = "stdout" };
	struct args a;
	int key, status;

	fill_descriptors();
	look_at_terminal(&f);
	f.no_start = getenv("FUTURED_NO_START") != NULL && *getenv("FUTURED_NO_START") != '\0' &&
	             strcmp(getenv("FUTURED_NO_START"), "0") != 0;
	if (argc == 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)) {
		printf("fut %s\n", futured_version());
		return fut_finish(&f, EXIT_OK);
	}
	args_init(&a, &f, argc, argv, true);
	while ((key = args_next(&a)) != ARGS_END)
		if (key == ARGS_STOP)
			return fut_finish(&f, a.status);
	if (a.count == 0) {
		help_overview(stderr);
		return EXIT_USAGE;
	}
	if ((f.verb = verb_find(a.operands[0])) == NULL) {
		args_no_verb(&f, a.operands[0]);
		return EXIT_USAGE;
	}
	status = f.verb->run(&f, a.count, a.operands);
	futured_free(f.c);
	return fut_finish(&f, status);
}
