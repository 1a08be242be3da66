"""Media rules of a peer, as the configuration says them."""

import pytest

from sbc.routing.codecs import CodecRules
from sbc.routing.model import MediaRules
from tests.config.files import GOOD, load

PHONES = "  phones: {kind: endpoints, network: outside}\n"


def rules_of(media: str) -> MediaRules:
    result = load(GOOD.replace(PHONES, f"{PHONES.rstrip()[:-1]}, media: {media}}}\n"))
    assert result.configuration is not None, [str(problem) for problem in result.problems]
    return result.configuration.settings.peer("phones").media


def test_codecs_and_kinds_become_rules_with_their_place() -> None:
    rules = rules_of("{kinds: audio, codecs: {allow: [PCMA, opus/48000], remove: cn}}")
    assert rules.codecs == (
        CodecRules(("pcma", "opus/48000"), ("cn",), (), ("audio",), "sbc.yaml:19"),
    )
    assert rules_of("{max_kbps: 100}").codecs == ()


@pytest.mark.parametrize(("written", "may"), [("true", True), ("false", False)])
def test_keys_in_clear_signalling_are_a_choice(written: str, may: bool) -> None:
    assert rules_of(f"{{sdes_in_clear: {written}}}").sdes_in_clear is may
    assert rules_of("{max_kbps: 100}").sdes_in_clear is False


def test_keys_in_the_clear_may_even_be_required() -> None:
    assert rules_of("{srtp: require, sdes_in_clear: true}").srtp == "require"


def test_each_direction_of_calls_may_have_a_mode() -> None:
    rules = rules_of("{srtp: 'off', srtp_from: allow}")
    assert (rules.srtp, rules.of_calls_from.srtp) == ("off", "allow")
