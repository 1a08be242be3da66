"""Why a call ended, in every vocabulary that someone needs: SIP, Q.850, CDR and plain words.

Spec: RFC 3326 (Reason), RFC 3398 §8.2.6.1 and RFC 4497 §8.4.4 (SIP status to Q.850 cause).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sbc.routing.responses import ResponseRule
from sbc.state.cdr import EndedBy

NORMAL_CLEARING = 16
NO_ANSWER = 19
TEMPORARY_FAILURE = 41
NO_CIRCUIT = 34
RECOVERY_ON_TIMER_EXPIRY = 102
INTERWORKING = 127
MAX_CAUSE = 127

_Q850_OF_STATUS = {
    400: 41,
    401: 21,
    402: 21,
    403: 21,
    404: 1,
    405: 63,
    406: 79,
    407: 21,
    408: 102,
    410: 22,
    413: 127,
    414: 127,
    415: 79,
    416: 127,
    420: 127,
    421: 127,
    423: 127,
    480: 18,
    481: 41,
    482: 25,
    483: 25,
    484: 28,
    485: 1,
    486: 17,
    487: 16,
    488: 65,
    500: 41,
    501: 79,
    502: 38,
    503: 41,
    504: 102,
    505: 127,
    513: 127,
    600: 17,
    603: 21,
    604: 1,
    606: 65,
}


_Q850_CAUSE = re.compile(r";[ \t]*cause[ \t]*=[ \t]*([0-9]{1,3})(?![0-9])", re.IGNORECASE)
_QUOTED = re.compile(r'"(?>(?:[^"\\]|\\.)*)"')
_LONGEST_REASON = 512
"""Characters of Reason that are looked at; what is longer says nothing more of a cause."""


def q850_said(reasons: Iterable[str]) -> int | None:
    """The Q.850 cause that Reason values give, if any of them does.

    Whatever else they say, or an RFC 8606 location, counts for nothing here.

    Spec: RFC 3326 §2, RFC 6432.
    """
    for value in _QUOTED.sub("", ",".join(reasons)[:_LONGEST_REASON]).split(","):
        protocol, semicolon, params = value.partition(";")
        if protocol.strip().lower() == "q.850":
            found = _Q850_CAUSE.search(semicolon + params)
            if found is not None and 1 <= int(found[1]) <= MAX_CAUSE:
                return int(found[1])
    return None


def q850_of(status: int) -> int:
    """The Q.850 cause that stands for a SIP final status; 127 (interworking) when none does."""
    return _Q850_OF_STATUS.get(status, INTERWORKING)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a call ended or was refused, said once, where it is known."""

    status: int
    """SIP final status toward the caller while it is unanswered; 200 after an ordinary BYE."""
    q850: int
    by: EndedBy
    text: str
    """One sentence for the person who must act."""
    said: str = ""
    """What the legs are told instead, where `text` names what only we or one leg may know."""

    @property
    def public(self) -> str:
        """The sentence that may leave to either leg."""
        return self.said or self.text

    @property
    def reason(self) -> str:
        """The Reason header value (RFC 3326 §2)."""
        return f'Q.850;cause={self.q850};text="{plain(self.public)}"'


def rule_for(rules: Iterable[ResponseRule], status: int, q850: int) -> ResponseRule | None:
    """The first rule that is for a final failure."""
    for rule in rules:
        if rule.status in (None, status) and rule.q850 in (None, q850):
            return rule
    return None


def told_otherwise(ending: Ending, rule: ResponseRule) -> Ending:
    """An ending as a rule has it told."""
    text = f"{ending.text}; told as {rule.becomes} by the rule in {rule.where}"
    return replace(
        ending,
        status=rule.becomes,
        q850=rule.becomes_q850 or q850_of(rule.becomes),
        text=text,
        said=ending.public,
    )


def plain(text: str) -> str:
    """A text that can stand between quotes in a header: printable, short, without quotes."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text[:200]
    return "".join(c if c.isprintable() and c not in '"\\' else "'" for c in text)[:200]
