/* How a stage in C meets the node. */
#include "matrix_glue.h"

#ifdef MATRIX_EXPORTS_interceptor

/* Why every message is rejected, where the settings are wrong. */
static matrix_buffer refusal;

/* Reads the settings once, and keeps them: what the stage looks at stays where it is. */
static bool configured(void) {
    static bool is_done, is_right = true;
    if (is_done || matrix_interceptor.configured == NULL) return is_right;
    is_done = true, is_right = false;
    soul_list_tuple2_string_string_t found;
    wasi_config_store_error_t error;
    if (!wasi_config_store_get_all(&found, &error)) return matrix_refuse(&refusal, "its settings cannot be had");
    matrix_entry *settings = calloc(found.len + 1, sizeof *settings);
    if (settings == NULL) abort();
    for (size_t at = 0; at < found.len; at++) {
        settings[at] = (matrix_entry){.name = bytes_of(found.ptr[at].f0), .text = bytes_of(found.ptr[at].f1)};
    }
    return is_right = matrix_interceptor.configured(settings, found.len, &refusal);
}

typedef matrix_verdict judge(const matrix_passing *, matrix_reply *);

static void judged(judge *judges, exports_matrix_node_interceptor_message_t *message, exports_matrix_node_interceptor_verdict_t *ret) {
    matrix_passing passing = {message_of(message), address_of(&message->recipient)};
    matrix_reply changed = {0};
    matrix_verdict verdict = MATRIX_PASS;
    matrix_move_to(message->sent_at);
    if (!configured()) verdict = matrix_reject(&changed, "%.*s", (int)refusal.length, (const char *)refusal.data);
    else if (judges != NULL) verdict = judges(&passing, &changed);
    ret->tag = (uint8_t)verdict;
    if (verdict == MATRIX_REJECT) ret->val.reject = given(&changed.body);
    if (verdict == MATRIX_REWRITE) {
        /* What is not changed is the message's own, and goes back with it. */
        ret->val.rewrite = *message;
        soul_list_u8_free(&message->body);
        ret->val.rewrite.body = given_list(&changed.body);
        if (changed.content_type.length > 0) {
            soul_string_free(&message->content_type);
            ret->val.rewrite.content_type = given(&changed.content_type);
        }
        return;
    }
    exports_matrix_node_interceptor_message_free(message);
}

void exports_matrix_node_interceptor_outbound(exports_matrix_node_interceptor_message_t *message,
                                              exports_matrix_node_interceptor_verdict_t *ret) {
    judged(matrix_interceptor.outbound, message, ret);
}

void exports_matrix_node_interceptor_inbound(exports_matrix_node_interceptor_message_t *message,
                                             exports_matrix_node_interceptor_verdict_t *ret) {
    judged(matrix_interceptor.inbound, message, ret);
}

#endif
