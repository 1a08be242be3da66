import pytest

from sbc.demo.bindings import Bindings
from sbc.demo.guard import Guard
from sbc.sip.digest import Login, parse_challenge_untrusted
from sbc.sip.errors import SipError
from sbc.sip.flow import Flow
from sbc.sip.headers import Headers
from sbc.sip.message import Request, Response

FLOW = Flow("demo", "udp", ("127.0.0.1", 5060), ("127.0.0.1", 40000))


def a_register(
    *contacts: str, expires: int | None = None, cseq: int = 1, call_id: str = "one"
) -> Request:
    headers = [("CSeq", f"{cseq} REGISTER"), ("Call-ID", call_id)]
    headers += [("Contact", contact) for contact in contacts]
    if expires is not None:
        headers.append(("Expires", str(expires)))
    return Request("REGISTER", "sip:pbx.example", Headers(headers))


def contacts_of(bindings: Bindings, now: float = 0.0) -> list[str]:
    return [str(binding.uri) for binding in bindings.of("1001", now)]


def test_contacts_live_as_long_as_they_asked() -> None:
    bindings = Bindings()
    request = a_register("<sip:a@h1>;expires=60", "<sip:a@h2>", expires=100)
    bindings.register("1001", request, FLOW, now=0.0)
    assert contacts_of(bindings, now=59.0) == ["sip:a@h2", "sip:a@h1"]
    assert contacts_of(bindings, now=61.0) == ["sip:a@h2"]
    assert bindings.users(now=101.0) == []


def test_the_same_contact_is_refreshed_not_repeated() -> None:
    bindings = Bindings()
    bindings.register("1001", a_register("<sip:a@h1>"), FLOW, now=0.0)
    bindings.register("1001", a_register("<sip:a@H1>", cseq=2), FLOW, now=200.0)
    assert contacts_of(bindings, now=400.0) == ["sip:a@h1"]


def test_a_query_changes_nothing() -> None:
    bindings = Bindings()
    bindings.register("1001", a_register("<sip:a@h1>"), FLOW, now=0.0)
    bindings.register("1001", a_register(cseq=2), FLOW, now=1.0)
    assert contacts_of(bindings) == ["sip:a@h1"]


def test_star_removes_all_contacts_of_the_user() -> None:
    bindings = Bindings()
    bindings.register("1001", a_register("<sip:a@h1>"), FLOW, now=0.0)
    bindings.register("1001", a_register("*", expires=0, cseq=2), FLOW, now=1.0)
    assert contacts_of(bindings) == []


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (a_register("*", expires=60), 400),
        (a_register("<sip:a@h1>", expires=3), 423),
        (a_register("<sip:a@h1>", cseq=1), 500),
    ],
    ids=["star with expires", "too brief", "out of order"],
)
def test_what_cannot_be_done_is_refused_and_changes_nothing(request_: Request, status: int) -> None:
    bindings = Bindings()
    bindings.register("1001", a_register("<sip:a@h1>", cseq=5), FLOW, now=0.0)
    with pytest.raises(SipError) as refused:
        bindings.register("1001", request_, FLOW, now=1.0)
    assert refused.value.status == status
    assert contacts_of(bindings) == ["sip:a@h1"]


def proved(guard: Guard, *, password: str = "secret", now: float = 0.0) -> Request:
    challenges = guard.challenge(a_register(), 401, now)
    request = a_register()
    refusal = Response(401, "", Headers(challenges))
    assert Login("1001", password).answer(request, refusal, "c", 0)
    return request


def test_the_guard_knows_who_knows_the_password() -> None:
    guard = Guard("demo", {"1001": "secret"})
    assert guard.user_of(proved(guard), 401, now=1.0) == "1001"
    assert guard.user_of(proved(guard, password="guess"), 401, now=1.0) is None
    assert guard.user_of(a_register(), 401, now=1.0) is None


def test_overheard_credentials_are_of_no_use() -> None:
    guard = Guard("demo", {"1001": "secret"})
    request = proved(guard)
    assert guard.user_of(request, 401, now=1.0) == "1001"
    assert guard.user_of(request, 401, now=2.0) is None


def test_an_old_nonce_is_stale_and_not_wrong() -> None:
    guard = Guard("demo", {"1001": "secret"})
    request = proved(guard)
    assert guard.user_of(request, 401, now=301.0) is None
    ((_, value),) = guard.challenge(request, 401, now=301.0)
    assert "stale=true" in value


def test_sha256_is_asked_for_first_where_it_is_asked_for_at_all() -> None:
    def algorithms(guard: Guard) -> list[str]:
        values = [value for _, value in guard.challenge(a_register(), 407, now=0.0)]
        return [parse_challenge_untrusted(value).algorithm for value in values]

    assert algorithms(Guard("demo", {}, sha256=True)) == ["SHA-256", "MD5"]
    assert algorithms(Guard("demo", {})) == ["MD5"]
