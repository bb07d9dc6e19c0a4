/* futured: the daemon. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "daemon/log.h"
#include "daemon/server.h"

static const char help[] =
    "usage: futured [-c FILE] [-t] [-V] [-h]\n"
    "\n"
    "Serves futures: pools of workers behind a socket. Runs in the foreground and logs to stderr.\n"
    "\n"
    "  futured                            your own daemon, with built-in defaults\n"
    "  futured -c /etc/futured/futured.yaml\n"
    "  futured -t -c futured.yaml         check a configuration\n"
    "\n"
    "  -c FILE  the configuration (futured.yaml(5)); without it: built-in defaults\n"
    "  -t       check it, print what is wrong as file:line:column: key: ..., and exit (1 if anything is)\n"
    "  -V       print the version\n"
    "  -h       this help\n";

static int
usage(void)
{
	fputs("usage: futured [-c FILE] [-t] [-V] [-h]\n", stderr);
	return 2;
}

int
main(int argc, char **argv)
{
	const char *path = NULL;
	bool check = false;
	char why[512] = "out of memory";
	int option;

	while ((option = getopt(argc, argv, "c:tVh")) != -1) {
		switch (option) {
		case 'c':
			path = optarg;
			break;
		case 't':
			check = true;
			break;
		case 'V':
			puts("futured " FUTURED_VERSION);
			return 0;
		case 'h':
			fputs(help, stdout);
			return 0;
		default:
			return usage();
		}
	}
	if (optind < argc)
		return usage();
	struct config *config = path ? config_load(path, stderr) : config_personal();
	if (!config || check) {
		if (config && path)
			printf("%s: good\n", path);
		config_free(config);
		return config ? 0 : 1;
	}
	log_init();
	if (!server_start(config, why, sizeof why)) {
		log_error("server", "cannot start: %s", why);
		server_abandon();
		return 1;
	}
	server_run();
	server_end();
	return 0;
}
