/* Between the generated bindings and what the headers promise: how bytes cross. */
#ifndef MATRIX_GLUE_H
#define MATRIX_GLUE_H

#include <stdlib.h>
#include <string.h>

#include "matrix_inside.h"
#include "soul.h"

static inline matrix_bytes bytes_of(soul_string_t text) { return (matrix_bytes){(const uint8_t *)text.ptr, text.len}; }
static inline matrix_bytes bytes_of_list(soul_list_u8_t list) { return (matrix_bytes){list.ptr, list.len}; }

/* What is lent to the node for a call: it only reads. */
static inline soul_string_t lent(matrix_bytes text) { return (soul_string_t){(uint8_t *)(uintptr_t)text.data, text.length}; }
static inline soul_list_u8_t lent_list(matrix_bytes list) { return (soul_list_u8_t){(uint8_t *)(uintptr_t)list.data, list.length}; }

/* Text crosses the boundary as UTF-8 or not at all: what is none is made so. */
static inline soul_string_t given(matrix_buffer *buffer) {
    bool is_text = matrix_is_utf8(matrix_view(buffer));
    for (size_t at = 0; !is_text && at < buffer->length; at++) {
        if (buffer->data[at] > 0x7f) buffer->data[at] = '?';
    }
    return (soul_string_t){buffer->data, buffer->length};
}

/* What a component writes, given away: an empty one has no bytes that somebody would free. */
static inline soul_list_u8_t given_list(matrix_buffer *buffer) { return (soul_list_u8_t){buffer->data, buffer->length}; }

static inline matrix_node_types_content_t given_content(matrix_reply *reply) {
    if (reply->content_type.length == 0) matrix_print(&reply->content_type, "text/plain");
    return (matrix_node_types_content_t){given(&reply->content_type), given_list(&reply->body)};
}

static inline matrix_address address_of(const matrix_node_types_address_t *address) {
    return (matrix_address){(matrix_kind)address->tag, bytes_of(address->val.soul)};
}

static inline matrix_id id_of(const matrix_node_types_message_id_t *id) { return (matrix_id){id->a, id->b, id->c, id->d}; }

/* A message that is not packed. */
static inline matrix_message message_of(const matrix_node_types_message_t *wire) {
    matrix_message message = {
        .id = id_of(&wire->id),
        .sender = address_of(&wire->sender),
        .content = {bytes_of(wire->content_type), bytes_of_list(wire->body)},
        .sent_at = wire->sent_at,
    };
    if (wire->recipient.tag == MATRIX_TOPIC) message.topic = bytes_of(wire->recipient.val.topic);
    if (wire->in_reply_to.is_some) message.in_reply_to = id_of(&wire->in_reply_to.val);
    return message;
}

#endif
