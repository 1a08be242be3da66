"""What holds for every SIP message."""

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sbc.sip.errors import ParseError
from sbc.sip.fields.cseq import CSeq, parse_cseq_untrusted
from sbc.sip.fields.name_addr import (
    NameAddr,
    parse_name_addr_untrusted,
    parse_name_addrs_untrusted,
    split_name_addr_untrusted,
    tag_of,
)
from sbc.sip.fields.via import Via, parse_via_untrusted, salvage_via
from sbc.sip.framing import Keepalive, StreamFramer
from sbc.sip.headers import Headers
from sbc.sip.message import Message, Request, Response, make_response, serialize
from sbc.sip.parser import Limits, parse_message_untrusted, salvage_request
from sbc.sip.uri import Uri, parse_uri_untrusted, uris_equal
from tests.fuzz import sip_message
from tests.property.sip_strategies import messages, name_addrs, requests, tokens, uris, vias

VIEWS = ["via", "from_", "to", "from_tag", "to_tag", "call_id", "cseq", "contact", "contacts"]
VIEWS += ["contact_is_star", "max_forwards", "expires", "content_type"]
READ = ["Via", "From", "To", "Call-ID", "CSeq", "Contact", "Max-Forwards", "Expires", "c"]
nearly = st.text('ab0129.-:;,=<>[]@%"\\ \t/?*\r\n\0é\u017f', max_size=24)
wild = st.text(max_size=40) | nearly


@given(messages)
def test_parsing_what_was_serialized_gives_the_same_message(message: Request | Response) -> None:
    assert parse_message_untrusted(serialize(message)) == message


@given(st.binary(max_size=300))
@example(b"\r\n\r\n")
@example(b"\r\n\r\n\r\n\r\n")
@example(b"SIP/2.0 200\r\n\r\n")
def test_any_bytes_are_a_message_or_a_parse_error(data: bytes) -> None:
    sip_message.examine(data)


def test_damaged_torture_messages_are_messages_or_parse_errors() -> None:
    for data in sip_message.mutations(rounds=1500, seed=20):
        sip_message.examine(data)


@given(messages, st.data())
def test_a_damaged_message_is_a_message_or_a_parse_error(
    message: Request | Response, data: st.DataObject
) -> None:
    wire = serialize(message)
    at = data.draw(st.integers(0, len(wire)))
    length = data.draw(st.integers(0, 8))
    sip_message.examine(wire[:at] + data.draw(st.binary(max_size=8)) + wire[at + length :])


@given(messages, st.integers(0, 2000))
def test_a_truncated_message_is_refused(message: Request | Response, at: int) -> None:
    wire = serialize(message)
    with pytest.raises(ParseError):
        parse_message_untrusted(wire[: at % len(wire)])


@given(st.lists(st.tuples(st.sampled_from(READ), wild)))
def test_views_of_any_headers_raise_parse_errors_only(fields: list[tuple[str, str]]) -> None:
    message = Message(Headers(fields))
    for view in VIEWS:
        fault = fault_of(getattr, message, view)
        assert fault is None or fault.status == 400


@given(wild)
@example("sip:[::]")
@example("0" * 5000 + "1 INVITE")
@example("9" * 5000 + " INVITE")
@example("sip:a:" + "9" * 5000)
@example("SIP/2.0/UDP a:" + "9" * 5000)
def test_parsers_of_any_text_raise_parse_errors_only(text: str) -> None:
    for parse in (
        parse_uri_untrusted,
        parse_via_untrusted,
        parse_cseq_untrusted,
        parse_name_addr_untrusted,
        parse_name_addrs_untrusted,
        split_name_addr_untrusted,
        tag_of,
    ):
        fault = fault_of(parse, text)
        assert fault is None or 0 <= fault.offset <= len(text)
    salvage_via(text)


@given(uris)
def test_uris_survive_being_written(uri: Uri) -> None:
    again = parse_uri_untrusted(str(uri))
    assert again == uri
    assert uris_equal(again, uri)


@given(nearly.map(lambda text: f"sip:{text}"))
def test_whatever_uri_was_read_is_written_as_one_that_reads_the_same(text: str) -> None:
    try:
        uri = parse_uri_untrusted(text)
    except ParseError:
        return
    assert parse_uri_untrusted(str(uri)) == uri
    assert parse_uri_untrusted(uri.address_of_record).address_of_record == uri.address_of_record


@given(name_addrs)
def test_addresses_survive_being_written(address: NameAddr) -> None:
    assert parse_name_addr_untrusted(str(address)) == address


@given(st.lists(name_addrs, max_size=4))
def test_lists_of_addresses_survive_being_written(addresses: list[NameAddr]) -> None:
    assert parse_name_addrs_untrusted(",".join(map(str, addresses))) == addresses


@given(name_addrs, tokens)
def test_the_fast_tag_is_the_parsed_tag(address: NameAddr, tag: str) -> None:
    text = str(address.with_param("tag", tag))
    assert tag_of(split_name_addr_untrusted(text)[2]) == tag


@given(vias)
def test_vias_survive_being_written(via: Via) -> None:
    assert parse_via_untrusted(str(via)) == via


@given(st.integers(0, 2**32 - 1), tokens)
def test_cseqs_survive_being_written(number: int, method: str) -> None:
    cseq = CSeq(number, method)
    assert parse_cseq_untrusted(str(cseq)) == cseq


@given(requests(), st.integers(100, 699), tokens)
def test_a_response_to_any_request_is_a_message(request: Request, status: int, tag: str) -> None:
    response = make_response(request, status, to_tag=tag)
    assert parse_message_untrusted(serialize(response)) == response
    assert response.headers.values("via") == request.headers.values("via")
    assert response.to_tag == (request.to_tag or tag)


@given(st.text(max_size=10), wild, wild, wild)
def test_serializing_gives_one_message_or_raises_value_error(
    method: str, uri: str, value: str, reason: str
) -> None:
    headers = Headers([("X-Value", value)])
    for message in (Request(method, uri, headers), Response(200, reason, headers)):
        try:
            wire = serialize(message)
        except ValueError:
            continue
        assert wire.count(b"\r") == wire.count(b"\n") == 4
        assert wire.count(b"\r\n\r\n") == 1


@given(messages)
def test_a_refused_message_can_be_salvaged_whole(message: Request | Response) -> None:
    salvaged = salvage_request(serialize(message))
    if isinstance(message, Response) or message.method == "ACK":
        assert salvaged is None
    else:
        assert salvaged is not None
        assert salvaged.via == message.via


pieces_of_streams = st.lists(
    messages.map(serialize)
    | st.sampled_from([b"\r\n", b"\r\n\r\n", b"\r", b"A: b\r\n\r\n", b"l: 3\r\n\r\nabc"])
    | st.binary(max_size=10),
    max_size=5,
)


@given(pieces_of_streams, st.lists(st.integers(1, 40), min_size=1))
def test_framing_does_not_depend_on_how_a_stream_is_cut(
    stream: list[bytes], cuts: list[int]
) -> None:
    whole = b"".join(stream)
    singly = [whole[at : at + 1] for at in range(len(whole))]
    odd = []
    at = 0
    while at < len(whole):
        length = cuts[len(odd) % len(cuts)]
        odd.append(whole[at : at + length])
        at += length
    assert framed([whole]) == framed(singly) == framed(odd)


@given(st.lists(messages, max_size=4))
def test_a_stream_of_messages_is_framed_into_them(sent: list[Request | Response]) -> None:
    items, failure = framed([b"\r\n".join(map(serialize, sent))])
    assert failure is None
    assert [parse_message_untrusted(item) for item in items if isinstance(item, bytes)] == sent


def fault_of(function: Callable[..., object], *arguments: object) -> ParseError | None:
    try:
        function(*arguments)
    except ParseError as error:
        return error
    return None


def framed(pieces: list[bytes]) -> tuple[list[bytes | Keepalive], tuple[str, int] | None]:
    framer = StreamFramer(Limits(message_bytes=1500, head_bytes=1000))
    items: list[bytes | Keepalive] = []
    for piece in pieces:
        try:
            items += framer.feed(piece)
        except ParseError:
            break
    failure = framer.failure
    return items, None if failure is None else (failure.reason, failure.status)
