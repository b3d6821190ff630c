/* Counts. `add N` adds N and answers the sum; `get` answers the count. Both are text, and so is the answer, so that a person can talk
 * to it from the command line.
 *
 * Its state is that of the counter in Rust: each takes up what the other counted. */
#include <inttypes.h>

#include "matrix_soul.h"

/* The words of a command, and one more that is none. */
#define WORDS_MAX 3

static uint64_t count;

static bool is_space(uint8_t byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

/* The words of a text, of which it finds the first ones; how many. */
static size_t words_of(matrix_bytes text, matrix_bytes words[WORDS_MAX]) {
    size_t found = 0;
    for (size_t at = 0; at < text.length && found < WORDS_MAX;) {
        size_t from = at;
        while (at < text.length && !is_space(text.data[at])) at++;
        if (at > from) words[found++] = (matrix_bytes){text.data + from, at - from};
        else at++;
    }
    return found;
}

/* Reads a number; false: it is none, or does not fit. */
static bool number_of(matrix_bytes text, uint64_t *number) {
    *number = 0;
    for (size_t at = 0; at < text.length; at++) {
        uint8_t digit = (uint8_t)(text.data[at] - '0');
        if (digit > 9 || __builtin_mul_overflow(*number, 10, number) || __builtin_add_overflow(*number, digit, number)) return false;
    }
    return text.length > 0;
}

static bool receive(const matrix_message *message, matrix_reply *reply) {
    matrix_bytes words[WORDS_MAX];
    size_t found = words_of(message->content.body, words);
    if (found == 2 && matrix_is(words[0], "add")) {
        uint64_t number, sum;
        if (!number_of(words[1], &number)) {
            return matrix_refuse(&reply->body, "what is to be added must be a whole number of 64 bits, and none below zero");
        }
        if (__builtin_add_overflow(count, number, &sum)) {
            return matrix_refuse(&reply->body, "%" PRIu64 " + %" PRIu64 " is more than 64 bits hold", count, number);
        }
        count = sum;
    } else if (found != 1 || !matrix_is(words[0], "get")) {
        return matrix_refuse(&reply->body, "say `add N` or `get`");
    }
    return matrix_answer(reply, "%" PRIu64, count);
}

static bool snapshot(matrix_buffer *state) {
    matrix_put(state, count);
    return true;
}

static bool restore(matrix_bytes schema, matrix_bytes state, matrix_buffer *why) {
    uint64_t number;
    if (!matrix_is(schema, "counter/1")) return matrix_refuse(why, "cannot take up a state: this code reads `counter/1` alone");
    if (!matrix_take(&state, &number) || state.length > 0) return matrix_refuse(why, "not a state of schema `counter/1`");
    count = number;
    return true;
}

const matrix_soul_definition matrix_soul = {
    .receive = receive,
    .schema = "counter/1",
    .snapshot = snapshot,
    .restore = restore,
};
