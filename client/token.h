/* Tokens of clients: read from a file that is its owner's alone, each time anew, and kept nowhere. */
#ifndef FUTURED_CLIENT_TOKEN_H
#define FUTURED_CLIENT_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

enum { TOKEN_SIZE = 4097 };

/* Reads the token into `out`, terminated, without the white space around it. False, with a sentence that names the file. */
bool token_read(const char *path, char out[TOKEN_SIZE], char *why, size_t size);
/* Whether what is said on this socket stays on this machine. */
bool token_stays_here(int fd);

#endif
