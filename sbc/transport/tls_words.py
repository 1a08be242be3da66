"""OpenSSL's reasons in words that somebody can act on.

Sans-IO.

Spec: RFC 8446 §6.2 (alerts).
"""

import ssl

_OURS: dict[str, str] = {
    "NO_SHARED_CIPHER": "the peer and we have no cipher in common; see `ciphers`",
    "UNSUPPORTED_PROTOCOL": "the peer speaks only TLS versions that are not allowed here; see"
    " `min_version`",
    "VERSION_TOO_LOW": "the peer speaks only TLS versions that are not allowed here; see"
    " `min_version`",
    "WRONG_VERSION_NUMBER": "what came is no TLS: the port may be for plain SIP",
    "HTTP_REQUEST": "what came is plain HTTP",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "the peer showed no certificate, which is required here",
    "NO_CERTIFICATE_RETURNED": "the peer showed no certificate, which is required here",
    "UNEXPECTED_EOF_WHILE_READING": "the peer ended it in the middle",
    "DECRYPTION_FAILED_OR_BAD_RECORD_MAC": "what came was changed on its way",
}

_ALERTS: dict[str, str] = {
    "UNKNOWN_CA": "the peer does not know the authority that signed our certificate",
    "CERTIFICATE_EXPIRED": "the peer says that our certificate has expired",
    "CERTIFICATE_REVOKED": "the peer says that our certificate was revoked",
    "CERTIFICATE_UNKNOWN": "the peer does not accept our certificate",
    "BAD_CERTIFICATE": "the peer does not accept our certificate",
    "UNSUPPORTED_CERTIFICATE": "the peer does not take certificates like ours",
    "CERTIFICATE_REQUIRED": "the peer wants a certificate of ours; see `certificate` of its `tls`",
    "NO_CERTIFICATE": "the peer wants a certificate of ours; see `certificate` of its `tls`",
    "HANDSHAKE_FAILURE": "the peer and we have no parameters in common, or it wants a certificate",
    "PROTOCOL_VERSION": "the peer allows none of our TLS versions; see `min_version`",
    "INSUFFICIENT_SECURITY": "the peer takes none of our ciphers; see `ciphers`",
    "UNRECOGNIZED_NAME": "the peer has no certificate for the name that we asked for; see `name`",
    "ACCESS_DENIED": "the peer knows our certificate and does not let us in",
}


def failure_in_words(error: ssl.SSLError, *, server: bool) -> str:
    """What went wrong in TLS.

    Args:
        error: As OpenSSL tells it.
        server: Whether the peer is the client, whose certificate is one of several reasons.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        whose = "client" if server else "server"
        return f"the {whose}'s certificate is not accepted: {error.verify_message}"
    reason = error.reason or ""
    _, alert, name = reason.partition("_ALERT_")
    if alert:
        return _ALERTS.get(name, f"the peer ended it: {name.replace('_', ' ').lower()}")
    if reason in _OURS:
        return _OURS[reason]
    return f"OpenSSL says: {reason.replace('_', ' ').lower() or 'no reason'}"
