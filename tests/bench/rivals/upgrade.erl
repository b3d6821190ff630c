%% Processes whose code is changed under load, by OTP's own release handler: `release_handler:upgrade_app/2`. Its script
%% for a module whose processes change their state, the instruction {update, Module, {advanced, Extra}} of appup(4), is
%% checked here before it is run: all processes of the module are suspended (sys:suspend), one after another, then the
%% code is loaded, then each changes its state (sys:change_code), then each is resumed (sys:resume).
%%
%% Answers each line of stdin with a figure, in seconds:
%%   live COUNT EVERY  starts COUNT processes, each of which is to be asked every EVERY ms: 0
%%   quiet MS          asks for so long while nothing happens: 0
%%   upgrade           asks while the code of all is changed: how long that took
%%   answer P          the longest answer of each process in the last of these: P percent of them are within this
%%   held P            how long each process was suspended: P percent of them are within this
-module(upgrade).
-behaviour(application).
-behaviour(supervisor).
-export([main/1]).
-export([start/2, stop/1, init/1]).

-record(run, {next, insects, every, cycles = 0, longest = {}, held = {}}).
-record(load, {run, answers, seconds, began, cycle, sent = 0, answered = 0, mark = infinity, over = false}).

%% `Next` is the folder of the application's next version.
main([Next]) ->
    {ok, _} = application:ensure_all_started(insects),
    {ok, _} = application:ensure_all_started(sasl),
    read(#run{next = Next}).

start(_Type, _Arguments) ->
    supervisor:start_link({local, insects}, ?MODULE, none).

stop(_) ->
    ok.

init(none) ->
    Child = #{id => insect, start => {insect, start_link, []}, restart => temporary, modules => [insect]},
    {ok, {#{strategy => simple_one_for_one}, [Child]}}.

read(Run) ->
    case io:get_line("") of
        eof ->
            halt(0);
        Line ->
            {Seconds, Next} = play(string:lexemes(Line, " \n"), Run),
            io:format("~.9f~n", [float(Seconds)]),
            read(Next)
    end.

play(["live", Count, Every], Run) ->
    Insects = [begin {ok, Pid} = supervisor:start_child(insects, [Place]), Pid end
               || Place <- lists:seq(1, list_to_integer(Count))],
    {0, Run#run{insects = list_to_tuple(Insects), every = list_to_integer(Every)}};
play(["quiet", Ms], Run) ->
    {ok, After} = during(fun() -> timer:sleep(list_to_integer(Ms)) end, Run),
    {0, After};
play(["upgrade"], Run) ->
    {{Seconds, Held}, After} = during(fun() -> upgrade(Run) end, Run),
    [{butterfly, Cycles} = gen_server:call(Insect, asked)
     || Cycles <- [After#run.cycles], Insect <- tuple_to_list(Run#run.insects)],
    {Seconds, After#run{held = sorted(Held)}};
play(["answer", Percent], Run) ->
    {within(Percent, Run#run.longest), Run};
play(["held", Percent], Run) ->
    {within(Percent, Run#run.held), Run}.

sorted(Seconds) ->
    list_to_tuple(lists:sort(Seconds)).

within(Percent, Sorted) ->
    element(max(1, (tuple_size(Sorted) * list_to_integer(Percent) + 99) div 100), Sorted).

%% How long it took, and how long each process was suspended. Only the calls of the process that upgrades are traced.
upgrade(#run{next = Next}) ->
    {ok, "2", [{load_object_code, _}, point_of_no_return, {suspend, _}, {load, _}, {code_change, up, _}, {resume, _}]} =
        release_handler:upgrade_script(insects, Next),
    Tracer = self(),
    {module, sys} = code:ensure_loaded(sys),
    [1, 1] = [erlang:trace_pattern({sys, Function, 1}, true, [global]) || Function <- [suspend, resume]],
    Upgrader = spawn_link(fun() ->
        receive go -> ok end,
        Began = erlang:monotonic_time(),
        {ok, []} = release_handler:upgrade_app(insects, Next),
        Tracer ! {upgraded, seconds(Began)}
    end),
    erlang:trace(Upgrader, true, [call, monotonic_timestamp]),
    Upgrader ! go,
    Took = receive {upgraded, Seconds} -> Seconds end,
    {Took, held(#{}, [])}.

held(Suspended, Held) ->
    receive
        {trace_ts, _, call, {sys, suspend, [Insect]}, Since} ->
            held(Suspended#{Insect => Since}, Held);
        {trace_ts, _, call, {sys, resume, [Insect]}, Until} ->
            {Since, Left} = maps:take(Insect, Suspended),
            held(Left, [native(Until - Since) | Held])
    after 100 ->
        0 = map_size(Suspended),
        Held
    end.

%% Asks all processes while the function is called, in whole cycles: one before, and two at least from its beginning on.
during(Function, #run{every = Every} = Run) ->
    Parent = self(),
    Load = spawn_opt(fun() -> load(Run, Parent) end, [link, {priority, high}]),
    timer:sleep(Every),
    Load ! mark,
    Settled = erlang:monotonic_time() + native_of(2 * Every),
    Result = Function(),
    timer:sleep(max(0, erlang:convert_time_unit(Settled - erlang:monotonic_time(), native, millisecond))),
    Load ! over,
    receive {Load, Cycles, Longest} -> {Result, Run#run{cycles = Cycles, longest = sorted(Longest)}} end.

%% Asks one process after another, each when it is due, and notes down how long after that its answer came.
load(#run{insects = Insects, every = Every} = Run, Parent) ->
    Count = tuple_size(Insects),
    Answers = atomics:new(Count, []),
    Load = #load{run = Run, answers = Answers, began = erlang:monotonic_time(), cycle = native_of(Every)},
    #load{sent = Sent} = asking(Load),
    Longest = [native(atomics:get(Answers, Place)) || Place <- lists:seq(1, Count)],
    Parent ! {self(), Run#run.cycles + Sent div Count, Longest}.

asking(#load{run = #run{insects = Insects}, sent = Sent, answered = Sent, over = true} = Load)
  when Sent rem tuple_size(Insects) =:= 0 ->
    Load;
asking(Load) ->
    Sent = send(Load, erlang:monotonic_time()),
    hear(Load#load{sent = Sent}, erlang:monotonic_time() + native_of(1)).

due(Question, #load{run = #run{insects = Insects}, began = Began, cycle = Cycle}) ->
    Began + Question * Cycle div tuple_size(Insects).

send(#load{run = #run{insects = Insects, cycles = Cycles}, sent = Sent, over = Over} = Load, Now) ->
    Count = tuple_size(Insects),
    IsOver = Over andalso Sent rem Count =:= 0,
    case not IsOver andalso due(Sent, Load) =< Now of
        true ->
            Number = Cycles + Sent div Count + 1,
            gen_server:cast(element(Sent rem Count + 1, Insects), {add, self(), load, Number}),
            send(Load#load{sent = Sent + 1}, Now);
        false ->
            Sent
    end.

hear(Load, Until) ->
    receive
        {total, Place, Total} -> heard(answered(Place, Total, Load), Until);
        mark -> heard(Load#load{mark = erlang:monotonic_time()}, Until);
        over -> heard(Load#load{over = true}, Until)
    after 1 ->
        asking(Load)
    end.

heard(Load, Until) ->
    case erlang:monotonic_time() < Until of
        true -> hear(Load, Until);
        false -> asking(Load)
    end.

answered(Place, Total, #load{run = #run{insects = Insects, cycles = Cycles}} = Load) ->
    Due = due((Total - Cycles - 1) * tuple_size(Insects) + Place - 1, Load),
    Took = erlang:monotonic_time() - Due,
    case Due >= Load#load.mark andalso Took > atomics:get(Load#load.answers, Place) of
        true -> atomics:put(Load#load.answers, Place, Took);
        false -> ok
    end,
    Load#load{answered = Load#load.answered + 1}.

native_of(Ms) ->
    erlang:convert_time_unit(Ms, millisecond, native).

native(Time) ->
    Time / erlang:convert_time_unit(1, second, native).

seconds(Began) ->
    native(erlang:monotonic_time() - Began).
