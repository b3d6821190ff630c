/* Replies with what it received. Has no state, no settings, and needs no grant. */
#include "matrix_soul.h"

static bool receive(const matrix_message *message, matrix_reply *reply) {
    return matrix_answer_content(reply, message->content);
}

const matrix_soul_definition matrix_soul = {.receive = receive};
