#!/usr/bin/env python3
"""What other programs make of the texts in data/, to set beside the model: bits a character of the last tenth.

A program that compresses is asked the same as the model: how much longer is what it makes of the whole text than what
it makes of the first nine tenths? Sizes are exact: every machine prints the same.

    python3 -m venv rivals && rivals/bin/pip install --requirement requirements.txt && rivals/bin/python rivals.py
"""

import lzma
import pathlib

import pyppmd

MEMORY = 1 << 27


def ppmd_h(order):
    def size(text):
        encoder = pyppmd.Ppmd7Encoder(order, MEMORY)
        return len(encoder.encode(text)) + len(encoder.flush())

    return size


def ppmd_i(order):
    def size(text):
        encoder = pyppmd.Ppmd8Encoder(order, MEMORY)
        return len(encoder.encode(text)) + len(encoder.flush())

    return size


def xz(text):
    return len(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME))


def conditional(size, text):
    first = text[: len(text) * 9 // 10]
    return 8 * (size(text) - size(first)) / (len(text) - len(first))


def main():
    for path in sorted((pathlib.Path(__file__).parent / "data").glob("*.txt")):
        text = path.read_bytes()
        print(f"{path.stem}: {len(text)} bytes")
        for name, make in (("PPMd H", ppmd_h), ("PPMd I", ppmd_i)):
            best = min((conditional(make(order), text), order) for order in range(2, 17))
            print(f"  {name}, order {best[1]:2}  {best[0]:.4f}")
        print(f"  xz -9e            {conditional(xz, text):.4f}")


if __name__ == "__main__":
    main()
