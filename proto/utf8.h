/* UTF-8, as far as the wire needs it. */
#ifndef FUTURED_PROTO_UTF8_H
#define FUTURED_PROTO_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the well-formed character at s (1 to 4); 0 if there is none within len. */
size_t utf8_length(const char *s, size_t len);
/* Whether the bytes are well-formed UTF-8 (no surrogates, no overlong forms, up to U+10FFFF). */
bool utf8_is_valid(const char *s, size_t len);
/* How many of the bytes are well-formed, from the beginning. */
size_t utf8_valid_prefix(const char *s, size_t len);

#endif
