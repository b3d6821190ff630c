/* How rules in C meet the node. */
#include "matrix_glue.h"

#ifdef MATRIX_EXPORTS_rules

static soul_string_t text_of(const char *text) {
    matrix_buffer copy = {0};
    matrix_print(&copy, "%s", text);
    return given(&copy);
}

void exports_matrix_node_rules_describe(exports_matrix_node_rules_description_t *ret) {
    matrix_buffer schema = {0};
    matrix_write_schema(&schema, matrix_rules.settings, matrix_rules.setting_count);
    ret->name = text_of(matrix_rules.name);
    ret->version = text_of(matrix_rules.version);
    ret->observation_type = text_of(matrix_rules.observation_type != NULL ? matrix_rules.observation_type : "text/plain");
    ret->action_type = text_of(matrix_rules.action_type != NULL ? matrix_rules.action_type : "text/plain");
    ret->players_min = matrix_rules.players_min;
    ret->players_max = matrix_rules.players_max;
    ret->config_schema = given(&schema);
}

/* An outcome as the node takes it; where there is none, why. */
static bool told(bool is_done, matrix_outcome *outcome, matrix_buffer *why, exports_matrix_node_rules_outcome_t *ret,
                 soul_string_t *err) {
    if (!is_done) {
        *err = given(why);
        return false;
    }
    size_t event_count = outcome->events.length / sizeof(struct matrix_happening);
    size_t signal_count = outcome->signals.length / sizeof(struct matrix_figure_of_outcome);
    struct matrix_happening *events = (struct matrix_happening *)outcome->events.data;
    struct matrix_figure_of_outcome *signals = (struct matrix_figure_of_outcome *)outcome->signals.data;
    ret->prompts.heads = (soul_list_u32_t){(uint32_t *)outcome->heads.data, outcome->heads.length / sizeof(uint32_t)};
    ret->prompts.bytes = given_list(&outcome->bytes);
    ret->events.ptr = calloc(event_count + 1, sizeof *ret->events.ptr);
    ret->events.len = event_count;
    ret->signals.ptr = calloc(signal_count + 1, sizeof *ret->signals.ptr);
    ret->signals.len = signal_count;
    if (ret->events.ptr == NULL || ret->signals.ptr == NULL) abort();
    for (size_t at = 0; at < event_count; at++) {
        ret->events.ptr[at].kind = given(&events[at].kind);
        ret->events.ptr[at].content.content_type = given(&events[at].content_type);
        ret->events.ptr[at].content.body = given_list(&events[at].body);
    }
    for (size_t at = 0; at < signal_count; at++) {
        ret->signals.ptr[at].name = given(&signals[at].name);
        ret->signals.ptr[at].value = signals[at].value;
    }
    ret->finished = outcome->finished;
    matrix_free(&outcome->events), matrix_free(&outcome->signals), matrix_free(why);
    return true;
}

bool exports_matrix_node_rules_start(exports_matrix_node_rules_setup_t *setup, exports_matrix_node_rules_outcome_t *ret,
                                     soul_string_t *err) {
    matrix_bytes *players = calloc(setup->players.len + 1, sizeof *players);
    matrix_outcome outcome = {0};
    matrix_buffer why = {0};
    if (players == NULL) abort();
    for (size_t at = 0; at < setup->players.len; at++) players[at] = bytes_of(setup->players.ptr[at]);
    matrix_setup told_of = {bytes_of(setup->config), setup->seed, players, setup->players.len};
    bool is_done = matrix_rules.start(&told_of, &outcome, &why);
    free(players);
    exports_matrix_node_rules_setup_free(setup);
    return told(is_done, &outcome, &why, ret, err);
}

bool exports_matrix_node_rules_step(exports_matrix_node_rules_actions_t *actions, exports_matrix_node_rules_outcome_t *ret,
                                    soul_string_t *err) {
    size_t count = actions->heads.len / MATRIX_ACTION_WORDS;
    matrix_bytes rest = bytes_of_list(actions->bytes);
    matrix_action *given_actions = calloc(count + 1, sizeof *given_actions);
    matrix_outcome outcome = {0};
    matrix_buffer why = {0};
    bool is_done = true;
    if (given_actions == NULL) abort();
    for (size_t at = 0; is_done && at < count; at++) {
        const uint32_t *head = actions->heads.ptr + at * MATRIX_ACTION_WORDS;
        given_actions[at] = (matrix_action){.player = head[0], .seat = head[1], .is_given = head[2] > 0};
        if (head[2] > 0 && !matrix_take_bytes(&rest, head[2] - 1, &given_actions[at].choice)) {
            is_done = matrix_refuse(&why, "a packed list holds fewer bytes than its words say");
        }
    }
    is_done = is_done && matrix_rules.step(given_actions, count, &outcome, &why);
    free(given_actions);
    exports_matrix_node_rules_actions_free(actions);
    return told(is_done, &outcome, &why, ret, err);
}

bool exports_matrix_node_rules_join(soul_string_t *player, uint32_t *ret, soul_string_t *err) {
    matrix_buffer why = {0};
    bool is_done = matrix_rules.join != NULL ? matrix_rules.join(bytes_of(*player), ret, &why)
                                             : matrix_refuse(&why, "these rules take players at the start only");
    if (!is_done) *err = given(&why);
    soul_string_free(player);
    return is_done;
}

bool exports_matrix_node_rules_leave(uint32_t player, soul_string_t *err) {
    matrix_buffer why = {0};
    bool is_done = matrix_rules.leave != NULL ? matrix_rules.leave(player, &why)
                                              : matrix_refuse(&why, "these rules keep their players to the end");
    if (!is_done) *err = given(&why);
    return is_done;
}

bool exports_matrix_node_rules_receive(exports_matrix_node_rules_message_t *message, exports_matrix_node_rules_option_content_t *ret,
                                       soul_string_t *err) {
    matrix_message told_of = message_of(message);
    matrix_reply reply = {0};
    bool is_done = matrix_rules.receive != NULL ? matrix_rules.receive(&told_of, &reply)
                                                : matrix_refuse(&reply.body, "these rules take no messages");
    if (!is_done) *err = given(&reply.body);
    else if (reply.is_given) *ret = (exports_matrix_node_rules_option_content_t){true, given_content(&reply)};
    else ret->is_some = false;
    exports_matrix_node_rules_message_free(message);
    return is_done;
}

void exports_matrix_node_rules_view(exports_matrix_node_rules_content_t *ret) {
    matrix_reply view = {0};
    matrix_rules.view(&view);
    *ret = given_content(&view);
}

void exports_matrix_node_stateful_schema(soul_string_t *ret) { *ret = text_of(matrix_rules.schema); }

bool exports_matrix_node_stateful_snapshot(soul_list_u8_t *ret, soul_string_t *err) {
    matrix_buffer state = {0};
    bool is_taken = matrix_rules.snapshot(&state);
    if (is_taken) *ret = given_list(&state);
    else *err = given(&state);
    return is_taken;
}

bool exports_matrix_node_stateful_restore(soul_string_t *schema, soul_list_u8_t *bytes, soul_string_t *err) {
    matrix_buffer why = {0};
    bool is_taken = matrix_rules.restore(bytes_of(*schema), bytes_of_list(*bytes), &why);
    if (!is_taken) *err = given(&why);
    soul_string_free(schema);
    soul_list_u8_free(bytes);
    return is_taken;
}

#endif
