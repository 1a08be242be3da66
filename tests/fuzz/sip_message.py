"""Fuzz entry for everything in the message layer that reads bytes from strangers.

Run it as ``python -m tests.fuzz.sip_message [ROUNDS [SEED]]``. With atheris installed it is
guided by coverage and takes atheris' arguments; without, it mutates the torture messages.
"""

import random
import sys
from collections.abc import Iterator
from pathlib import Path

from sbc.sip.errors import ParseError
from sbc.sip.framing import Keepalive, StreamFramer
from sbc.sip.message import Message, Request, Response, make_response, serialize
from sbc.sip.parser import Limits, parse_message_untrusted, salvage_request
from sbc.sip.uri import uris_equal

VECTORS = Path(__file__).parents[1] / "conformance" / "vectors"
SPLICES = [
    *(b"\r\n", b"\r", b"\n", b"\0", b"\\\0", b"\r\n ", b" ", b"\t", b",", b";", b"=", b'"', b"\\"),
    *(b"<", b">", b"@", b":", b"[", b"]", b"%", b"%4", b"%00", b"\xff", b"\xc3\xa9", b"::", b"*"),
    *(b"l: 1\r\n", b"Content-Length: 99999999999999999999\r\n", b"Contact: *\r\n", b"SIP/2.0"),
    *(b";tag=x", b";branch=z9hG4bK", b"9" * 30, b"A" * 3000, b"\r\n\r\n", b"To: <sip:a@b>\r\n"),
]


def examine(data: bytes) -> None:
    """Fail when the bytes make the message layer break one of its promises."""
    for limits in (Limits(), Limits(600, 400, 100, 40, 12)):
        outcome = _parse(data, limits)
        if isinstance(outcome, ParseError):
            assert 0 <= outcome.offset <= len(data), "the offset is outside"
            request = outcome.answerable
            if request is not None:
                serialize(make_response(request, outcome.status, outcome.reason, "tag"))
            continue
        _touch(outcome)
        again = parse_message_untrusted(serialize(outcome))
        assert again == outcome, "what was sent on is another message"
        if isinstance(outcome, Request):
            serialize(make_response(outcome, 400, None, "tag", record_route=True))
    salvage_request(data)
    assert _frames([data]) == _frames([data[at : at + 1] for at in range(len(data))])


def _parse(data: bytes, limits: Limits) -> Request | Response | ParseError:
    try:
        return parse_message_untrusted(data, limits)
    except ParseError as error:
        return error


def _touch(message: Message) -> None:
    """Ask for every view; the ones the parser vouches for must not raise."""
    _ = (message.via, message.from_tag, message.to_tag, message.call_id, message.cseq)
    if isinstance(message, Request):
        assert uris_equal(message.uri, message.uri)
    views = ["from_", "to", "contact", "contacts", "max_forwards", "expires", "content_type"]
    for view in views:
        try:
            value = getattr(message, view)
        except ParseError:
            continue
        str(value)


def _frames(pieces: list[bytes]) -> tuple[list[bytes | Keepalive], str]:
    framer = StreamFramer(Limits(message_bytes=2000, head_bytes=1000))
    items: list[bytes | Keepalive] = []
    for piece in pieces:
        try:
            items += framer.feed(piece)
        except ParseError:
            break
    return items, str(framer.failure)


def mutations(rounds: int, seed: int) -> Iterator[bytes]:
    """Make that many damaged messages; the same seed makes the same ones."""
    chance = random.Random(seed)
    corpus = [path.read_bytes() for path in sorted(VECTORS.rglob("*.dat"))]
    for _ in range(rounds):
        data = bytearray(chance.choice(corpus))
        for _ in range(chance.randint(1, 4)):
            at = chance.randint(0, len(data))
            length = chance.choice([0, 0, 1, 3, 20])
            kind = chance.random()
            if kind < 0.6:
                data[at : at + length] = chance.choice(SPLICES)
            elif kind < 0.8:
                other = chance.choice(corpus)
                start = chance.randint(0, len(other))
                data[at : at + length] = other[start : start + chance.randint(1, 60)]
            elif kind < 0.9:
                data[at : at + 1] = bytes([chance.randrange(256)])
            else:
                del data[at:]
        yield bytes(data)


def main(arguments: list[str]) -> None:
    """Fuzz until atheris has enough, or for ROUNDS mutations."""
    try:
        import atheris
    except ImportError:
        rounds = int(arguments[1]) if len(arguments) > 1 else 20000
        seed = int(arguments[2]) if len(arguments) > 2 else 1
        for data in mutations(rounds, seed):
            try:
                examine(data)
            except Exception:
                sys.stderr.write(f"failing input: {data!r}\n")
                raise
        return
    atheris.instrument_all()
    atheris.Setup(arguments, examine)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
