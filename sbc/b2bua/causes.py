"""Why a call ended, in every vocabulary that someone needs: SIP, Q.850, CDR and plain words.

Spec: RFC 3326 (Reason), RFC 3398 §8.2.6.1 and RFC 4497 §8.4.4 (SIP status to Q.850 cause).
"""

from dataclasses import dataclass

NORMAL_CLEARING = 16
NO_ANSWER = 19
TEMPORARY_FAILURE = 41
NO_CIRCUIT = 34
RECOVERY_ON_TIMER_EXPIRY = 102
INTERWORKING = 127

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


def q850_of(status: int) -> int:
    """The Q.850 cause that stands for a SIP final status; 127 (interworking) when none does."""
    return _Q850_OF_STATUS.get(status, INTERWORKING)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a call ended or was refused, said once, where it is known."""

    status: int
    """SIP final status toward the caller while it is unanswered; 200 after an ordinary BYE."""
    q850: int
    by: str
    """One of `EndedBy`."""
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


def plain(text: str) -> str:
    """A text that can stand between quotes in a header: printable, short, without quotes."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text[:200]
    return "".join(c if c.isprintable() and c not in '"\\' else "'" for c in text)[:200]
