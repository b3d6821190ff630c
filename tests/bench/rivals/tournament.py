"""Plays all matches of a round robin with Axelrod-Python, once for each line of stdin.

Arguments: the turns of a match, then the names of the strategies. Prints the seconds of each round.
"""

import sys
import time

import axelrod


def play(names, turns):
    """Every strategy against every other, and against itself; returns the seconds that it took."""
    began = time.perf_counter()
    for place, name in enumerate(names):
        for other in names[place:]:
            players = (getattr(axelrod, name)(), getattr(axelrod, other)())
            axelrod.Match(players, turns=turns).play()
    return time.perf_counter() - began


if __name__ == "__main__":
    for _ in sys.stdin:
        print(play(sys.argv[2:], int(sys.argv[1])), flush=True)
