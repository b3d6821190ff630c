/* How a Soul in C meets the node. */
#include "matrix_glue.h"

#ifdef MATRIX_EXPORTS_agent

/* Where the Soul is born, it is given arrays of all that the birth lists. */
bool exports_matrix_node_agent_init(exports_matrix_node_agent_birth_t *birth, soul_string_t *err) {
    matrix_seed(birth->seed);
    size_t trait_count = birth->persona.traits.len, value_count = birth->persona.values.len, config_count = birth->config.len;
    matrix_bytes *traits = calloc(trait_count + 1, sizeof *traits);
    matrix_entry *values = calloc(value_count + 1, sizeof *values), *config = calloc(config_count + 1, sizeof *config);
    if (traits == NULL || values == NULL || config == NULL) abort();
    for (size_t at = 0; at < trait_count; at++) traits[at] = bytes_of(birth->persona.traits.ptr[at]);
    for (size_t at = 0; at < value_count; at++) {
        values[at] = (matrix_entry){.name = bytes_of(birth->persona.values.ptr[at].name), .weight = birth->persona.values.ptr[at].weight};
    }
    for (size_t at = 0; at < config_count; at++) {
        config[at] = (matrix_entry){.name = bytes_of(birth->config.ptr[at].f0), .text = bytes_of(birth->config.ptr[at].f1)};
    }
    matrix_birth told = {
        .name = bytes_of(birth->name),
        .description = bytes_of(birth->persona.description),
        .traits = traits,
        .trait_count = trait_count,
        .values = values,
        .value_count = value_count,
        .config = config,
        .config_count = config_count,
        .seed = birth->seed,
    };
    matrix_buffer why = {0};
    bool is_born = matrix_soul.born == NULL || matrix_soul.born(&told, &why);
    free(traits), free(values), free(config);
    exports_matrix_node_agent_birth_free(birth);
    if (!is_born) *err = given(&why);
    return is_born;
}

/* Reads one message of a batch; false: it is cut off. */
static bool read_message(const uint32_t *head, matrix_bytes *rest, matrix_message *message) {
    matrix_bytes name;
    *message = (matrix_message){
        .id = {head[0], head[1], head[2], head[3]},
        .in_reply_to = {head[9], head[10], head[11], head[12]},
        .sent_at = (uint64_t)head[13] << 32 | head[14],
    };
    bool is_whole = matrix_take_bytes(rest, head[5], &name) && matrix_take_bytes(rest, head[6], &message->topic) &&
                    matrix_take_bytes(rest, head[7], &message->content.content_type) &&
                    matrix_take_bytes(rest, head[8], &message->content.body);
    message->sender = (matrix_address){head[4] > MATRIX_CLIENT ? MATRIX_CLIENT : (matrix_kind)head[4], name};
    return is_whole;
}

void exports_matrix_node_agent_receive(exports_matrix_node_agent_batch_t *batch,
                                       exports_matrix_node_agent_list_result_option_content_string_t *ret) {
    size_t count = batch->heads.len / MATRIX_MESSAGE_WORDS;
    matrix_bytes rest = bytes_of_list(batch->bytes);
    ret->ptr = calloc(count + 1, sizeof *ret->ptr);
    ret->len = count;
    if (ret->ptr == NULL) abort();
    for (size_t at = 0; at < count; at++) {
        matrix_message message;
        matrix_reply reply = {0};
        bool is_read = read_message(batch->heads.ptr + at * MATRIX_MESSAGE_WORDS, &rest, &message);
        if (!is_read) matrix_refuse(&reply.body, "a packed list holds fewer bytes than its words say");
        if (is_read) matrix_move_to(message.sent_at);
        ret->ptr[at].is_err = !is_read || !matrix_soul.receive(&message, &reply);
        if (ret->ptr[at].is_err) {
            ret->ptr[at].val.err = given(&reply.body);
        } else if (reply.is_given) {
            ret->ptr[at].val.ok.is_some = true;
            ret->ptr[at].val.ok.val = given_content(&reply);
        }
    }
    exports_matrix_node_agent_batch_free(batch);
}

#ifdef MATRIX_EXPORTS_stateful

void exports_matrix_node_stateful_schema(soul_string_t *ret) {
    matrix_buffer schema = {0};
    matrix_print(&schema, "%s", matrix_soul.schema);
    *ret = given(&schema);
}

bool exports_matrix_node_stateful_snapshot(soul_list_u8_t *ret, soul_string_t *err) {
    matrix_buffer state = {0};
    bool is_taken = matrix_soul.snapshot(&state);
    if (is_taken) *ret = (soul_list_u8_t){state.data, state.length};
    else *err = given(&state);
    return is_taken;
}

bool exports_matrix_node_stateful_restore(soul_string_t *schema, soul_list_u8_t *bytes, soul_string_t *err) {
    matrix_buffer why = {0};
    bool is_taken = matrix_soul.restore(bytes_of(*schema), bytes_of_list(*bytes), &why);
    if (!is_taken) *err = given(&why);
    soul_string_free(schema);
    soul_list_u8_free(bytes);
    return is_taken;
}

#endif
#ifdef MATRIX_EXPORTS_player

bool exports_matrix_node_player_act(soul_string_t *matrix, uint64_t tick, exports_matrix_node_player_turns_t *turns,
                                    exports_matrix_node_player_choices_t *ret, soul_string_t *err) {
    size_t count = turns->heads.len / MATRIX_TURN_WORDS;
    matrix_bytes rest = bytes_of_list(turns->bytes);
    uint32_t *lengths = calloc(count + 1, sizeof *lengths);
    matrix_buffer actions = {0}, action = {0};
    bool is_done = true;
    if (lengths == NULL) abort();
    for (size_t at = 0; is_done && at < count; at++) {
        const uint32_t *head = turns->heads.ptr + at * MATRIX_TURN_WORDS;
        uint64_t bits = (uint64_t)head[3] << 32 | head[4];
        matrix_turn turn = {.matrix = bytes_of(*matrix), .tick = tick, .seat = head[0], .is_final = head[2] != 0};
        memcpy(&turn.reward, &bits, sizeof bits);
        matrix_clear(&action);
        is_done = matrix_take_bytes(&rest, head[1], &turn.observation)
                      ? matrix_soul.act(&turn, &action)
                      : matrix_refuse(&action, "a packed list holds fewer bytes than its words say");
        lengths[at] = (uint32_t)action.length;
        matrix_append(&actions, action.data, action.length);
    }
    soul_string_free(matrix);
    exports_matrix_node_player_turns_free(turns);
    if (!is_done) {
        free(lengths), matrix_free(&actions);
        *err = given(&action);
        return false;
    }
    matrix_free(&action);
    ret->lengths = (soul_list_u32_t){lengths, count};
    ret->bytes = (soul_list_u8_t){actions.data, actions.length};
    return true;
}

#endif
#ifdef MATRIX_EXPORTS_learner

typedef bool lesson(const matrix_experience *, size_t, matrix_metrics *, matrix_buffer *);

static bool learn(lesson *step, exports_matrix_node_learner_list_experience_t *batch, exports_matrix_node_learner_list_metric_t *ret,
                  soul_string_t *err) {
    matrix_experience *told = calloc(batch->len + 1, sizeof *told);
    matrix_metrics metrics = {0};
    matrix_buffer why = {0};
    if (told == NULL) abort();
    for (size_t at = 0; at < batch->len; at++) {
        exports_matrix_node_learner_experience_t *it = &batch->ptr[at];
        told[at] = (matrix_experience){.id = it->id, .source = (matrix_source)it->source, .at = it->at, .reward = 1};
        told[at].input = bytes_of_list(it->input), told[at].output = bytes_of_list(it->output);
        if (it->reward.is_some) told[at].has_reward = true, told[at].reward = it->reward.val;
    }
    bool is_done = step != NULL ? step(told, batch->len, &metrics, &why) : matrix_refuse(&why, "the Soul has no such lesson");
    free(told);
    exports_matrix_node_learner_list_experience_free(batch);
    if (!is_done) {
        *err = given(&why);
        return false;
    }
    ret->ptr = calloc(metrics.count + 1, sizeof *ret->ptr);
    ret->len = metrics.count;
    if (ret->ptr == NULL) abort();
    for (size_t at = 0; at < metrics.count; at++) {
        matrix_buffer name = {0};
        matrix_print(&name, "%s", metrics.figures[at].name);
        ret->ptr[at].name = given(&name), ret->ptr[at].value = metrics.figures[at].value;
    }
    return true;
}

bool exports_matrix_node_learner_train(exports_matrix_node_learner_list_experience_t *batch,
                                       exports_matrix_node_learner_list_metric_t *ret, soul_string_t *err) {
    return learn(matrix_soul.train, batch, ret, err);
}

bool exports_matrix_node_learner_evaluate(exports_matrix_node_learner_list_experience_t *batch,
                                          exports_matrix_node_learner_list_metric_t *ret, soul_string_t *err) {
    return learn(matrix_soul.evaluate, batch, ret, err);
}

#endif
#endif
