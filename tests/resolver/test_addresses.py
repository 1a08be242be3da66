import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from sbc.resolver.addresses import Addresses, PeerAddresses, look_up


class Names:
    """A name server that answers what a test put into it."""

    def __init__(self) -> None:
        self.answers: dict[str, Addresses | OSError] = {}
        self.asked: list[str] = []
        self.hangs = False

    async def __call__(self, host: str) -> Addresses:
        self.asked.append(host)
        if self.hangs:
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
        answer = self.answers[host]
        if isinstance(answer, OSError):
            raise answer
        return answer


class Heard:
    def __init__(self, *hosts: str, names: Names | None = None) -> None:
        self.names = names or Names()
        self.changes: list[tuple[str, Addresses]] = []
        self.troubles: list[tuple[str, str]] = []
        self.addresses = PeerAddresses(
            hosts,
            on_change=lambda host, found: self.changes.append((host, found)),
            on_trouble=lambda host, why: self.troubles.append((host, why)),
            lookup=self.names,
        )


def test_a_numeric_host_is_known_at_once_and_never_asked_for() -> None:
    heard = Heard("192.0.2.1", "2001:db8::1")
    assert heard.addresses.addresses("192.0.2.1") == ("192.0.2.1",)
    assert heard.addresses.addresses("2001:db8::1") == ("2001:db8::1",)
    assert heard.names.asked == []


async def test_a_name_is_looked_up_at_start_and_every_minute(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    heard = Heard("pbx.example")
    heard.names.answers["pbx.example"] = ("192.0.2.1",)
    assert heard.addresses.addresses("pbx.example") == ()
    nursery.start_soon(heard.addresses.run)
    await trio.sleep(1)
    assert heard.addresses.addresses("pbx.example") == ("192.0.2.1",)
    heard.names.answers["pbx.example"] = ("192.0.2.2",)
    await trio.sleep(60)
    assert heard.addresses.known == {"pbx.example": ("192.0.2.2",)}
    assert heard.changes == [("pbx.example", ("192.0.2.1",)), ("pbx.example", ("192.0.2.2",))]


async def test_the_last_good_answer_stays_while_lookups_fail_and_trouble_is_told_once(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    heard = Heard("pbx.example")
    heard.names.answers["pbx.example"] = ("192.0.2.1",)
    nursery.start_soon(heard.addresses.run)
    await trio.sleep(1)
    heard.names.answers["pbx.example"] = OSError(-2, "Name or service not known")
    await trio.sleep(180)
    assert heard.addresses.addresses("pbx.example") == ("192.0.2.1",)
    assert heard.troubles == [("pbx.example", "Name or service not known")]
    assert heard.addresses.troubled == {"pbx.example": "Name or service not known"}
    heard.names.answers["pbx.example"] = ("192.0.2.1",)
    await trio.sleep(60)
    assert heard.troubles[1:] == [("pbx.example", "")]
    assert heard.addresses.troubled == {}
    assert len(heard.changes) == 1


async def test_a_name_server_that_never_answers_is_given_up_after_its_time(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    heard = Heard("pbx.example")
    heard.names.hangs = True
    nursery.start_soon(heard.addresses.run)
    await trio.sleep(11)
    assert heard.troubles == [("pbx.example", "no answer in time")]
    await trio.sleep(70)
    assert heard.names.asked == ["pbx.example", "pbx.example"]


async def test_another_order_of_the_same_addresses_is_no_change(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    heard = Heard("pbx.example")
    heard.names.answers["pbx.example"] = ("192.0.2.1", "192.0.2.2")
    nursery.start_soon(heard.addresses.run)
    await trio.sleep(1)
    heard.names.answers["pbx.example"] = ("192.0.2.2", "192.0.2.1")
    await trio.sleep(60)
    assert heard.changes == [("pbx.example", ("192.0.2.1", "192.0.2.2"))]


async def test_a_reload_asks_for_new_names_at_once_and_forgets_old_ones(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    heard = Heard("old.example", "192.0.2.9")
    heard.names.answers |= {"old.example": ("192.0.2.1",), "new.example": ("192.0.2.2",)}
    nursery.start_soon(heard.addresses.run)
    await trio.sleep(1)
    heard.names.answers["old.example"] = OSError(-2, "Name or service not known")
    await trio.sleep(60)
    assert set(heard.addresses.troubled) == {"old.example"}
    heard.addresses.watch(["new.example"])
    assert heard.addresses.troubled == {}
    await wait_all_tasks_blocked()
    assert heard.addresses.known == {"new.example": ("192.0.2.2",)}


async def test_the_system_knows_the_loopback_by_name() -> None:
    with trio.fail_after(5):
        found = await look_up("localhost")
    assert set(found) <= {"127.0.0.1", "::1"}
    assert found
