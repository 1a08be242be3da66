"""The PBX and phones talk to each other over loopback sockets; the clock jumps."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest
import trio
from trio.testing import MockClock

from sbc.demo.account import Account
from sbc.demo.call import AudioCall
from sbc.demo.leg import CallFailed, Invitation
from sbc.demo.pbx import TONE_HZ, Pbx
from sbc.demo.phone import Phone, RegistrationFailed, converse
from sbc.demo.sound import tone, tone_energy
from sbc.sdp.attributes.direction import Direction
from sbc.sip.flow import Address
from tests.kit.patience import PATIENCE_S

PASSWORDS = {"1001": "one", "1002": "two", "1003": "three"}


@pytest.fixture
def clock() -> MockClock:
    # Real sockets need real time to hand over a packet, so the clock waits a little for them.
    return MockClock(autojump_threshold=0.003)


class Office:
    """A PBX, and phones that are made when asked for."""

    def __init__(self, nursery: trio.Nursery, pbx: Pbx, address: Address) -> None:
        self.nursery, self.pbx, self.address = nursery, pbx, address

    async def phone(
        self,
        user: str,
        *,
        password: str | None = None,
        host: str = "127.0.0.1",
        claims: str | None = None,
        transport: str = "udp",
        secure: bool = False,
    ) -> Phone:
        phone = Phone(
            Account(user, "pbx.example", password or PASSWORDS[user]),
            self.address,
            (host, 0),
            claims=claims,
            transport=transport,
            secure=secure,
            entropy=Random(int(user)),
        )
        await self.nursery.start(phone.run)
        return phone


@asynccontextmanager
async def an_office(host: str = "127.0.0.1", *, sha256: bool = False) -> AsyncIterator[Office]:
    pbx = Pbx((host, 0), PASSWORDS, sha256=sha256, entropy=Random(600))
    async with trio.open_nursery() as nursery:
        address = await nursery.start(pbx.run)
        with trio.fail_after(1100):
            yield Office(nursery, pbx, address)
        nursery.cancel_scope.cancel()


async def until(true: Callable[[], bool]) -> None:
    """Let time pass until something is so; the wall clock decides when that takes too long."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, "it never came true"
        await trio.sleep(0.02)


@pytest.mark.parametrize("secure", [False, True], ids=["rtp", "srtp"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_600_returns_what_it_hears(transport: str, secure: bool, clock: MockClock) -> None:
    async with an_office() as office:
        phone = await office.phone("1001", transport=transport, secure=secure)
        await phone.register()
        office.pbx.records = True
        async with phone.call("600") as call:
            verdict = await converse(call, seconds=3.0)
            echo = await office.pbx.echoes.receive()
        assert verdict.good
        assert verdict.heard.share == 1.0
        assert verdict.lost == 0
        assert verdict.packets == verdict.sent_packets == echo.stream.heard.packets
        assert verdict.reports >= 1
        assert (echo.stream.strangers, echo.stream.refused) == (0, 0)


async def test_600_answers_over_ipv6(clock: MockClock) -> None:
    async with an_office("::1") as office:
        phone = await office.phone("1001", host="::1")
        await phone.register()
        async with phone.call("600") as call:
            assert (await converse(call, seconds=1.0)).good


async def test_601_plays_its_tone(clock: MockClock) -> None:
    async with an_office() as office:
        phone = await office.phone("1001")
        async with phone.call("601") as call:
            recording = call.stream.record()
            await until(lambda: len(recording.samples) >= 8000)
        samples = recording.samples
        frames = [samples[at : at + 160] for at in range(0, len(samples) - 159, 160)]
        assert sum(tone_energy(frame, TONE_HZ) > 0.5 for frame in frames) > 0.95 * len(frames)


async def test_hanging_up_leaves_nothing_behind(clock: MockClock) -> None:
    async with an_office() as office:
        phone = await office.phone("1001")
        async with phone.call("600"):
            assert len(office.pbx.agent.legs) == 1
        await until(lambda: not office.pbx.agent.legs)
        assert not phone.agent.legs


async def test_a_wrong_password_is_refused_everywhere(clock: MockClock) -> None:
    async with an_office() as office:
        phone = await office.phone("1001", password="guess")
        with pytest.raises(RegistrationFailed) as registration:
            await phone.register()
        assert registration.value.status == 401
        with pytest.raises(CallFailed) as invitation:
            async with phone.call("600"):
                pass
        assert invitation.value.status == 407
        assert office.pbx.bindings.users(trio.current_time()) == []


async def test_sha256_proves_the_password_too(clock: MockClock) -> None:
    async with an_office(sha256=True) as office:
        phone = await office.phone("1001")
        assert await phone.register() == 300


async def test_unregistering_removes_the_contact(clock: MockClock) -> None:
    async with an_office() as office:
        phone = await office.phone("1001")
        assert await phone.register() == 300
        assert office.pbx.bindings.users(trio.current_time()) == ["1001"]
        assert await phone.register(expires_s=0) == 0
        assert office.pbx.bindings.users(trio.current_time()) == []


async def test_a_phone_stays_registered(clock: MockClock) -> None:
    async with an_office() as office:
        phone = await office.phone("1001")
        await office.nursery.start(phone.stay_registered)
        await trio.sleep(1000)
        assert office.pbx.bindings.users(trio.current_time()) == ["1001"]


async def test_users_call_each_other_and_the_sound_goes_past_the_pbx(clock: MockClock) -> None:
    async with an_office() as office:
        caller, callee = await office.phone("1001"), await office.phone("1002")
        await callee.register()
        rings: list[int] = []
        async with caller.call("1002", ringing=lambda r: rings.append(r.status)) as call:
            there = await callee.calls.receive()
            there.stream.echo = True
            assert (await converse(call, seconds=1.0)).good
            assert call.stream.terms is not None
            assert call.stream.terms.remote[1] == there.stream.local_port
        assert 180 in rings
        await there.leg.ended.wait()
        assert there.leg.ended_by_peer
        await until(lambda: not office.pbx.agent.legs)


async def test_the_callee_may_hang_up(clock: MockClock) -> None:
    async with an_office() as office:
        caller, callee = await office.phone("1001"), await office.phone("1002")
        await callee.register()
        async with caller.call("1002") as call:
            there = await callee.calls.receive()
            await there.leg.hang_up()
            await call.leg.ended.wait()
            assert call.leg.ended_by_peer


async def test_hold_silences_and_resume_brings_the_sound_back(clock: MockClock) -> None:
    async with an_office() as office:
        caller, callee = await office.phone("1001"), await office.phone("1002")
        await callee.register()
        async with caller.call("1002") as call:
            there = await callee.calls.receive()
            there.stream.echo = True
            assert (await converse(call, seconds=1.0)).good
            await ask_for(Direction.SENDONLY, call)
            await until(lambda: sending(there) == (False, True))
            assert sending(call) == (True, False)
            assert not (await converse(call, seconds=1.0)).good
            await ask_for(Direction.SENDRECV, call)
            await until(lambda: sending(there) == (True, True))
            assert (await converse(call, seconds=1.0)).good


async def ask_for(direction: Direction, call: AudioCall) -> None:
    call.face.direction = direction
    accepted = await call.leg.invite(call.face.offer())
    accepted.acknowledge()
    call.stream.agree(call.face.accept(accepted.response.body))


def sending(call: AudioCall) -> tuple[bool, bool]:
    terms = call.stream.terms
    assert terms is not None
    return terms.sending, terms.receiving


async def test_a_phone_that_does_not_answer_calls_is_busy(clock: MockClock) -> None:
    async with an_office() as office:
        caller, callee = await office.phone("1001"), await office.phone("1002")
        callee.answers = False
        await callee.register()
        with pytest.raises(CallFailed) as failure:
            async with caller.call("1002"):
                pass
        assert failure.value.status == 486


@pytest.mark.parametrize(("number", "status"), [("1003", 480), ("999", 404)])
async def test_who_is_not_there_cannot_be_called(
    number: str, status: int, clock: MockClock
) -> None:
    async with an_office() as office:
        phone = await office.phone("1001")
        with pytest.raises(CallFailed) as failure:
            async with phone.call(number):
                pass
        assert failure.value.status == status


async def test_a_user_is_called_on_all_phones_and_the_first_wins(clock: MockClock) -> None:
    async with an_office() as office:
        desk, pocket = await office.phone("1002"), await office.phone("1002", transport="tcp")
        desk.answers = False
        await desk.register()
        await pocket.register()
        caller = await office.phone("1001")
        async with caller.call("1002") as call:
            there = await pocket.calls.receive()
            there.stream.echo = True
            assert (await converse(call, seconds=1.0)).good
        await until(lambda: not office.pbx.agent.legs)


async def test_giving_up_cancels_the_ringing_phone(clock: MockClock) -> None:
    async with an_office() as office:
        caller, callee = await office.phone("1001"), await office.phone("1002")
        cancelled = trio.Event()

        async def ring_for_ever(invitation: Invitation) -> None:
            invitation.ring()
            await invitation.cancelled.wait()
            cancelled.set()

        callee.agent.on_invite = ring_for_ever
        await callee.register()
        with trio.move_on_after(2) as patience:
            async with caller.call("1002"):
                pass
        assert patience.cancelled_caught
        await cancelled.wait()
        await until(lambda: not office.pbx.agent.legs and not callee.agent.legs)


async def test_behind_a_nat_everything_names_the_private_address(clock: MockClock) -> None:
    async with an_office() as office:
        phone = await office.phone("1001", claims="192.168.77.10")
        await phone.register()
        (binding,) = office.pbx.bindings.of("1001", trio.current_time())
        assert binding.uri.host == "192.168.77.10"
        assert binding.flow.remote == phone.agent.node.address
        assert phone.agent.node.via("udp", "z9hG4bKx").startswith("SIP/2.0/UDP 192.168.77.10:5060;")
        # Without a border the PBX believes the SDP, and no sound comes back.
        async with phone.call("601") as call:
            recording = call.stream.record()
            assert call.stream.sent_packets == 0
            call.stream.play(tone(TONE_HZ, 4000))
            await call.stream.played()
            await until(lambda: call.stream.sent_packets >= 25)
        assert recording.samples == []


async def test_a_request_that_nobody_answers_times_out_as_408(clock: MockClock) -> None:
    async with an_office() as office:
        phone = await office.phone("1001")
        phone._flow = phone.agent.node.udp_flow(("127.0.0.1", 9))
        with pytest.raises(RegistrationFailed) as failure:
            await phone.register()
        assert failure.value.status == 408


async def test_a_bye_in_no_dialog_is_481_and_options_is_200(clock: MockClock) -> None:
    async with an_office() as office:
        phone = await office.phone("1001")
        node = phone.agent.node
        for method, tag, status in (("BYE", ";tag=x", 481), ("OPTIONS", "", 200)):
            request = node.request(
                method,
                "sip:600@pbx.example",
                sender="<sip:1001@pbx.example>;tag=1",
                to=f"<sip:600@pbx.example>{tag}",
                call_id=node.token(),
                cseq=1,
                transport="udp",
            )
            response = await node.send(request, node.udp_flow(office.address)).final()
            assert response.status == status


async def test_garbage_is_counted_and_does_no_harm(clock: MockClock) -> None:
    async with an_office() as office:
        phone = await office.phone("1001")
        node = phone.agent.node
        assert phone._flow is not None
        node._post(b"\x00\xffgarbage\r\n\r\n", phone._flow)
        node._post(b"INVITE sip:x SIP/2.0\r\nNonsense: yes\r\n\r\n", phone._flow)
        await until(lambda: office.pbx.agent.node.garbage == 2)
        assert await phone.register() == 300
