"""Forged webhooks: deliveries that differ from an authentic one, none of which may be believed."""

from __future__ import annotations

import random
from collections.abc import Sequence

from connectors.suite.trial import Delivery


def without(delivery: Delivery, name: str) -> Delivery:
    """The delivery without the header ``name``."""
    return Delivery({n: value for n, value in delivery.headers.items() if n != name}, delivery.body, delivery.subject_id)


def mutated(delivery: Delivery, signed: Sequence[str], chance: random.Random, *, body_first: bool) -> tuple[Delivery, bool]:
    """A delivery that differs in its body or in a header that counts; whether it is the body."""
    if not signed or chance.random() < (0.7 if body_first else 0.5):
        return Delivery(delivery.headers, _garbled(delivery.body, chance), delivery.subject_id), True
    name = chance.choice(signed)
    if chance.random() < 0.05:
        return without(delivery, name), False
    text = _garbled(delivery.headers[name].encode("latin-1", "replace"), chance).decode("latin-1")
    return Delivery({**delivery.headers, name: text}, delivery.body, delivery.subject_id), False


def _garbled(content: bytes, chance: random.Random) -> bytes:
    """Other bytes: one flipped, dropped, doubled or put in, the end cut off, or everything replaced."""
    at = chance.randrange(len(content)) if content else 0
    choices = [
        content[:at] + bytes([content[at] ^ (1 << chance.randrange(8))]) + content[at + 1 :] if content else b"x",
        content[:at] + content[at + 1 :],
        content[:at] + content[at : at + 1] * 2 + content[at + 1 :],
        content[:at] + bytes([chance.randrange(256)]) + content[at:],
        content[:at],
        chance.randbytes(chance.randrange(1, 64)),
        content + b" ",
    ]
    garbled = chance.choice(choices)
    return garbled if garbled != content else content + b"\n"
