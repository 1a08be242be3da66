"""The arithmetic of directions."""

import pytest

from sbc.sdp.attributes.direction import (
    Direction,
    answer_direction,
    common_direction,
    direction_of,
    is_answer_to,
    reverse,
)

D = Direction

# RFC 3264 §6.1: which answers an offered direction allows.
ALLOWED = {
    D.SENDRECV: {D.SENDRECV, D.SENDONLY, D.RECVONLY, D.INACTIVE},
    D.SENDONLY: {D.RECVONLY, D.INACTIVE},
    D.RECVONLY: {D.SENDONLY, D.INACTIVE},
    D.INACTIVE: {D.INACTIVE},
}


@pytest.mark.parametrize("offered", list(Direction))
@pytest.mark.parametrize("wanted", list(Direction))
def test_an_answer_is_always_allowed_and_never_more_than_wanted(offered: D, wanted: D) -> None:
    answer = answer_direction(offered, wanted)
    assert answer in ALLOWED[offered]
    assert common_direction(answer, wanted) is answer
    assert is_answer_to(offered, wanted) == (wanted in ALLOWED[offered])
    # Nothing that both allow is lost.
    assert answer.sends == (wanted.sends and offered.receives)
    assert answer.receives == (wanted.receives and offered.sends)


@pytest.mark.parametrize("direction", list(Direction))
def test_reversing_swaps_sending_and_receiving(direction: D) -> None:
    assert reverse(reverse(direction)) is direction
    assert reverse(direction).sends == direction.receives
    assert direction_of(sends=direction.sends, receives=direction.receives) is direction
    assert answer_direction(direction, D.SENDRECV) is reverse(direction)
