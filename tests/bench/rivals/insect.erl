%% A process that counts, before its code is changed and after: what `tests/programs/src/insect.rs` is in Rust.
%% Compiled twice, the second time with BUTTERFLY.
-module(insect).
-behaviour(gen_server).
-export([start_link/1]).
-export([init/1, handle_call/3, handle_cast/2, code_change/3]).

-ifdef(BUTTERFLY).
-vsn("2").
-define(CODE, butterfly).
-record(insect, {place, total = 0, last = #{}, flights = 0}).
-else.
-vsn("1").
-define(CODE, caterpillar).
-record(insect, {place, total = 0, last = #{}}).
-endif.

start_link(Place) ->
    gen_server:start_link(?MODULE, Place, []).

init(Place) ->
    {ok, #insect{place = Place}}.

handle_call(asked, _From, #insect{total = Total} = Insect) ->
    {reply, {?CODE, Total}, Insect}.

%% The numbers of a series count from 1: a process to which one comes twice, too early or not at all ends here, and the
%% run with it.
handle_cast({add, Asker, Series, Number}, #insect{place = Place, total = Total, last = Last} = Insect) ->
    Number = maps:get(Series, Last, 0) + 1,
    Asker ! {total, Place, Total + 1},
    {noreply, Insect#insect{total = Total + 1, last = Last#{Series => Number}}}.

-ifdef(BUTTERFLY).
code_change("1", {insect, Place, Total, Last}, change) ->
    {ok, #insect{place = Place, total = Total, last = Last}}.
-else.
code_change(_, Insect, _) ->
    {ok, Insect}.
-endif.
