"""A third host sprays every media port with everything, at every moment of a call's life."""

import pytest

from media.types import DropReason
from sbc.driver.media_story import drops_story
from tests.attack.field import Field, Home
from tests.attack.siege import GROWTH_KIB, Siege

pytestmark = pytest.mark.interop

MODES = [(home, secure) for secure in (False, True) for home in Home]
IDS = [f"{home.name.lower()}-{'srtp' if secure else 'rtp'}" for home, secure in MODES]


@pytest.mark.parametrize(("home", "secure"), MODES, ids=IDS)
def test_nothing_is_bled_or_injected_at_any_moment_of_a_call(
    field: Field, home: Home, secure: bool
) -> None:
    with Siege(field, home, secure=secure) as siege:
        talk = siege.talk
        talk.rings()
        siege.is_sprayed(secure=False)
        assert siege.counted() == siege.expected
        talk.is_answered()
        siege.is_sprayed()
        packet = talk.b.says()  # into the silence before A's first
        if home.nated:
            siege.expected["b"][DropReason.NO_DESTINATION] += 1
            assert siege.counted() == siege.expected
        else:
            assert talk.a.hears() == packet
        siege.begins()
        siege.is_sprayed()
        talk.exchanges(5)
        talk.changes("hold")
        siege.is_sprayed()
        assert talk.a.says() == talk.b.hears()
        talk.changes("reinvite")
        siege.is_sprayed()
        talk.exchanges(5)
        talk.a.moves_media(41000)
        talk.changes("reinvite")
        siege.is_sprayed()
        siege.begins()
        siege.is_sprayed()
        talk.exchanges(5)
        talk.exchanges_reports()
        assert siege.counted() == siege.expected
        siege.nothing_was_bled_or_injected()
        refused = f"RTP from {siege.stranger.place} refused:"
        why = "no_better_proof" if home.nated else "not_announced"
        siege.tells("a", "failed SRTP authentication" if secure else f"{refused} {why}")
        siege.tells("b", f"{refused} not_announced")
        story = siege.ends()
        assert [line for line in story if "not relayed" in line] == [
            f"media {side} - {drops_story(drops)}" for side, drops in siege.expected.items()
        ]
        siege.is_sprayed()
        siege.nothing_was_bled_or_injected()
        assert siege.grown_kib < GROWTH_KIB
