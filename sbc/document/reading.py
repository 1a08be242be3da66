"""Files that cannot be read, in words."""


def why_unreadable(error: Exception) -> str:
    """Why a file cannot be read, in a few words: ``permission denied``.

    Args:
        error: What reading it raised: OSError, or ValueError of what is in it.
    """
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 at byte {error.start}"
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return str(error)
