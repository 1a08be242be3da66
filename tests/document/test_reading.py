import pytest

from sbc.document.reading import why_unreadable


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (FileNotFoundError(2, "No such file or directory"), "no such file or directory"),
        (OSError("Disk gone"), "disk gone"),
        (UnicodeDecodeError("utf-8", b"a\xff", 1, 2, "invalid start byte"), "not UTF-8 at byte 1"),
        (ValueError("longer than 10 bytes"), "longer than 10 bytes"),
    ],
)
def test_why_a_file_cannot_be_read_is_said_in_a_few_words(error: Exception, why: str) -> None:
    assert why_unreadable(error) == why
