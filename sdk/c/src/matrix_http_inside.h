/* What requests have in common in a component and in a fake node, and no author needs. */
#ifndef MATRIX_HTTP_INSIDE_H
#define MATRIX_HTTP_INSIDE_H

#include "matrix_http.h"

/* The parts of a URL: the host with its port is the URL's own, the path is a copy. */
struct matrix_http_place {
    bool tls;
    matrix_bytes authority;
    matrix_buffer path;
};

/* Takes a URL apart; false: it is none, and there is no path to be freed. */
bool matrix_http_place_of(matrix_bytes url, struct matrix_http_place *place);
/* Whether two texts are the same but for the case of their letters, as the names of headers are. */
bool matrix_http_is_named(matrix_bytes name, const char *text);
/* Writes into `error` what went wrong, and returns false. `what` is the URL, the name of the header, or what failed. */
bool matrix_http_undone(matrix_http_error *error, matrix_http_kind kind, matrix_bytes what);
/* The same of a method that is none. */
bool matrix_http_no_method(matrix_http_error *error, matrix_bytes method);
/* Empties what a request writes into. */
void matrix_http_begin(matrix_http_answer *answer, matrix_http_error *error);
/* Adds a copy of a header to an answer. */
void matrix_http_keep(matrix_http_answer *answer, matrix_bytes name, matrix_bytes value);

#endif
