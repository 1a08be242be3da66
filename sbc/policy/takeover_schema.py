"""The section `registrations` of a policy file: what is done about phones that are taken over."""

from typing import Literal

from pydantic import Field

from sbc.document.schema import Section
from sbc.document.text import Document
from sbc.policy.takeover import TakeoverRules


class RegistrationsSection(Section):
    """What is done when somebody else seems to register as a phone that is registered.

    A sign is a device of another make (User-Agent without versions, or instance-id) that registers
    from another place (another /24, of IPv6 another /64) while the user's own device is live, or a
    user in another country sooner than anybody travels. Phones that reboot, move or are upgraded
    are none. Of several policy files the first that has this section counts.
    """

    on_takeover: Literal["notify", "hold"] = Field(
        default="notify",
        description="`notify`: a warning in log and `sbc alarms`. `hold`: also refuse it with 403 "
        "while the old registration lives, until `sbc registrations --accept AOR`. A user's second "
        "phone, too, must then be accepted once, unless it registers from the same place or before "
        "the first one. A device that is known is never refused.",
    )
    travel: float = Field(
        default=7200.0,
        ge=0,
        le=604_800,
        description="Seconds within which nobody gets from one country to another; 0: whatever "
        "country is fine. Needs a database of countries.",
        examples=[3600],
    )


def build_takeover(
    document: Document, section: RegistrationsSection | None
) -> TakeoverRules | None:
    """What is done; None where the file does not say it."""
    if section is None:
        return None
    where = document.place(("registrations",), key=True).where
    return TakeoverRules(section.on_takeover, section.travel, where)
