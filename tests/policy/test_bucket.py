"""A bucket of tokens."""

from sbc.bucket import Bucket


def test_a_token_is_taken_only_while_there_is_one_and_there_are_never_more_than_at_first() -> None:
    bucket = Bucket(rate=10, burst=2)
    taken = [bucket.take(now) for now in (0.0, 0.0, 0.0, 0.05, 0.1, 0.1)]
    assert taken == [True, True, False, False, True, False]
    assert [bucket.take(100.0) for _ in range(3)] == [True, True, False]
