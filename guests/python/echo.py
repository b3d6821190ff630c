"""Replies with what it received. Has no state, no settings, and needs no grant."""

from matrix_soul import Content, Message, Soul, soul


@soul()
class Echo(Soul):
    """Says what it is told."""

    def receive(self, message: Message) -> Content:
        return message.content
