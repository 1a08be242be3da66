"""The program nft, kept running: what it answers, and that nothing is left when it ends."""

import errno
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from sbc.firewall.nft import Nft, NftFailed
from tests.firewall.inside import nft_of
from tests.kit.hosts import Host
from tests.kit.patience import PATIENCE_S, until

ROOT = Path(__file__).parents[2]

_OWNER = """
import sys, trio
from sbc.firewall.nft import Nft
async def main():
    nft = Nft()
    await nft.tell("table inet sbc_killed { flags owner; }")
    print("made", flush=True)
    await trio.sleep_forever()
trio.run(main)
"""


async def test_a_process_that_is_killed_leaves_no_table(wired: tuple[Host, Host]) -> None:
    border, _ = wired
    owner = border.start("owner", sys.executable, "-c", _OWNER, cwd=ROOT)
    owner.expect("made", within_s=PATIENCE_S)
    assert "sbc_killed" in border.run("nft", "list", "tables")
    owner.process.kill()
    await until(lambda: "sbc_killed" not in border.run("nft", "list", "tables"))


def test_a_program_that_is_not_there_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sbc.firewall.nft._PATH", str(tmp_path))
    with pytest.raises(NftFailed, match="install the package nftables"):
        trio.run(Nft().tell, "list tables")


@pytest.fixture
async def nft(wired: tuple[Host, Host]) -> AsyncIterator[Nft]:
    one = nft_of(wired[0])
    yield one
    await one.end()


async def test_what_the_program_refuses_is_told_in_a_line_and_it_goes_on(nft: Nft) -> None:
    for _ in range(11):
        with pytest.raises(NftFailed, match=r"^/proc/self/fd/[0-9]+:1:[-0-9]+: Error: syntax"):
            await nft.tell("no such thing")
        with pytest.raises(NftFailed, match=r"Error: No such file or directory$"):
            await nft.tell("list counters table inet nobodys")
        assert await nft.tell("add table inet mine { flags owner; }") == ""
        assert (await nft.tell("list chains")).startswith('{"nftables": [')


async def test_a_change_is_made_whole_or_not_at_all(nft: Nft) -> None:
    await nft.tell("table inet mine { flags owner; counter a { }; }")
    with pytest.raises(NftFailed):
        await nft.tell("add counter inet mine b\ndelete counter inet mine c")
    assert '"b"' not in await nft.tell("list counters table inet mine")


async def test_without_privileges_it_is_said_what_is_missing(wired: tuple[Host, Host]) -> None:
    border, _ = wired
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all")
    nft = Nft("nsenter", f"--net={border.namespace}", "--", *nobody)
    with pytest.raises(NftFailed, match="give it CAP_NET_ADMIN"):
        await nft.tell("add table inet mine")
    await nft.end()


@pytest.mark.parametrize("script", ["exit 3", "echo not built in; exit 3", "exec sleep 60"])
async def test_a_program_that_does_not_answer_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    (tmp_path / "nft").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "nft").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    if "sleep" in script:
        monkeypatch.setattr("sbc.firewall.nft.NFT_S", 0.2)
        monkeypatch.setattr("sbc.firewall.nft.END_S", 0.1)
    with pytest.raises(NftFailed) as failed:
        await Nft().tell("list tables")
    said = {
        "exit 3": "nft ended by itself with status 3",
        "echo not built in; exit 3": "nft ended by itself with status 3: not built in",
        "exec sleep 60": "nft was not done within 0.2 s",
    }
    assert str(failed.value) == said[script]


async def test_a_program_that_does_not_stop_talking_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nft").write_text("#!/bin/sh\nexec yes\n")
    (tmp_path / "nft").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("sbc.firewall.nft.MOST_SAID", 200_000)
    nft = Nft()
    with pytest.raises(NftFailed, match=r"^nft said more than 200000 bytes$"):
        await nft.tell("list tables")
    assert nft.pid is None


def open_files() -> set[Path]:
    return set(Path("/proc/self/fd").iterdir())


async def test_without_a_file_to_spare_it_is_told_and_nothing_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def none_to_spare(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    before = open_files()
    nft = Nft()
    monkeypatch.setattr("trio.lowlevel.open_process", none_to_spare)
    with pytest.raises(NftFailed, match="Too many open files"):
        await nft.tell("list tables")
    assert open_files() == before

    def none(_: str) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("os.memfd_create", none)
    with pytest.raises(NftFailed, match="Too many open files"):
        await nft.tell("list tables")


_WITH_PROMPT = """#!/bin/sh
while printf 'nft> '; read -r line; do
    echo "$line"
    case $line in
    include*) echo '{"nftables": []}' ;;
    *) printf 'Error: syntax error, unexpected string\\n%s\\n^^^^\\n' "$line" ;;
    esac
done
"""


async def test_one_that_prompts_and_repeats_what_it_reads_is_understood_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nft").write_text(_WITH_PROMPT)
    (tmp_path / "nft").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    nft = Nft()
    for _ in range(12):
        assert await nft.tell("list chains") == '{"nftables": []}'
    await nft.end()
