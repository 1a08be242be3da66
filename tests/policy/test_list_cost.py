"""What a decision costs does not grow with what is in a set."""

from sbc.policy.access import decide
from sbc.policy.facts import Facts
from sbc.policy.library import Library
from sbc.policy.load import combine, load_policy


def test_a_hundred_thousand_entries_are_found_without_a_scan() -> None:
    feed = "\n".join(f"10.{n >> 8 & 255}.{n & 255}.{n >> 16}/32" for n in range(100_000))
    library = Library(read=lambda _: feed)
    text = """\
sets: {feed: {kind: networks, file: feed.txt}}
rules:
  - {name: fed, when: {source: "set:feed"}, then: drop}
  - {name: rest, then: allow}
"""
    policy = combine([load_policy(text, "p.yaml", library=library)])
    (held,) = policy.sets
    assert held.entries == 100_000

    def rule(host: str) -> str:
        return decide(policy, Facts("outside", False, host, "INVITE")).rule

    assert [rule("10.0.5.0"), rule("10.0.5.7"), rule("10.134.159.1")] == ["fed", "rest", "fed"]
    # One dictionary for each length of a prefix that occurs: here a single one is looked into.
    assert len(held._entries.found._ipv4) == 1  # type: ignore[attr-defined]  # the proof
