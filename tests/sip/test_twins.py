"""What makes two requests one."""

import pytest

from sbc.sip.errors import ParseError
from sbc.sip.headers import Headers
from sbc.sip.message import Request
from sbc.sip.twins import twin_key


def a_request(branch: str = "1", tag: str = ";tag=a", cseq: str = "1 REGISTER") -> Request:
    headers = Headers(
        [
            ("Via", f"SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{branch}"),
            ("From", f"<sip:a@b>{tag}"),
            ("Call-ID", "c"),
            ("CSeq", cseq),
        ]
    )
    return Request("REGISTER", "sip:b", headers)


def test_the_way_does_not_count() -> None:
    assert twin_key(a_request("1")) == twin_key(a_request("2")) == ("c", "a", 1)


def test_the_next_request_and_another_callers_are_no_twins() -> None:
    assert len({twin_key(a_request(tag=tag, cseq=cseq)) for tag in (";tag=a", "")
                for cseq in ("1 REGISTER", "2 REGISTER")}) == 4  # fmt: skip


def test_what_cannot_be_read_has_none() -> None:
    with pytest.raises(ParseError):
        twin_key(a_request(cseq="one REGISTER"))
