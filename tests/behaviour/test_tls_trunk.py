"""The shipped example of a TLS trunk, as a process: who is let in, whom it calls, and renewals."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from tests.kit.certificates import (
    LONG_AGO,
    Authority,
    Identity,
    client_context,
    der,
    self_signed,
)
from tests.kit.tls_trunk import NAME, OUR_NAME, Trunk, running_trunk

TLS_1_1 = ssl.TLSVersion.TLSv1_1


@pytest.fixture
async def trunk(tmp_path: Path) -> AsyncIterator[Trunk]:
    one = Trunk(tmp_path)
    async with running_trunk(one):
        yield one


async def test_the_carrier_and_the_pbx_call_each_other(trunk: Trunk, nursery: trio.Nursery) -> None:
    async with trunk.dial() as line:
        await trunk.call_in(line)
        assert line.shown == der(trunk.identity.certificate)
    files = trunk.theirs()
    await nursery.start(lambda task_status: trunk.serve_carrier(files, task_status=task_status))
    assert await trunk.call_out() == (200, "")
    await trunk.logged("call ended", 2)
    routes = [str(one["route"]) for one in trunk.events if one["event"] == "call"]
    assert [route.split("'")[1] for route in routes] == [
        "calls from the carrier",
        "calls to the carrier",
    ]


async def refused(trunk: Trunk, identity: Identity | None, **versions: ssl.TLSVersion) -> str:
    """Connect as somebody who is not let in; what the border says of it."""
    before = trunk.count("connection failed")
    files = None if identity is None else trunk.theirs(identity)
    context = client_context(trunk.authority, files, **versions)
    with pytest.raises((ssl.SSLError, trio.BrokenResourceError, AssertionError)):
        async with trunk.dial(context) as line:
            await trunk.call_in(line)
    return str((await trunk.logged("connection failed", before + 1))["why"])


async def test_who_does_not_prove_to_be_a_carrier_is_not_let_in(trunk: Trunk) -> None:
    good = trunk.authority.issue(NAME)
    expired = trunk.authority.issue(NAME, ends=LONG_AGO)
    assert "certificate" in await refused(trunk, None)
    assert "expired" in await refused(trunk, expired)
    assert "certificate" in await refused(trunk, Authority("Another").issue(NAME))
    assert "self-signed" in await refused(trunk, self_signed(NAME))
    assert "version" in await refused(trunk, good, newest=TLS_1_1)
    # Whose certificate is good but for another name connects, and is a stranger.
    other = trunk.theirs(trunk.authority.issue("other.example"))
    with pytest.raises(AssertionError, match="403"):
        async with trunk.dial(client_context(trunk.authority, other)) as line:
            await trunk.call_in(line)
    async with trunk.dial() as line:
        await trunk.call_in(line)


async def called(trunk: Trunk, identity: Identity, **versions: ssl.TLSVersion) -> str:
    """Call a carrier that shows something; why the border says that the call failed."""
    before = trunk.count("call ended")
    files = trunk.theirs(identity)
    async with trio.open_nursery() as listening:
        await listening.start(
            lambda task_status: trunk.serve_carrier(files, task_status=task_status, **versions)
        )
        status, _ = await trunk.call_out()
        assert status == 503
        listening.cancel_scope.cancel()
    return str((await trunk.logged("call ended", before + 1))["reason"])


async def test_a_carrier_that_does_not_prove_its_name_is_not_called(trunk: Trunk) -> None:
    issue = trunk.authority.issue
    why = await called(trunk, issue("other.example"))
    assert "is for other.example, not for sip.carrier.example" in why
    assert "peers.carrier.tls.name" in why
    assert "expired" in await called(trunk, issue(NAME, ends=LONG_AGO))
    assert "issuer" in await called(trunk, Authority("Another").issue(NAME))
    assert "TLS handshake" in await called(trunk, issue(NAME), newest=TLS_1_1)


async def test_certificates_are_renewed_under_load_and_no_call_fails(trunk: Trunk) -> None:
    shown: list[bytes] = []
    renewed = trio.Event()

    async def call_and_call(context: ssl.SSLContext) -> None:
        """New connections, one after the other, until all is renewed and some time after."""
        after = 0
        while after < 5:
            async with trunk.dial(context) as line:
                await trunk.call_in(line)
                shown.append(line.shown)
            after += renewed.is_set()
            await trio.sleep(0.05)

    context = client_context(trunk.authority, trunk.theirs())
    with trio.fail_after(120):
        async with trunk.dial(context) as old, trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(call_and_call, context)
            first = old.shown
            await trunk.call_in(old)
            trunk.renew()
            told = await trunk.logged("certificates renewed")
            assert "fingerprint" in str(told["changes"])
            await trunk.call_in(old)
            second = trunk.identity
            trunk.renew()
            trunk.reload()
            await trunk.logged("reloaded")
            await trunk.call_in(old)
            renewed.set()
    assert {first, der(second.certificate), der(trunk.identity.certificate)} == set(shown)
    assert shown[-1] == der(trunk.identity.certificate)
    assert trunk.count("call ended") == trunk.calls == trunk.count("call answered")
    assert trunk.count("internal error") == 0


async def test_a_bad_new_certificate_keeps_the_one_before_and_is_told(trunk: Trunk) -> None:
    trunk.authority.issue(OUR_NAME, ends=LONG_AGO).write(trunk.directory, "ours")
    told = await trunk.logged("configuration", trunk.count("configuration") + 1)
    assert "it expired on 2021-01-01" in str(told["problem"])
    async with trunk.dial() as line:
        await trunk.call_in(line)
        assert line.shown == der(trunk.identity.certificate)
