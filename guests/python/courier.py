"""Sends the request that it is told, and answers what came of it: the status, a newline, and what the host says.

It is told the method and the URL on a line, then headers, a line each, and behind an empty line the body::

    POST https://api.example.org/notes
    content-type: text/plain

    buy milk

Needs the grant `http = ["api.example.org"]`, and a node whose operator lets it reach this host."""

from matrix_soul import Message, Refusal, Soul, http, soul


@soul()
class Courier(Soul):
    """Goes where it is sent, and no further: it follows no redirect."""

    def receive(self, message: Message) -> str:
        method, url, headers, body = read(message.text)
        answer = http.request(method, url, headers=headers, body=body)
        return f"{answer.status}\n{answer.text}"


def read(order: str) -> tuple[str, str, list[tuple[str, str]], str]:
    """The method, the URL, the headers and the body that a message says. Raises `Refusal`."""
    head, _, body = order.partition("\n\n")
    first, *rest = head.rstrip("\n").split("\n")
    method, space, url = first.partition(" ")
    if not method or not space:
        raise Refusal("say `METHOD URL`, then headers, an empty line and a body, if there are any")
    headers = []
    for line in rest:
        name, colon, value = line.partition(":")
        if not colon:
            raise Refusal(f"`{line}` is no header: say `Name: value`")
        headers.append((name.strip(), value.strip()))
    return method, url.strip(), headers, body
