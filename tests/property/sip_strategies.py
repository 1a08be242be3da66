"""Random but well-formed pieces of SIP."""

import string
from dataclasses import replace

from hypothesis import strategies as st

from sbc.sip.fields.name_addr import NameAddr
from sbc.sip.fields.via import Via
from sbc.sip.headers import Headers, key_of
from sbc.sip.message import Request, Response
from sbc.sip.parser import SINGLE
from sbc.sip.uri import Uri

TOKEN_CHARS = string.ascii_letters + string.digits + "-.!%*_+`'~"
CORE = {"via", "from", "to", "call-id", "cseq"}

tokens = st.text(TOKEN_CHARS, min_size=1, max_size=12)
hosts = st.one_of(
    st.from_regex(r"[a-z0-9][a-z0-9-]{0,6}(\.[a-z0-9]{1,5}){0,2}", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
)
ports = st.none() | st.integers(1, 65535)
users = st.lists(
    st.sampled_from([*(string.ascii_letters + string.digits + "-_.!~*'()&=+$,;?/#"), "%40", "%00"]),
    min_size=1,
    max_size=10,
).map("".join)
uri_param_names = st.text(string.ascii_lowercase + string.digits + "-_.", min_size=1, max_size=6)
uri_param_values = st.none() | st.text(
    string.ascii_letters + string.digits + "-_.!~*'()[]/:&+$", min_size=1, max_size=6
)
sip_uris = st.builds(
    Uri,
    scheme=st.sampled_from(["sip", "sips"]),
    user=st.none() | users,
    password=st.none(),
    host=hosts,
    port=ports,
    params=st.dictionaries(uri_param_names, uri_param_values, max_size=3).map(
        lambda params: tuple(params.items())
    ),
    headers=st.sampled_from(["", "Subject=x", "Route=%3Csip:a%3E&Priority=urgent"]),
)
other_uris = st.builds(
    Uri,
    scheme=st.sampled_from(["tel", "urn", "http", "x-y+z.1"]),
    user=st.text(string.ascii_letters + string.digits + ":/?@;=+-.", min_size=1, max_size=12),
    password=st.none(),
    host=st.just(""),
)
uris = sip_uris | other_uris


def as_received(raw: bytes) -> str:
    """Make header text of any bytes, as the parser would have it after cutting lines."""
    for forbidden in (b"\r", b"\n", b"\0"):
        raw = raw.replace(forbidden, b"")
    return raw.decode("utf-8", "surrogateescape").strip(" \t")


texts = st.binary(max_size=30).map(as_received) | st.text(max_size=20).map(
    lambda text: as_received(text.encode("utf-8", "ignore"))
)
field_params = st.dictionaries(
    tokens.map(str.lower),
    st.none() | tokens | st.sampled_from(['"a;b,c=\\"d"', '""', "[2001:db8::1]", "ab==", "é"]),
    max_size=3,
).map(lambda params: tuple(params.items()))
displays = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=12)
name_addrs = st.builds(NameAddr, display=displays, uri=uris, params=field_params)
vias = st.builds(
    Via,
    transport=tokens.map(str.upper),
    host=hosts,
    port=ports,
    params=field_params.filter(lambda params: ("branch", "z9hG4bK") not in params),
)
other_headers = st.lists(
    st.tuples(
        tokens.filter(lambda name: key_of(name) not in SINGLE | CORE),
        texts,
    ),
    max_size=5,
)
call_ids = st.text(TOKEN_CHARS + '@:<>()[]{}\\/"?=', min_size=1, max_size=20)


@st.composite
def header_fields(draw: st.DrawFn, method: str) -> Headers:
    fields = [
        ("Via", ", ".join(map(str, draw(st.lists(vias, min_size=1, max_size=3))))),
        ("f", str(draw(name_addrs))),
        ("To", str(draw(name_addrs))),
        ("Call-ID", draw(call_ids)),
        ("CSeq", f"{draw(st.integers(0, 2**32 - 1))} {method}"),
        *draw(other_headers),
    ]
    return Headers(draw(st.permutations(fields)))


@st.composite
def requests(draw: st.DrawFn) -> Request:
    method = draw(st.sampled_from(["INVITE", "REGISTER", "BYE"]) | tokens)
    uri = draw(uris)
    if uri.headers:
        uri = replace(uri, params=(), headers="")
    headers = draw(header_fields(method))
    return Request(method, str(uri), headers, draw(st.binary(max_size=60)))


@st.composite
def responses(draw: st.DrawFn) -> Response:
    headers = draw(header_fields(draw(tokens)))
    reason = draw(texts)
    return Response(draw(st.integers(100, 699)), reason, headers, draw(st.binary(max_size=60)))


messages = requests() | responses()
