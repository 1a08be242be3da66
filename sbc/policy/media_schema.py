"""What a policy file and a peer may say of codecs and kinds of media."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from sbc.document.schema import BadValue, OneOrMany, Section
from sbc.routing.codecs import CodecRules

CODEC_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._+-]*(/[0-9]+)?$"


def check_codec(text: str) -> str:
    """The name of a codec as ``a=rtpmap`` has it, perhaps with its clock; in lower case.

    Raises:
        BadValue: it is none.
    """
    if not re.fullmatch(CODEC_PATTERN, text) or len(text) > 72:
        raise BadValue(f"{text!r} is no name of a codec", "for example: opus, pcma, l16/44100")
    return text.lower()


Codec = Annotated[
    str,
    AfterValidator(check_codec),
    WithJsonSchema({"type": "string", "pattern": CODEC_PATTERN, "examples": ["pcma"]}),
]
Codecs = Annotated[tuple[Codec, ...], Field(min_length=1), OneOrMany()]
Kinds = Annotated[tuple[Literal["audio", "video"], ...], Field(min_length=1), OneOrMany()]


class CodecsSection(Section):
    """Codecs by their names in `a=rtpmap`, perhaps with the clock: `opus`, `pcma`, `l16/44100`."""

    allow: Codecs | None = Field(
        default=None,
        description="The only codecs that pass. Key tones (telephone-event) and comfort noise (cn) "
        "pass beside them.",
        examples=[["pcma", "pcmu"]],
    )
    remove: Codecs | None = Field(
        default=None, description="Codecs that do not pass.", examples=[["g729"]]
    )
    prefer: Codecs | None = Field(
        default=None,
        description="Codecs that are offered before all others, in this order.",
        examples=[["opus", "g722"]],
    )


KINDS = Field(
    default=None,
    description="The only kinds of media that pass; streams of others are refused (port 0). "
    "Without it all.",
    examples=["audio"],
)
CODECS = Field(
    default=CodecsSection(),
    description="Which codecs pass. A stream without any left is refused; a call without any "
    "stream left gets 488.",
    examples=[{"allow": ["pcma", "pcmu"]}],
)


def codec_rules(section: CodecsSection, kinds: Kinds | None, where: str) -> CodecRules:
    """What a section says, as a core takes it."""
    return CodecRules(
        section.allow or (), section.remove or (), section.prefer or (), kinds or (), where
    )
