/* The limit: how many processes a second can be started, read to the end of both outputs and reaped, with nothing
 * else done. A command pool cannot be faster than that; how near it comes is what bench/host.c measures.
 *
 *	spawn [LOOPS [COUNT [PROGRAM [ARGUMENT]]]]      LOOPS processes side by side start COUNT programs in all; default 2 2000
 *	                                                /bin/true without an argument (with one it does more: it sets its locale)
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/measure.h"

extern char **environ;

static void
read_to_end(int fd)
{
	char bytes[65536];

	while (read(fd, bytes, sizeof bytes) > 0)
		;
	close(fd);
}

static void
run_one(char *program, char *argument)
{
	char *argv[] = { program, argument, NULL };
	posix_spawn_file_actions_t actions;
	int out[2], err[2], status;
	pid_t pid;

	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
		exit(1);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	posix_spawn_file_actions_adddup2(&actions, err[1], 2);
	if (posix_spawn(&pid, program, &actions, NULL, argv, environ) != 0)
		exit(1);
	posix_spawn_file_actions_destroy(&actions);
	close(out[1]);
	close(err[1]);
	read_to_end(out[0]);
	read_to_end(err[0]);
	if (waitpid(pid, &status, 0) != pid)
		exit(1);
}

int
main(int argc, char **argv)
{
	long loops = argc > 1 ? strtol(argv[1], NULL, 10) : 2, count = argc > 2 ? strtol(argv[2], NULL, 10) : 2000, each;
	char *program = argc > 3 ? argv[3] : (char[]){ "/bin/true" };
	int status, failed = 0;
	double begin;

	if (loops < 1 || count < loops)
		return 2;
	each = count / loops;
	begin = now();
	for (long i = 0; i < loops; i++) {
		if (fork() != 0)
			continue;
		for (long n = 0; n < each; n++)
			run_one(program, argc > 4 ? argv[4] : NULL);
		_exit(0);
	}
	while (wait(&status) > 0)
		failed += status != 0;
	printf("spawn %.0f/s\n", (double)(each * loops) / (now() - begin));
	return failed != 0;
}
