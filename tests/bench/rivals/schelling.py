"""Makes steps of Mesa's own example of Schelling's model, once for each line of stdin.

A line holds width, height, steps, the share of like neighbours wanted, and a seed. Prints the seconds that the steps of each round took; making
the model is not counted.
"""

import sys
import time

from mesa.datacollection import DataCollector
from mesa.examples.basic.schelling.model import Schelling


def walk(width, height, steps, wanted, seed):
    """Returns the seconds of so many steps."""
    model = Schelling(height, width, density=0.8, minority_pc=0.5, homophily=wanted, radius=1, seed=seed)
    # The example also notes down every agent at every step; what the node tells are two figures.
    model.datacollector = DataCollector(model_reporters={"happy": "happy"})
    began = time.perf_counter()
    for _ in range(steps):
        model.step()
    return time.perf_counter() - began


if __name__ == "__main__":
    for line in sys.stdin:
        width, height, steps, wanted, seed = line.split()
        print(walk(int(width), int(height), int(steps), float(wanted), int(seed)), flush=True)
