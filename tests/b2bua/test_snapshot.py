"""A call leaves as plain data and comes back as itself, in every state."""

import json
from collections.abc import Callable

import pytest

from media.types import (
    BurstLoss,
    DropReason,
    FlowCounters,
    IntervalLoss,
    PeerView,
    SpeechQuality,
)
from sbc.b2bua.call import Call, MediaCounters
from sbc.b2bua.events import MediaNoted
from sbc.b2bua.snapshot import from_data, to_data
from sbc.b2bua.table import State
from tests.kit.call import HOSTS, SAVP, A, B, Story, a_call, an_invite, rules, sdp
from tests.kit.pair import BACKUP, CALLEE, restored

ANSWER = sdp(host=HOSTS[B])


def calling(story: Story) -> None:
    story.begin()


def ringing(story: Story) -> None:
    story.begin()
    story.reply(183, body=ANSWER)


def hunting(story: Story) -> None:
    story.begin()
    story.reply(503)


def passed_over(story: Story) -> None:
    story.begin()
    story.reply(100)
    story.wait(60)
    story.reply(200, body=ANSWER, to=story.sent[0])


def cancelling(story: Story) -> None:
    story.begin()
    story.cancel(headers=("Reason: SIP;cause=200",))


def answered(story: Story) -> None:
    story.begin()
    story.reply(200, body=ANSWER)


def forked(story: Story) -> None:
    answered(story)
    story.reply(200, body=ANSWER, to=story.sent[0], tag="another")


def confirmed(story: Story) -> None:
    story.answered()


def negotiating(story: Story) -> None:
    story.answered()
    story.ask(B, "INVITE", sdp(host=HOSTS[B], version=2))
    story.ask(A, "INFO", b"x", headers=("Content-Type: text/plain",))


def deferred(story: Story) -> None:
    answered(story)
    story.ask(B, "BYE")


def ending(story: Story) -> None:
    story.answered()
    story.ask(A, "INVITE", sdp(version=2))
    story.ask(A, "BYE")


def ended(story: Story) -> None:
    story.answered()
    story.ask(A, "BYE")
    story.reply(200)
    drops = {DropReason.UNKNOWN_SOURCE: 4}
    counters = FlowCounters(
        *(1, 2, 3, 4, 5, 6.5, drops),
        IntervalLoss(50, 1, 20),
        BurstLoss(3, 2, 1.25),
        SpeechQuality(4.4, 4.25, 3.5, 6, "G.711"),
        PeerView(0xCAFE, 3, -1, 80),
        41.25,
    )
    story.call.counters.append(MediaCounters(0, 8000, counters, FlowCounters()))


STORIES: list[Callable[[Story], None]] = [
    *(calling, ringing, hunting, cancelling, answered, forked, confirmed, negotiating),
    *(deferred, ending, ended, passed_over),
]


@pytest.mark.parametrize("tell", STORIES)
def test_a_call_comes_back_as_itself(tell: Callable[[Story], None]) -> None:
    story = Story(a_call(candidates=(CALLEE, BACKUP)))
    tell(story)
    story.tell(MediaNoted(A, "latched"))
    twin = restored(story.call)
    assert twin == story.call
    assert twin is not story.call


def test_the_stories_cover_every_state() -> None:
    states = set()
    for tell in STORIES:
        story = Story(a_call(candidates=(CALLEE, BACKUP)))
        tell(story)
        states.add(story.call.state)
    assert states == set(State)


def test_the_data_is_json_and_shares_nothing_with_the_call() -> None:
    story = Story()
    ringing(story)
    data = to_data(story.call)
    text = json.dumps(data)
    story.reply(200, body=ANSWER)
    assert json.dumps(data) == text
    assert from_data(json.loads(text), story.call.context).state is State.RINGING


def test_keys_survive() -> None:
    story = Story(a_call(an_invite(sdp(SAVP)), rules=(rules("require"), rules("allow"))))
    story.begin()
    story.reply(200, body=ANSWER)
    story.ack(A)
    twin: Call = restored(story.call)
    assert twin.plan == story.call.plan
    assert twin.plan is not None
    assert twin.plan.streams[0].a.send_keys is not None


def test_a_restored_call_goes_on_as_the_other_would_have() -> None:
    """The same long story, once left alone and once restored after every event."""

    def tell(story: Story) -> list[object]:
        said: list[object] = [story.begin(), story.commands]
        for step in (
            lambda: story.reply(183, body=ANSWER),
            lambda: story.reply(200, body=ANSWER),
            lambda: story.reply(200, body=ANSWER, tag="fork"),
            lambda: story.wait(2),
            lambda: story.ack(A),
            lambda: story.ask(A, "INVITE"),
            lambda: story.reply(200, body=sdp(host=HOSTS[B], version=2)),
            lambda: story.ack(A, sdp(version=2)),
            lambda: story.ask(B, "INVITE", sdp(host=HOSTS[B], version=3)),
            lambda: story.reply(100),
            lambda: story.wait(200),
            lambda: story.ask(A, "BYE"),
            lambda: story.wait(64),
        ):
            said += [step(), story.commands]
        return said

    assert tell(Story()) == tell(Story(restores=True))
