/* What the files of the SDK say to each other, and no author needs. */
#ifndef MATRIX_INSIDE_H
#define MATRIX_INSIDE_H

#include <stdarg.h>

#include "matrix_interceptor.h"
#include "matrix_rules.h"
#include "matrix_soul.h"

/* The most figures of a lesson. */
#define MATRIX_METRICS_MAX 32

struct matrix_named {
    const char *name;
    double value;
};

struct matrix_metrics {
    struct matrix_named figures[MATRIX_METRICS_MAX];
    size_t count;
};

/* Words of a message, of a turn, of a prompt and of an action, as they are packed. */
#define MATRIX_MESSAGE_WORDS 16
#define MATRIX_TURN_WORDS 5
#define MATRIX_PROMPT_WORDS 6
#define MATRIX_ACTION_WORDS 3

struct matrix_happening {
    matrix_buffer kind, content_type, body;
};

struct matrix_figure_of_outcome {
    matrix_buffer name;
    double value;
};

/* Buffers of words, of bytes, of `matrix_happening` and of `matrix_figure_of_outcome`. */
struct matrix_outcome {
    matrix_buffer heads, bytes, events, signals;
    bool finished;
};

void matrix_vprint(matrix_buffer *buffer, const char *format, va_list arguments);
/* A line of the log, as the node or the fake one takes it. */
void matrix_log_line(matrix_level level, matrix_bytes line);
void matrix_move_to(uint64_t ms);
void matrix_seed(uint64_t seed);

#endif
