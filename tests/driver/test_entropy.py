"""Tokens and keys from the system."""

import re

from sbc.driver.entropy import SystemEntropy


def test_tokens_are_sixteen_hexadecimal_digits_and_never_the_same():
    entropy = SystemEntropy()
    tokens = [entropy.token() for _ in range(2000)]
    assert all(re.fullmatch("[0-9a-f]{16}", token) for token in tokens)
    assert len(set(tokens)) == 2000


def test_keys_have_the_length_asked_for():
    entropy = SystemEntropy()
    assert [len(entropy.key(n)) for n in (0, 1, 30, 46)] == [0, 1, 30, 46]
    assert entropy.key(16) != entropy.key(16)
