"""Counts. ``add N`` adds N and answers the sum; ``get`` answers the count. Both are text, and so is the answer, so that a
person can talk to it from the command line.

It takes up what the counter in Rust counted: that one's state has another layout, and so another schema.
"""

from matrix_soul import Message, Refusal, Soul, migration, soul

#: The most that it counts to: every language holds it exactly.
COUNT_MAX = 2**53 - 1


@soul(schema="counter/2")
class Counter(Soul):
    """The count is all its state."""

    count: int = 0

    def receive(self, message: Message) -> str:
        match message.text.split():
            case ["get"]:
                pass
            case ["add", number]:
                self.count = added(self.count, number)
            case _:
                raise Refusal("say `add N` or `get`")
        return str(self.count)

    @migration("counter/1", raw=True)
    def from_rust(data: bytes) -> dict[str, int]:
        """Seven bits a byte, the lowest first; the highest bit says that more follow."""
        groups = [byte & 0x7F for byte in data]
        more = [byte > 0x7F for byte in data]
        count = sum(group << 7 * place for place, group in enumerate(groups))
        if more != [True] * (len(data) - 1) + [False] or count > COUNT_MAX:
            raise Refusal("not a state of schema `counter/1`, or a count beyond 53 bits")
        return {"count": count}


def added(count: int, number: str) -> int:
    """The sum. Raises `Refusal` where `number` is none, or the sum too large."""
    if not (number.isascii() and number.isdigit() and len(number) <= 20):
        raise Refusal(f"`{number[:40]}` cannot be added: it must be a whole number, and none below zero")
    if count + int(number) > COUNT_MAX:
        raise Refusal(f"{count} + {number} is more than 53 bits hold")
    return count + int(number)
