"""What passes the border of a message, and what does not.

Spec: RFC 5853 §3.1.
"""

from collections.abc import Iterable

import pytest

from sbc.policy.topology import (
    NIL_UUID,
    carry,
    identity,
    may_say,
    session_uuid,
    unsupported_requirements,
    uuid_of,
)
from sbc.sip.headers import Headers
from sbc.sip.message import Request


class Side:
    """One side as the policy needs to know it."""

    def __init__(self, name: str, *, trusted: bool = False, secrets: Iterable[str] = ()) -> None:
        self.trusted = trusted
        self.our_host = f"border.{name}.example"
        self.sent_by = f"border.{name}.example:5060"
        self._secrets = tuple(secrets)

    def secrets(self) -> Iterable[str]:
        return self._secrets


OUTSIDE = Side("outside", secrets=("198.51.100.7", "PBX-seven"))
TRUSTED = Side("outside", trusted=True, secrets=("198.51.100.7", "PBX-seven"))
INSIDE = Side("inside")


def a_message(*lines: str) -> Request:
    headers = Headers()
    for line in (
        "Via: SIP/2.0/UDP host.outside.example:5060;branch=z9hG4bK1",
        "Call-ID: call-id-of-a",
        "Contact: <sip:alice@[2001:db8::7]:5061>",
        *lines,
    ):
        name, _, value = line.partition(": ")
        headers.append(name, value)
    return Request("INVITE", "sip:600@x", headers)


def passed(*lines: str, origin: Side = OUTSIDE, receiver: Side = INSIDE) -> list[tuple[str, str]]:
    target = Headers()
    carry(a_message(*lines), target, origin, receiver)
    return list(target.items())


@pytest.mark.parametrize(
    "name",
    [
        *("Route", "Record-Route", "Path", "User-Agent", "Server", "Replaces", "Refer-To"),
        *("P-Asserted-Identity", "Remote-Party-ID", "Diversion", "Identity", "y", "Privacy"),
        *("Referred-By", "History-Info", "P-Charging-Vector", "Organization", "RAck", "r", "b"),
        *(
            "Identity-Info",
            "n",
            "P-Charge-Info",
            "CC-Diversion",
            "P-Asserted-Service",
            "P-DCS-Billing-Info",
        ),
    ],
)
def test_what_describes_the_path_or_the_machine_is_never_copied(name: str) -> None:
    assert passed(f"{name}: anything") == []


def test_what_means_the_same_on_both_sides_is_copied_as_it_is() -> None:
    lines = ("Session-Expires: 1800", "Priority: urgent", "x: 90", "Accept: application/sdp")
    assert [f"{name}: {value}" for name, value in passed(*lines)] == list(lines)


@pytest.mark.parametrize(
    "value",
    [
        "198.51.100.7",
        "at pbx-SEVEN today",
        "any 10.1.2.3 address",
        "[2001:db8::99]",
        "call-id-of-a",
        "host.outside.example",
        "<sip:someone@elsewhere>",
        "2001:db8::7",
    ],
)
def test_an_unknown_header_that_names_a_place_is_held_back_and_reported(value: str) -> None:
    target = Headers()
    assert carry(a_message(f"X-Own: {value}"), target, TRUSTED, INSIDE) == ["X-Own"]
    assert len(target) == 0


@pytest.mark.parametrize("value", ["blue", "1.2.3", "release 10.1.2.3.4.5", "http://example.org/x"])
def test_an_unknown_header_that_names_none_passes(value: str) -> None:
    assert passed(f"X-Own: {value}", origin=TRUSTED) == [("X-Own", value)]


@pytest.mark.parametrize(
    "line",
    [
        "Alert-Info: <http://example.org/x>;info=auto-answer",
        "Answer-Mode: Auto",
        "Priv-Answer-Mode: Auto",
        "X-Auto-Answer: 1",
    ],
)
def test_a_stranger_can_make_no_phone_answer(line: str) -> None:
    assert passed(line) == []
    assert passed(line, origin=TRUSTED) != []


@pytest.mark.parametrize("name", ["Reason", "Subject", "s"])
def test_free_text_passes_unless_it_names_a_place(name: str) -> None:
    assert passed(f"{name}: well") == [(name, "well")]
    assert passed(f"{name}: lost 198.51.100.7") == []


def test_warnings_are_told_in_our_name_without_places() -> None:
    assert passed('Warning: 399 pbx.example "no codec"') == [
        ("Warning", '399 border.inside.example:5060 "no codec"')
    ]
    assert passed('Warning: 399 pbx.example "ask 198.51.100.7"') == []


def test_options_and_methods_are_those_that_work_through_us() -> None:
    assert passed("Supported: timer, 100rel, Replaces", "Require: Timer") == [
        ("Supported", "timer"),
        ("Require", "Timer"),
    ]
    assert passed("Allow: INVITE, REFER, INFO") == [("Allow", "INVITE, INFO")]
    assert passed("k: 100rel") == []


def test_from_and_to_keep_the_person_and_lose_the_place() -> None:
    assert identity('"Al" <sip:alice@pbx:5080;x=y>;tag=1', "h", "t") == '"Al" <sip:alice@h>;tag=t'
    assert identity("<tel:+491>", "2001:db8::1", None) == "<sip:+491@[2001:db8::1];user=phone>"
    assert identity("<sip:pbx.example>", "h", None) == "<sip:h>"


def test_whoever_is_anonymous_stays_so() -> None:
    given = '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=1'
    assert identity(given, "h", "t") == '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=t'


def test_a_reason_phrase_is_repeated_unless_it_names_a_place() -> None:
    assert may_say("Busy Everywhere", a_message(), OUTSIDE)
    assert not may_say("Busy at PBX-SEVEN", a_message(), OUTSIDE)


def test_requirements_that_work_end_to_end_are_not_ours_to_refuse() -> None:
    assert unsupported_requirements(a_message("Require: timer")) == []
    message = a_message("Require: 100rel, timer", "Proxy-Require: foo")
    assert unsupported_requirements(message) == ["100rel", "foo"]


@pytest.mark.parametrize("value", [NIL_UUID, "short", "g" * 32, ""])
def test_an_unusable_session_id_is_none(value: str) -> None:
    assert session_uuid(a_message(f"Session-ID: {value};remote={NIL_UUID}")) is None


def test_a_session_id_we_make_is_a_version_4_uuid() -> None:
    uuid = uuid_of("0123456789abcdef" * 2)
    assert len(uuid) == 32
    assert (uuid[12], uuid[16]) == ("4", "a")
    assert session_uuid(a_message(f"Session-ID: {uuid.upper()}")) == uuid


@pytest.mark.parametrize("text", ["[" + ":" * 500_000, "1.1.1." * 100_000, "a::" * 100_000])
def test_texts_of_any_length_are_looked_at_in_a_time_that_ends(text: str) -> None:
    # Where each character is looked at once for every other, this takes hours.
    assert may_say(text, a_message(), OUTSIDE) is (not text.startswith("a"))
