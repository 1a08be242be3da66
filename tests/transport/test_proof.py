import pytest

from sbc.transport.proof import shows_acceptance

ALLOW = b"Allow: INVITE, OPTIONS\r\n"


def response(status: int, method: bytes) -> bytes:
    return b"SIP/2.0 %d X\r\nVia: SIP/2.0/TCP b\r\nCSeq: 7 %s\r\n%sContent-Length: 0\r\n\r\n" % (
        status,
        method,
        ALLOW,
    )


@pytest.mark.parametrize("method", [b"INVITE", b"REGISTER", b"BYE"])
def test_success_proves_the_receiver(method: bytes) -> None:
    assert shows_acceptance(response(200, method))
    assert shows_acceptance(response(202, method))


@pytest.mark.parametrize("status", [180, 181, 183])
def test_progress_of_a_call_proves_the_caller(status: int) -> None:
    assert shows_acceptance(response(status, b"INVITE"))


@pytest.mark.parametrize("status", [100, 301, 401, 403, 481, 503])
def test_refusals_challenges_and_trying_prove_nothing(status: int) -> None:
    assert not shows_acceptance(response(status, b"INVITE"))


@pytest.mark.parametrize("method", [b"OPTIONS", b"CANCEL"])
def test_what_succeeds_for_anybody_proves_nothing(method: bytes) -> None:
    assert not shows_acceptance(response(200, method))


def test_a_request_proves_its_receiver() -> None:
    assert shows_acceptance(b"OPTIONS sip:phone SIP/2.0\r\nCSeq: 1 OPTIONS\r\n\r\n")
