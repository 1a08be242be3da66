"""Who a registration is for, and how long the registrar keeps each of its contacts.

Spec: RFC 3261 §10.2.1.1, §10.3 step 7 and 8, §19.1.4.
"""

from collections.abc import Mapping
from urllib.parse import unquote

from sbc.sip.fields.name_addr import NameAddr
from sbc.sip.message import Request, Response
from sbc.sip.uri import Uri

DEFAULT_EXPIRES_S = 3600
LONGEST_EXPIRES_S = 2**31


def user_of(uri: Uri) -> str:
    """The unescaped user part, by which users are compared (RFC 3261 §19.1.4)."""
    user = uri.user or ""
    return unquote(user) if "%" in user else user


def asked_s(request: Request, contact: NameAddr) -> int:
    """How long a phone wants one of its contacts to be kept.

    Raises:
        ParseError: Expires is malformed (400).
    """
    usual = DEFAULT_EXPIRES_S if request.expires is None else request.expires
    return _seconds(contact.param("expires"), usual)


def granted_by(
    request: Request, contacts: Mapping[str, NameAddr], response: Response
) -> dict[str, int]:
    """How long the registrar keeps each contact, by token.

    A 2xx lists all contacts it has (RFC 3261 §10.3 step 8). One that lists none at all, as small
    registrars do, means what was asked, or less if its Expires says so.

    Raises:
        ParseError: the registrar's Contact or Expires is malformed.
    """
    asked = DEFAULT_EXPIRES_S if request.expires is None else request.expires
    said = response.expires
    listed = response.contacts
    if listed:
        usual = asked if said is None else said
        return {
            contact.uri.user or "": _seconds(contact.param("expires"), usual) for contact in listed
        }
    most = LONGEST_EXPIRES_S if said is None else said
    return {
        token: min(_seconds(contact.param("expires"), asked), most)
        for token, contact in contacts.items()
    }


def _seconds(text: str | None, fallback: int) -> int:
    """A contact's expires; malformed counts as the fallback (RFC 3261 §10.2.1.1)."""
    if text is None or not text.isascii() or not text.isdigit():
        return min(fallback, LONGEST_EXPIRES_S)
    return min(int(text[:10]), LONGEST_EXPIRES_S)
