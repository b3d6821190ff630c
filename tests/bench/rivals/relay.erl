%% Pairs of processes that pass messages of 100 bytes to and fro, once for each line of stdin.
%% A line holds how many processes, how many of them begin, with how many messages each, and how many hops
%% each message goes. Prints the seconds of each round.
-module(relay).
-export([main/0]).

-define(BODY_BYTES, 100).

main() ->
    case io:get_line("") of
        eof ->
            halt(0);
        Line ->
            [Count, Begin, Each, Hops] = [list_to_integer(Word) || Word <- string:lexemes(Line, " \n")],
            io:format("~.9f~n", [play(Count, Begin, Each, Hops)]),
            main()
    end.

play(Count, Begin, Each, Hops) ->
    Judge = self(),
    Relays = [spawn_link(fun() -> born(Judge) end) || _ <- lists:seq(1, Count)],
    marry(Relays),
    Body = binary:copy(<<"x">>, ?BODY_BYTES),
    Began = erlang:monotonic_time(),
    [Relay ! {Hops, Body} || _ <- lists:seq(1, Each), Relay <- lists:sublist(Relays, Begin)],
    await(Begin * Each),
    Took = erlang:monotonic_time() - Began,
    [begin unlink(Relay), exit(Relay, kill) end || Relay <- Relays],
    Took / erlang:convert_time_unit(1, second, native).

marry([One, Other | Rest]) ->
    One ! {next, Other},
    Other ! {next, One},
    marry(Rest);
marry([]) ->
    ok.

await(0) -> ok;
await(Left) -> receive arrived -> await(Left - 1) end.

born(Judge) ->
    receive {next, Next} -> relay(Next, Judge) end.

relay(Next, Judge) ->
    receive
        {0, _} -> Judge ! arrived;
        {Hops, Body} -> Next ! {Hops - 1, Body}
    end,
    relay(Next, Judge).
