"""Which attributes are ICE's."""

import pytest

from sbc.sdp.attributes.ice import ICE_ATTRIBUTES, is_ice_attribute


@pytest.mark.parametrize(
    "name", [*sorted(ICE_ATTRIBUTES), "CANDIDATE", "Ice-Ufrag", "ice-something-new", "alt"]
)
def test_attributes_of_ice_are_known_in_any_case(name: str) -> None:
    assert is_ice_attribute(name)


@pytest.mark.parametrize("name", ["rtpmap", "rtcp", "sendrecv", "icecast", "label", "salt"])
def test_other_attributes_are_not(name: str) -> None:
    assert not is_ice_attribute(name)
