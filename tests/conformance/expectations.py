"""What the message layer makes of each torture message, and why.

The RFCs describe whole elements; the outcomes here are those of parser and typed views alone.
Where the fault of a message lies above them (a policy, an extension, a transaction), the message
is accepted, and `why` says who has to refuse it.
"""

from typing import NamedTuple


class Accepted(NamedTuple):
    """The message parses."""

    section: str
    why: str
    malformed: tuple[str, ...] = ()
    """The typed views that raise ParseError when somebody asks for them."""


class Refused(NamedTuple):
    """The message is a ParseError."""

    section: str
    status: int
    reason: str
    at: bytes
    """What the error's offset points at."""
    answered: bool
    """Whether the error carries a request that can be answered."""
    why: str


Expectation = Accepted | Refused

RFC4475: dict[str, Expectation] = {
    # 3.1.1 valid messages
    "wsinv": Accepted("3.1.1.1", "white space and folding wherever the grammar has them"),
    "intmeth": Accepted(
        "3.1.1.2", "all of token, word, user and quoted-pair; NUL is legal in a quoted-pair"
    ),
    "esc01": Accepted("3.1.1.3", "escapes in user parts and URI parameters"),
    "escnull": Accepted("3.1.1.4", "escaped NUL in user parts"),
    "esc02": Accepted("3.1.1.5", "% in method, display name and header name is only a %"),
    "lwsdisp": Accepted("3.1.1.6", "the missing space before < is a slip of the grammar"),
    "longreq": Accepted("3.1.1.7", "long values, none above our limits"),
    "dblreq": Accepted("3.1.1.8", "octets after the body are ignored in a datagram"),
    "semiuri": Accepted("3.1.1.9", "semicolons in a user part belong to it"),
    "transports": Accepted("3.1.1.10", "a Via transport may be any token"),
    "mpart01": Accepted("3.1.1.11", "a binary body with NULs is framed by its length"),
    "unreason": Accepted("3.1.1.12", "a reason phrase may be any UTF-8"),
    "noreason": Accepted("3.1.1.13", "a reason phrase may be empty"),
    # 3.1.2 invalid messages
    "badinv01": Refused(
        "3.1.2.1",
        400,
        "malformed Via",
        b";;,;,,",
        True,
        "separators without parameters; the answer goes by the part of the Via before them",
    ),
    "clerr": Refused(
        "3.1.2.2", 400, "body shorter than Content-Length", b"", True, "9999 announced over UDP"
    ),
    "ncl": Refused("3.1.2.3", 400, "malformed Content-Length", b"-999", True, "not 1*DIGIT"),
    "scalar02": Refused(
        "3.1.2.4", 400, "CSeq number out of range", b"36893488147419103232 ", True, "above 2**32-1"
    ),
    "scalarlg": Refused(
        "3.1.2.5",
        400,
        "CSeq number out of range",
        b"9292394834772304023312 ",
        False,
        "a response: it is discarded",
    ),
    "quotbal": Refused(
        "3.1.2.6", 400, "malformed address", b'"Mr. J. User', True, "a quote is never closed"
    ),
    "ltgtruri": Refused(
        "3.1.2.7",
        400,
        "URI without a scheme",
        b"<sip:user@example.com> ",
        True,
        "a Request-URI has no angle brackets; guessing is not our business",
    ),
    "lwsruri": Refused(
        "3.1.2.8", 400, "malformed request line", b" lr SIP/2.0", True, "space inside the URI"
    ),
    "lwsstart": Refused(
        "3.1.2.9",
        400,
        "malformed request line",
        b" sip:user@example.com ",
        True,
        "single spaces separate the request line's parts",
    ),
    "trws": Refused(
        "3.1.2.10",
        400,
        "malformed request line",
        b" SIP/2.0  ",
        True,
        "nothing follows the version; refusing is acceptable and keeps one reading only",
    ),
    "escruri": Refused(
        "3.1.2.11",
        400,
        "headers in Request-URI",
        b"sip:user@example.com?Route",
        True,
        "headers in a Request-URI must never become headers of a message",
    ),
    "baddate": Accepted(
        "3.1.2.12", "nobody here reads Date; refusing a call over it would be wrong"
    ),
    "regbadct": Accepted(
        "3.1.2.13",
        "Contact is read by who needs it, and then refused: ? only inside angle brackets",
        ("contact", "contacts"),
    ),
    "badaspec": Refused(
        "3.1.2.14", 400, "malformed address", b'"Watson, Thomas" <', True, "spaces in the URI"
    ),
    "baddn": Refused(
        "3.1.2.15",
        400,
        "no empty line after the headers",
        b"",
        True,
        "the archived file ends too early; with its end its display names are refused, below",
    ),
    "badvers": Refused("3.1.2.16", 505, "version not supported", b"SIP/7.0", True, "SIP/7.0"),
    "mismatch01": Refused(
        "3.1.2.17", 400, "CSeq method is not the request's", b"8 INVITE", True, "OPTIONS"
    ),
    "mismatch02": Refused(
        "3.1.2.18",
        501,
        "CSeq method is not the request's",
        b"8 INVITE",
        True,
        "501 says more than 400 about a method nobody knows",
    ),
    "bigcode": Refused(
        "3.1.2.19",
        400,
        "malformed status line",
        b"SIP/2.0 4294967301",
        False,
        "a response: it is dropped",
    ),
    # 3.2 transaction layer semantics
    "badbranch": Refused(
        "3.2.1",
        400,
        "magic cookie and nothing else",
        b"SIP/2.0/UDP 192.0.2.1",
        True,
        "all requests with that branch would be one transaction; refused without state",
    ),
    # 3.3 application layer semantics
    "insuf": Refused(
        "3.3.1",
        400,
        "no from header",
        b"INVITE",
        False,
        "without From, To and Call-ID an answer would be as malformed as the request",
    ),
    "unkscm": Accepted("3.3.2", "well formed; the user of the Request-URI answers 416"),
    "novelsc": Accepted("3.3.3", "well formed; the user of the Request-URI answers 416"),
    "unksm2": Accepted("3.3.4", "well formed; a registrar refuses the To with 400"),
    "bext01": Accepted("3.3.5", "well formed; 420 needs to know the extensions we have"),
    "invut": Accepted("3.3.6", "well formed; 415 is for who reads the body"),
    "regaut01": Accepted("3.3.7", "an unknown scheme of credentials is passed on or ignored"),
    "multi01": Refused(
        "3.3.8", 400, "cseq is there twice", b"CSeq: 59 INVITE", True, "which one would it be?"
    ),
    "mcl01": Refused(
        "3.3.9", 400, "content-length is there twice", b"Content-Length: 5", True, "13 and 5"
    ),
    "bcast": Accepted("3.3.10", "well formed; we never route a response by its second Via"),
    "zeromf": Accepted("3.3.11", "well formed; 483 is for who forwards"),
    "cparam01": Accepted("3.3.12", "without angle brackets a parameter is the Contact's"),
    "cparam02": Accepted("3.3.13", "inside angle brackets a parameter is the URI's"),
    "regescrt": Accepted("3.3.14", "a Contact's URI may have headers"),
    "sdp01": Accepted("3.3.15", "well formed; 406 is for who answers the offer"),
    # 3.4 backward compatibility
    "inv2543": Accepted("3.4.1", "no branch, From tag, Content-Length, Max-Forwards: RFC 2543"),
}

RFC5118: dict[str, Expectation] = {
    "ipv6-good": Accepted("4.1", "IPv6 references in Request-URI, Via and Contact"),
    "ipv6-bad": Refused(
        "4.2", 400, "malformed SIP URI", b":db8::10", True, "an IPv6 address needs its brackets"
    ),
    "port-ambiguous": Accepted("4.3", "well formed; the port became part of the address"),
    "port-unambiguous": Accepted("4.4", "the port stands outside the brackets"),
    "via-received-param-with-delim": Accepted("4.5", "received in brackets is what half send"),
    "via-received-param-no-delim": Accepted("4.5", "received without brackets is the grammar"),
    "ipv6-in-sdp": Refused(
        "4.6",
        400,
        "body shorter than Content-Length",
        b"",
        True,
        "as printed it announces 268 bytes and has 251; with the right number it parses, below",
    ),
    "mult-ip-in-header": Accepted("4.7", "IPv4 and IPv6 in one list of Vias"),
    "mult-ip-in-sdp": Accepted("4.8", "accepted; as printed 181 of the body's 189 bytes count"),
    "ipv4-mapped-ipv6": Accepted("4.9", "accepted; as printed 236 of the body's 245 bytes count"),
    "ipv6-bug-abnf-3-colons": Accepted("4.10", "the third colon is forgiven and not repeated"),
    "ipv6-correct-abnf-2-colons": Accepted("4.10", "an IPv4 address may end an IPv6 one"),
}
