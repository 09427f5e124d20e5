"""What of others' words may be shown: no password, and nothing a terminal would obey. Pure."""


def without_user(url: str) -> str:
    """The URL without user information, which may be a password."""
    scheme, separator, rest = url.rpartition("://")
    place, slash, path = rest.partition("/")
    return f"{scheme}{separator}{place.rpartition('@')[2]}{slash}{path}"


def printable(text: str) -> str:
    """The text with a space for every control character."""
    return "".join(char if char.isprintable() else " " for char in text)
