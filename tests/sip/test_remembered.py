"""What is remembered is bounded in number and length, and a refusal is made anew each time."""

import pytest

from sbc.remembered import LONGEST, MOST_VALUES, remembered


def reading(asked: list[str]):
    @remembered
    def read(text: str) -> int:
        """Count."""
        asked.append(text)
        return int(text)

    return read


def test_a_short_text_is_read_once():
    asked: list[str] = []
    read = reading(asked)
    assert [read("7"), read("7"), read("8")] == [7, 7, 8]
    assert asked == ["7", "8"]
    assert read.__doc__ == "Count."


def test_a_long_text_is_never_kept():
    asked: list[str] = []
    read = reading(asked)
    text = "0" * LONGEST + "1"
    assert [read(text), read(text)] == [1, 1]
    assert asked == [text, text]


def test_what_cannot_be_read_is_refused_each_time():
    read = reading([])
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid literal"):
            read("x")


def test_the_oldest_gives_way():
    asked: list[str] = []
    read = reading(asked)
    for number in (*range(MOST_VALUES + 1), 0):
        read(str(number))
    assert asked.count("0") == 2
