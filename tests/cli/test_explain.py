"""``sbc explain`` of a running process: refused and live calls, and those that are only records."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cli.running import Running, running_sbc


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    async with running_sbc(tmp_path) as one:
        yield one


async def test_a_call_is_explained_while_it_is_up_and_when_it_is_a_record(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    await running.call()
    assert await running.sbc("explain", "one") == 0
    out = capsys.readouterr().out
    assert "allow by rule 'known peers': known_peer true (true wanted)" in out
    assert "route 'incoming'" in out
    assert "audio: a RTP/AVP at 127.0.0.1:" in out
    await running.hang_up()
    await running.logged("call ended")
    assert await running.sbc("stop") == 0
    capsys.readouterr()
    assert await running.sbc("explain", "one") == 0
    out = capsys.readouterr().out
    assert "known_peer true" in out
    assert "hung up" in out
