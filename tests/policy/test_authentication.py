import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.policy.authentication import Authenticator, remove_credentials
from sbc.policy.refusal import Refusal
from sbc.routing.accounts import Realm, User
from sbc.sip.digest import Login, ha1_of, parse_challenge_untrusted
from sbc.sip.errors import ParseError
from sbc.sip.flow import Flow
from sbc.sip.headers import Headers
from sbc.sip.message import Request, Response

PHONE = Flow("outside", "udp", ("203.0.113.10", 5060), ("198.51.100.7", 40000))
STREAM = PHONE._replace(transport="tcp", connection=3)
ALICE = User(
    "alice",
    {one: ha1_of(one, "alice", "example.com", "secret") for one in ("SHA-256", "MD5")},
    frozenset({"alice", "200"}),
)
REALM = Realm("example.com", {"alice": ALICE})


def an_authenticator(most: int = 100) -> Authenticator:
    return Authenticator(bytes(range(32)), most)


def a_request(
    method: str = "REGISTER",
    *,
    user: str = "alice",
    uri: str = "sip:example.com",
    host: str = "example.com",
    body: bytes = b"",
) -> Request:
    headers = Headers([("From", f"<sip:{user}@{host}>;tag=1"), ("To", f"<sip:{user}@{host}>")])
    return Request(method, uri, headers, body)


def challenged(
    guard: Authenticator, flow: Flow = PHONE, realm: Realm = REALM, now: float = 0.0
) -> Response:
    judged = guard.judge(a_request(), flow, realm, now)
    assert isinstance(judged, Refusal)
    return Response(judged.status, "", Headers(judged.headers))


def proved(
    challenge: Response,
    request: Request | None = None,
    *,
    user: str = "alice",
    password: str = "secret",
) -> Request:
    request = request or a_request()
    assert Login(user, password).answer(request, challenge, "c", 0)
    return request


def stale(judged: User | Refusal) -> bool:
    assert isinstance(judged, Refusal)
    assert judged.status == 401
    return all("stale=true" in value for _, value in judged.headers)


def test_who_says_nothing_is_challenged_in_every_algorithm_strongest_first() -> None:
    judged = an_authenticator().judge(a_request(), PHONE, REALM, 0.0)
    assert isinstance(judged, Refusal)
    made = [parse_challenge_untrusted(value) for _, value in judged.headers]
    assert [name for name, _ in judged.headers] == ["WWW-Authenticate"] * 2
    assert [(one.realm, one.algorithm, one.qop, one.stale) for one in made] == [
        ("example.com", "SHA-256", {"auth"}, False),
        ("example.com", "MD5", {"auth"}, False),
    ]
    assert judged.explanation == ""


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_who_knows_the_password_is_let_in(algorithm: str) -> None:
    guard = an_authenticator()
    realm = Realm("example.com", {"alice": ALICE}, (algorithm,))
    request = proved(challenged(guard, realm=realm))
    assert guard.judge(request, PHONE, realm, 299.0) is ALICE


def test_an_unknown_user_and_a_wrong_password_get_the_same_answer() -> None:
    answers = set()
    for user in ("alice", "mallory"):
        guard = an_authenticator()
        judged = guard.judge(proved(challenged(guard), user=user, password="x"), PHONE, REALM, 0.0)
        assert isinstance(judged, Refusal)
        answers.add((judged.status, judged.said, judged.headers))
    assert len(answers) == 1


def test_an_unknown_user_costs_the_same_hashes_as_a_wrong_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[str] = []
    real = hashlib.new

    def counting(name: str, *given: object, **named: object) -> object:
        made.append(name)
        return real(name, *given, **named)  # type: ignore[arg-type]  # passed on as they came

    counts = []
    for user in ("alice", "mallory"):
        guard = an_authenticator()
        request = proved(challenged(guard), user=user, password="x")
        monkeypatch.setattr("sbc.sip.digest.hashlib.new", counting)
        made.clear()
        guard.judge(request, PHONE, REALM, 0.0)
        counts.append(list(made))
        monkeypatch.undo()
    assert counts[0] == counts[1] == ["sha256"] * 2


def test_the_operator_is_told_which_of_the_two_it_was() -> None:
    guard = an_authenticator()
    wrong = guard.judge(proved(challenged(guard), password="x"), PHONE, REALM, 0.0)
    unknown = guard.judge(proved(challenged(guard), user="mallory"), PHONE, REALM, 0.0)
    assert isinstance(wrong, Refusal)
    assert isinstance(unknown, Refusal)
    assert wrong.explanation == (
        "'alice' did not log in to realm 'example.com': the password is wrong"
    )
    assert unknown.explanation.endswith("there is no such user")


def test_an_old_nonce_is_stale_and_not_wrong() -> None:
    guard = an_authenticator()
    request = proved(challenged(guard))
    assert stale(guard.judge(request, PHONE, REALM, 301.0))


def test_an_old_nonce_with_a_wrong_password_is_wrong() -> None:
    guard = an_authenticator()
    request = proved(challenged(guard), password="x")
    assert not stale(guard.judge(request, PHONE, REALM, 301.0))


@pytest.mark.parametrize(
    ("made_for", "used_by"),
    [
        (PHONE, PHONE._replace(remote=("198.51.100.8", 40000))),
        (PHONE, PHONE._replace(network="inside")),
        (STREAM, STREAM._replace(connection=4)),
        (STREAM, PHONE),
    ],
    ids=["another address", "another network", "another connection", "another transport"],
)
def test_a_nonce_is_good_for_the_source_it_was_made_for(made_for: Flow, used_by: Flow) -> None:
    guard = an_authenticator()
    request = proved(challenged(guard, made_for))
    assert stale(guard.judge(request, used_by, REALM, 1.0))


def test_a_nonce_survives_that_a_nat_changes_the_port() -> None:
    guard = an_authenticator()
    request = proved(challenged(guard))
    assert guard.judge(request, PHONE._replace(remote=("198.51.100.7", 9)), REALM, 1.0) is ALICE


def test_a_nonce_of_another_process_is_stale() -> None:
    request = proved(challenged(Authenticator(b"x" * 32)))
    assert stale(an_authenticator().judge(request, PHONE, REALM, 1.0))


def test_what_was_overheard_is_of_no_use() -> None:
    guard = an_authenticator()
    request = proved(challenged(guard))
    assert guard.judge(request, PHONE, REALM, 1.0) is ALICE
    assert stale(guard.judge(request, PHONE, REALM, 2.0))


def test_a_nonce_is_used_again_with_a_higher_count() -> None:
    guard, login = an_authenticator(), Login("alice", "secret")
    first, second = a_request(), a_request()
    assert login.answer(first, challenged(guard), "c", 0)
    login.again(second, "c")
    assert guard.judge(second, PHONE, REALM, 1.0) is ALICE
    assert stale(guard.judge(first, PHONE, REALM, 2.0))


def test_two_phones_behind_one_nat_do_not_share_a_nonce() -> None:
    guard = an_authenticator()
    nonces = {
        parse_challenge_untrusted(v).nonce for v in (first_of(challenged(guard)) for _ in range(3))
    }
    assert len(nonces) == 3


def test_without_qop_a_nonce_is_good_once() -> None:
    guard = an_authenticator()
    challenge = first_of(challenged(guard)).replace(', qop="auth"', "")
    request = proved(Response(401, "", Headers([("WWW-Authenticate", challenge)])))
    assert "nc=" not in (request.headers.first("authorization") or "")
    assert guard.judge(request, PHONE, REALM, 1.0) is ALICE
    assert stale(guard.judge(request, PHONE, REALM, 2.0))


def test_the_body_is_protected_where_that_is_asked_for() -> None:
    guard = an_authenticator()
    realm = Realm("example.com", {"alice": ALICE}, qop=frozenset({"auth-int"}))
    request = proved(challenged(guard, realm=realm), a_request("INVITE", body=b"v=0"))
    request.body = b"v=1"
    changed = guard.judge(request, PHONE, realm, 1.0)
    request.body = b"v=0"
    assert isinstance(changed, Refusal)
    assert guard.judge(request, PHONE, realm, 1.0) is ALICE


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("algorithm=SHA-256", "algorithm=SHA-512-256", "'SHA-512-256' was not offered"),
        ("algorithm=SHA-256", "algorithm=MD5-sess", "'MD5-sess' was not offered"),
        ("qop=auth", "qop=auth-int", "qop 'auth-int' was not offered"),
        ('example.com", response', 'evil.example", response', "not for the Request-URI"),
        ("sip:example.com", "sip:[", "not for the Request-URI"),
    ],
)
def test_what_was_not_asked_for_proves_nothing(old: str, new: str, why: str) -> None:
    guard = an_authenticator()
    request = proved(challenged(guard))
    value = request.headers.first("authorization") or ""
    assert old in value
    request.headers.set("Authorization", value.replace(old, new))
    judged = guard.judge(request, PHONE, REALM, 1.0)
    assert isinstance(judged, Refusal)
    assert (judged.status, stale(judged)) == (401, False)
    assert why in judged.explanation


@pytest.mark.parametrize("uri", ["sip:200@example.com", "sip:example.com:5060", "sip:example.com"])
def test_an_agent_may_leave_user_port_and_parameters_out_of_its_uri(uri: str) -> None:
    guard = an_authenticator()
    request = proved(challenged(guard), a_request("INVITE", uri=uri))
    request.uri_text = "sip:200@example.com;transport=udp"
    assert guard.judge(request, PHONE, REALM, 1.0) is ALICE


def test_overheard_credentials_take_no_call_elsewhere() -> None:
    guard = an_authenticator()
    request = proved(challenged(guard), a_request("INVITE", uri="sip:200@example.com"))
    request.uri_text = "sip:+888@example.com"
    assert isinstance(guard.judge(request, PHONE, REALM, 1.0), Refusal)


@pytest.mark.parametrize("method", ["REGISTER", "INVITE"])
def test_a_user_may_call_itself_what_is_its_own(method: str) -> None:
    guard = an_authenticator()
    own = proved(challenged(guard), a_request(method, user="20%30"))
    another = proved(challenged(guard), a_request(method, user="bob"))
    refused = guard.judge(another, PHONE, REALM, 1.0)
    assert guard.judge(own, PHONE, REALM, 1.0) is ALICE
    assert isinstance(refused, Refusal)
    assert refused.status == 403
    assert refused.explanation == "user 'alice' may not call itself 'bob'"


def test_who_calls_anonymously_is_not_asked_for_more_than_the_password() -> None:
    guard = an_authenticator()
    request = a_request("INVITE", user="anonymous", host="anonymous.invalid")
    assert guard.judge(proved(challenged(guard), request), PHONE, REALM, 1.0) is ALICE


def test_the_host_of_the_anonymous_makes_nobody_somebody_else() -> None:
    guard = an_authenticator()
    request = a_request("INVITE", user="bob", host="anonymous.invalid")
    judged = guard.judge(proved(challenged(guard), request), PHONE, REALM, 1.0)
    assert isinstance(judged, Refusal)
    assert judged.status == 403


def test_challenges_cost_no_memory() -> None:
    guard = an_authenticator()
    for _ in range(1000):
        challenged(guard)
    assert len(guard) == 0


def test_used_nonces_are_forgotten_when_they_are_too_old_anyway() -> None:
    guard = an_authenticator()
    for moment in range(0, 4000, 100):
        request = proved(challenged(guard, now=moment))
        assert guard.judge(request, PHONE, REALM, moment) is ALICE
    assert len(guard) == 4


def test_a_nonce_that_had_to_be_forgotten_cannot_be_used_again() -> None:
    guard = an_authenticator(most=10)
    requests = []
    for moment in range(30):
        requests.append(proved(challenged(guard, now=moment)))
        assert guard.judge(requests[-1], PHONE, REALM, moment) is ALICE
    assert len(guard) == 10
    assert all(stale(guard.judge(request, PHONE, REALM, 30.0)) for request in requests)


@pytest.mark.parametrize("nonce", ["", "x", "0" * 44, "g" * 44, "\udcff" * 44, "0" * 4000])
def test_a_strange_nonce_is_none_of_ours(nonce: str) -> None:
    guard = an_authenticator()
    challenge = re.sub(r'nonce="[^"]*"', f'nonce="{nonce}"', first_of(challenged(guard)))
    request = proved(Response(401, "", Headers([("WWW-Authenticate", challenge)])))
    assert stale(guard.judge(request, PHONE, REALM, 1.0))


@pytest.mark.parametrize("value", ["", "Basic YTpi", "Digest", 'Digest realm="example.com"'])
def test_what_cannot_be_read_is_no_credentials(value: str) -> None:
    request = a_request()
    request.headers.append("Authorization", value)
    judged = an_authenticator().judge(request, PHONE, REALM, 1.0)
    assert isinstance(judged, Refusal)
    assert (judged.status, judged.explanation) == (401, "")


PIECES = st.sampled_from(
    [
        'username="alice"', 'realm="example.com"', 'uri="sip:example.com"', "algorithm=MD5",
        f'nonce="{"0" * 44}"', 'nonce=""', 'nonce="\udcff"', 'response=""',
        "qop=auth", "qop=auth-int", "nc=00000001", "nc=ffffffff", 'cnonce="\udcff"', "opaque=",
        f'response="{"0" * 64}"',
    ]
)  # fmt: skip


@given(st.lists(PIECES, max_size=12, unique_by=lambda piece: piece.partition("=")[0]), st.text())
def test_whatever_a_stranger_says_it_is_challenged(pieces: list[str], more: str) -> None:
    for said in (", ".join(pieces), ", ".join(pieces) + more):
        request = a_request()
        request.headers.append("Authorization", f"Digest {said}")
        judged = an_authenticator().judge(request, PHONE, REALM, 1.0)
        assert isinstance(judged, Refusal)
        assert (judged.status, stale(judged)) == (401, False)


def test_a_from_that_cannot_be_read_is_malformed() -> None:
    guard = an_authenticator()
    request = proved(challenged(guard))
    request.headers.set("To", "<")
    with pytest.raises(ParseError):
        guard.judge(request, PHONE, REALM, 1.0)


def test_only_credentials_of_ours_are_taken_out() -> None:
    request = a_request()
    theirs = 'Digest username="a", realm="pbx", nonce="n", uri="sip:h", response="00"'
    for value in (theirs.replace("pbx", "example.com"), theirs, "Basic YTpi"):
        request.headers.append("Authorization", value)
    remove_credentials(request, "example.com")
    assert request.headers.all("authorization") == [theirs, "Basic YTpi"]


def first_of(response: Response) -> str:
    return response.headers.first("www-authenticate") or ""
