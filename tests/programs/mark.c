/* A task of the soak as a program: see tests/soak/mark.h. A failing one ends with status 7. */
#include "tests/soak/mark.h"

int
main(int argc, char **argv)
{
	const char *id = getenv("FUTURED_ID"), *attempt = getenv("FUTURED_ATTEMPT");
	char *out;

	if (argc != 7 || !id || !attempt)
		return 2;
	struct mark m = { argv[1], argv[2], strtoull(id, NULL, 10), (unsigned)atoi(attempt), atoll(argv[3]), atoll(argv[4]), atoll(argv[5]), atoll(argv[6]) };
	if (!mark_run(&m, &out))
		return 7;
	fwrite(out, 1, (size_t)m.size, stdout);
	free(out);
	return fflush(stdout) ? 3 : 0;
}
