%% Two nodes, one of which sends messages of 100 bytes to the other, or asks it, once for each line of stdin.
%% `serve` is the node that answers: it prints 0 for each line, once it is ready. `ask` is the one that is
%% measured; it prints seconds for each of these:
%%   send N    from before the first of N messages is sent until the answer that all N are there has come
%%   ask N     the median of N questions, one at a time: a message with a reference, and the answer with it
%%   call N    the same with gen_server:call, which watches the server while it waits
%%   within P  the time within which P percent of the last questions were answered
%% `certify FILE` makes certificates, and writes the options for distribution over TLS that use them.
-module(distribution).
-behaviour(gen_server).
-export([serve/0, ask/0, certify/1]).
-export([init/1, handle_call/3, handle_cast/2]).

-define(BODY_BYTES, 100).
-define(ANSWERER, 'answerer@127.0.0.1').
%% Questions that are asked before any is measured.
-define(WARM_UP, 2000).

serve() ->
    register(counter, spawn_opt(fun counter/0, [link, {message_queue_data, off_heap}])),
    register(echo, spawn_link(fun echo/0)),
    {ok, _} = gen_server:start_link({local, server}, ?MODULE, none, []),
    answer().

answer() ->
    case io:get_line("") of
        eof -> halt(0);
        _ -> io:format("0~n"), answer()
    end.

counter() ->
    receive
        {count, Count, Asker} ->
            Asker ! {ready, self()},
            count(Count),
            Asker ! counted
    end,
    counter().

count(0) -> ok;
count(Left) -> receive Body when byte_size(Body) =:= ?BODY_BYTES -> count(Left - 1) end.

echo() ->
    receive {Reference, Asker, Body} -> Asker ! {Reference, Body} end,
    echo().

init(none) -> {ok, none}.
handle_call(Body, _From, none) -> {reply, Body, none}.
handle_cast(_, none) -> {noreply, none}.

ask() ->
    spawn_link(fun watch/0),
    ask({0.0}).

%% A message to a node that is not there is lost without a word: nobody may wait for its answer.
watch() ->
    monitor_node(?ANSWERER, true),
    receive {nodedown, Node} -> io:format(standard_error, "no connection with ~s~n", [Node]), halt(1) end.

%% What the last questions took, the quickest first, is handed on.
ask(Last) ->
    case io:get_line("") of
        eof ->
            halt(0);
        Line ->
            [Word, Number] = string:lexemes(Line, " \n"),
            {Seconds, Next} = play(Word, list_to_integer(Number), Last),
            io:format("~.9f~n", [Seconds]),
            ask(Next)
    end.

play("send", Count, Last) ->
    {apart(fun() -> send(Count) end), Last};
play("within", Percent, Last) ->
    {within(Percent, Last), Last};
play("ask", Count, _) ->
    asked(Count, fun(Body) -> question({echo, ?ANSWERER}, Body) end);
play("call", Count, _) ->
    asked(Count, fun(Body) -> gen_server:call({server, ?ANSWERER}, Body) end).

asked(Count, Ask) ->
    Took = apart(fun() -> questions(?WARM_UP, Ask), questions(Count, Ask) end),
    Sorted = list_to_tuple(lists:sort(Took)),
    {within(50, Sorted), Sorted}.

within(Percent, Sorted) ->
    element(max(1, (tuple_size(Sorted) * Percent + 99) div 100), Sorted).

%% What the function returns, called in a process of its own, whose mailbox and heap nothing else has used.
apart(Function) ->
    Parent = self(),
    Child = spawn_link(fun() -> Parent ! {self(), Function()} end),
    receive {Child, Result} -> Result end.

send(Count) ->
    {counter, ?ANSWERER} ! {count, Count, self()},
    Counter = receive {ready, Pid} -> Pid end,
    Body = body(),
    Began = erlang:monotonic_time(),
    flood(Count, Counter, Body),
    receive counted -> ok end,
    seconds(Began).

flood(0, _, _) ->
    ok;
flood(Left, To, Body) ->
    To ! Body,
    flood(Left - 1, To, Body).

questions(Count, Ask) ->
    Body = body(),
    [begin
        Began = erlang:monotonic_time(),
        Body = Ask(Body),
        seconds(Began)
     end || _ <- lists:seq(1, Count)].

question(To, Body) ->
    Reference = make_ref(),
    To ! {Reference, self(), Body},
    receive {Reference, Answer} -> Answer end.

body() ->
    binary:copy(<<"x">>, ?BODY_BYTES).

seconds(Began) ->
    (erlang:monotonic_time() - Began) / erlang:convert_time_unit(1, second, native).

%% Either side shows the other a certificate, and checks the other's.
certify([File]) ->
    [halt(1) || code:which(ssl) =:= non_existing],
    Key = [{key, {namedCurve, secp256r1}}],
    Name = {'Extension', {2, 5, 29, 17}, false, [{dNSName, "127.0.0.1"}]},
    Chain = #{root => Key, intermediates => [], peer => [{extensions, [Name]} | Key]},
    #{server_config := Server, client_config := Client} =
        public_key:pkix_test_data(#{server_chain => Chain, client_chain => Chain}),
    Both = [{verify, verify_peer}, {versions, ['tlsv1.3']}],
    Options = [{server, [{fail_if_no_peer_cert, true} | Both] ++ Server}, {client, Both ++ Client}],
    ok = file:write_file(File, io_lib:format("~p.~n", [Options])),
    halt(0).
