"""The page about policy files, made from their schema and the tables of stages and facts."""

from typing import Any, Final

from sbc.config.json_schema import policy_schema
from sbc.config.schema_tables import cell, chapter, keys_table, plain
from sbc.policy.facts import AFTER_ARRIVAL, FACTS, Fact
from sbc.policy.model import SOURCES, STAGES, Stage
from sbc.policy.rules import Verb

_HEAD = """\
# Policies

A policy file says who may do what, how much of it, from where and whereto. `policies` of
`sbc.yaml` names the files; the rules of the first come before those of the second. The shipped ones
are in this directory, each with a head that says what it is for.

- `sbc check` says what is wrong with them, with file, line, key and what would be right.
- `sbc policy explain` says which rule decides about a message, `sbc policy test` runs unit tests,
  `sbc policy diff --traffic x.pcap` says whom a change would concern.
- `sbc explain CALL-ID` says why something was decided as it was.

This page is made from the schema, by `python -m sbc.config.reference policies`.

```yaml
version: 1

variables:
  home: [DE, AT, CH]

sets:
  own offices:
    kind: networks
    entries: [192.0.2.0/24, 2001:db8::/48]

rate_limits:
  - name: strangers
    when: {trust: untrusted}
    rate: 20                  # messages per second of each address
    burst: 60

rules:
  - name: known peers
    when: {known_peer: true}
    then: allow
  - name: registrations
    when: {method: REGISTER}
    then: allow
  - name: phones may call
    when: {registered: true}
    then: allow

geo:
  - name: only from home
    when:
      trust: untrusted
      not: {source_country: "${home}", source: "set:own offices"}
    then: reject 403 Not served where you are
```
"""

_WAY = """\
## The way of a request

Each step is asked only about what the steps before it let through. In a list of rules **the first
rule whose conditions all hold decides for that list**, and where none does the request goes on;
only `rules` deny then. What belongs to a call that is up (hold, hang up) is known by its dialog,
and no rule of the steps from `requirements` to `fraud` is asked about it.

| Step | Section | About | `then` | Meaning |
| --- | --- | --- | --- | --- |
"""

VERBS: Final[dict[Verb, tuple[str, str]]] = {
    "allow": (
        "allow",
        (
            "It may be done. Later sections are still asked. In `sources`: the address is never "
            "limited or banned."
        ),
    ),
    "pass": ("pass", "Nothing; no further rule of this section is asked. For exceptions."),
    "reject": (
        "reject 403 Some text",
        (
            "It is refused with that status (400 to 699; 403 when left out) and, if one is given, "
            "that text instead of the usual one."
        ),
    ),
    "drop": ("drop", "It is not answered, so that whoever scans learns nothing."),
    "block": ("block", "Nothing of that address is read: no answer, no connection."),
    "warn": ("warn", "It goes on; the log and `sbc alarms` tell of it, and why."),
    "replace": (
        "replace +4930123",
        "The call goes on, and that number is presented instead of the caller's own.",
    ),
    "tag": ("tag Possible fraud", "The call goes on with that text before the caller's name."),
    "anonymize": ("anonymize", "The call goes on, and its caller is presented as anonymous."),
    "challenge": (
        "challenge",
        (
            "It goes on only if its sender has proved to be a user by a password "
            "(`authentication: {mode: challenge}` of the peer asks for it); else 403."
        ),
    ),
    "cap": ("cap 10", "The call goes on, and is ended after that many minutes."),
}
"""How each is written, and what it does."""

KINDS: Final[dict[str, str]] = {
    "networks": "names of `networks`",
    "trust": "`trusted` or `untrusted`",
    "prefixes": "addresses, prefixes, `set:NAME`",
    "transports": "`udp`, `tcp`, `tls`, `ws`, `wss`",
    "peers": "names of `peers`",
    "flag": "`true` or `false`",
    "domains": "domains",
    "countries": 'two letters (ISO 3166; write `"NO"` in quotes), or `unknown`',
    "asns": "numbers, or `unknown`",
    "calendars": "names of `calendars`",
    "methods": "methods, in capitals",
    "pieces": "pieces of text",
    "regex": "regular expressions",
    "names": "names; case is ignored",
    "headers": "`{HEADER: EXPRESSIONS}`",
    "statuses": "statuses, or classes of them",
    "numbers": "numbers, patterns, `set:NAME`",
    "number_kinds": "`fixed`, `mobile`, `fixed-or-mobile`, `toll-free`, `premium`, `shared-cost`, "
    "`voip`, `personal`, `pager`, `company`, `voicemail`, `satellite`, `short`, `emergency`, "
    "`invalid`, `unallocated`, `unknown`",
    "amount": "`{above: NUMBER}`, `{below: NUMBER}`, or both in one",
    "words": "names",
    "protections": "`none`, `sdes`, `dtls`",
    "ownership": "`own`, `foreign`, `unlisted`, `nothing`",
}
"""How the values of each kind of fact are written."""

_CONDITIONS = """\
## Conditions

`when` names facts and what they must be. All that it names must be so; of a list of values one is
enough; without `when` a rule always matches. What stands under `not` must not be so, none of it:

```yaml
version: 1
rules:
  - name: phones of the office, but not the door
    when:
      registered: true
      source: [192.0.2.0/24, 198.51.100.7]     # one of these
      not: {user_agent: doorphone}
    then: allow
```

The facts are the same wherever there is a `when`; what differs is when they are known. `sources`
may ask only for the first group, and so may `rate_limits` that are not per user or method.
"""

_KNOWN: Final[tuple[tuple[str, str], ...]] = (
    (
        "Known before anything is read",
        (
            "In `rate_limits` the source is that of the packet; from `requirements` on a peer may "
            "also be known by its certificate."
        ),
    ),
    (
        "Known once the message is read",
        (
            "From `requirements` on. What is counted (`spend_hour`, `live_calls`, ...) is counted "
            "for the account that pays: the user who logged in, else the registered phone, else "
            "the peer. Before `geo` nobody has logged in yet."
        ),
    ),
    ("Known once it is clear who asks", "From `geo` on: passwords are checked after `rules`."),
    ("Of responses", "In `headers` only."),
)


def policy_reference() -> str:
    """The page, in Markdown."""
    schema = policy_schema()
    stages = {stage.name for stage in (SOURCES, *STAGES)}
    properties = schema["properties"]
    other = {key: field for key, field in properties.items() if key not in stages}
    rule = schema["$defs"]["RulesRule"]
    parts = [_HEAD, _way(other), _verbs()]
    parts += ["## A rule\n", *keys_table(_any_stage(rule["properties"]), rule["required"])]
    parts += _conditions()
    parts += chapter("The other sections", schema | {"properties": other})
    return "\n".join(parts)


def _any_stage(properties: dict[str, Any]) -> dict[str, Any]:
    """The keys of a rule, of whichever section it is."""
    then = {
        "type": "string",
        "description": "What is done: see [above](#what-then-says) for what each section has.",
        "examples": ["reject 403 Not from here"],
    }
    return {**properties, "then": then}


def _way(other: dict[str, Any]) -> str:
    requirements, rules, *screened = STAGES
    rows = [
        _stage_row(SOURCES),
        _row("`bans`", "all", "", other["bans"]),
        _row("`rate_limits`", "all", "", other["rate_limits"]),
        ("(reading)", "", "", "A message that is none ends here."),
        _stage_row(requirements),
        _stage_row(rules),
        ("(passwords)", "", "", "Where `authentication` of a peer or its phones asks for them."),
        ("`rate_limits`", "all", "", "Those per user and method: 503 above them."),
        *map(_stage_row, screened),
        _row("`media`", "calls", "", other["media"]),
        _row("`registrations`", "registrations", "", other["registrations"]),
        _row("`headers`", "messages", "", other["headers"]),
        _row("`admission`", "calls", "", other["admission"]),
    ]
    lines = [
        "| " + " | ".join((str(number), section, about, verbs, cell(meaning))) + " |"
        for number, (section, about, verbs, meaning) in enumerate(rows, 1)
    ]
    return _WAY + "\n".join(lines) + "\n"


def _row(section: str, about: str, verbs: str, field: dict[str, Any]) -> tuple[str, ...]:
    return section, about, verbs, field["description"]


def _stage_row(stage: Stage) -> tuple[str, ...]:
    about = "calls" if stage.calls_only else "all"
    if not stage.emergencies:
        about += ", but no emergency calls"
    verbs = ", ".join(f"`{verb}`" for verb in stage.verbs)
    return f"`{stage.name}`", about, verbs, stage.description


def _verbs() -> str:
    rows = ["## What `then` says\n", "| Written | What is done |", "| --- | --- |"]
    rows += [f"| `{written}` | {cell(meaning)} |" for written, meaning in VERBS.values()]
    return "\n".join(rows) + "\n"


def _conditions() -> list[str]:
    parts = [_CONDITIONS]
    for known, (title, explanation) in enumerate(_KNOWN):
        rows = ["| Fact | Values | Meaning |", "| --- | --- | --- |"]
        rows += [
            f"| `{name}` | {cell(KINDS[fact.kind])} | {cell(fact.description)}{_example(fact)} |"
            for name, fact in FACTS.items()
            if _known(name, fact) == known
        ]
        parts += [f"### {title}\n", explanation + "\n", "\n".join(rows) + "\n"]
    return parts


def _known(name: str, fact: Fact) -> int:
    """The index in `_KNOWN` of when a fact is known."""
    if fact.answers:
        return 3
    return 2 if name in AFTER_ARRIVAL else int(fact.parsed)


def _example(fact: Fact) -> str:
    if fact.example is None or isinstance(fact.example, dict):
        return ""
    values = fact.example if isinstance(fact.example, list) else [fact.example]
    return " Example: " + ", ".join(f"`{plain(value)}`" for value in values) + "."
