"""What the identity rules of a policy have done to who calls, for the whole call."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from sbc.policy.model import Decision, Step


@dataclass(frozen=True, slots=True)
class Presentation:
    """How a caller is presented instead of as it presents itself."""

    number: str = ""
    """In the form that numbers have inside; empty for its own."""
    tag: str = ""
    """What stands in front of its display name."""
    anonymous: bool = False
    why: str = ""
    """The rule that says so, with its place."""

    @property
    def breaks_signature(self) -> bool:
        """Whether a signature over who calls (RFC 8224) holds no longer."""
        return bool(self.number) or self.anonymous


AS_PRESENTED = Presentation()


class PresentationData(TypedDict):
    """A `Presentation` as JSON has it."""

    number: str
    tag: str
    anonymous: bool
    why: str


def presentation_to_data(presentation: Presentation) -> PresentationData:
    """Export a presentation."""
    return {
        "number": presentation.number,
        "tag": presentation.tag,
        "anonymous": presentation.anonymous,
        "why": presentation.why,
    }


def presentation_of(decision: "Decision") -> Presentation:
    """How the rules of a decision want the caller presented."""
    found = (presentation_of_step(step) for step in decision.trail)
    return next((one for one in found if one is not AS_PRESENTED), AS_PRESENTED)


def presentation_of_step(step: "Step") -> Presentation:
    """How a rule wants the caller presented."""
    verb, text = step.action.verb, step.action.text
    why = f"by rule {step.rule!r} ({step.where})"
    if verb == "replace":
        return Presentation(number=text, why=why)
    if verb == "tag":
        return Presentation(tag=text, why=why)
    if verb == "anonymize":
        return Presentation(anonymous=True, why=why)
    return AS_PRESENTED
