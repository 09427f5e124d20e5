"""Takes secrets out of command lines and of text before anything is kept.

Better one harmless word too many than one secret: whatever looks like a credential goes, and the
rules are closed under themselves (redacting twice changes nothing more).
"""

import re
from collections.abc import Sequence

REDACTED = "REDACTED"

# Flags whose value is a credential: kubectl's, helm's, and the ones of common exec plugins.
_SECRET_FLAGS = frozenset(
    {
        "token",
        "password",
        "docker-password",
        "from-literal",
        "client-secret",
        "client-key-data",
        "access-token",
        "refresh-token",
        "id-token",
        "api-key",
        "kube-token",
    }
)
_NAMES = r"passwords?|passwd|pwd|tokens?|secrets?|api[_-]?keys?|credentials?|authorization"

# Quotes inside quoted JSON carry backslashes; their number is bounded to keep every rule linear.
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # PEM blocks, also ones that were cut off or have their newlines escaped.
    (
        re.compile(r"-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|\Z)", re.DOTALL),
        REDACTED,
    ),
    # The values of a Secret (or ConfigMap) as JSON, plain or quoted inside other JSON.
    (
        re.compile(r'((?:\\{0,8}"|\b)(?:data|stringData|binaryData)\\{0,8}"?\s*:\s*\{)[^{}]*(\}?)'),
        rf"\1{REDACTED}\2",
    ),
    # The same as YAML: every line that is indented deeper than the key.
    (
        re.compile(
            r"^([ \t]*)((?:data|stringData|binaryData):)[ \t]*\n(?:\1[ \t]+\S[^\n]*(?:\n|\Z))+",
            re.MULTILINE,
        ),
        rf"\1\2 {REDACTED}\n",
    ),
    # A header to the end of its value.
    (
        re.compile(
            r"(authorization\\{0,8}[\"']?\s*[:=]\s*\\{0,8}[\"']?)[^\"'\n\\]+", re.IGNORECASE
        ),
        rf"\1{REDACTED}",
    ),
    (re.compile(r"\b(bearer|basic)(\s+)[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1\2{REDACTED}"),
    # User information in a URL.
    (re.compile(r"(://)[^/\s@\"']+@"), rf"\1{REDACTED}@"),
    # JWTs; OpenShift, Google, EKS, GitHub and AWS credentials by their own marks.
    (re.compile(r"\bey[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?"), REDACTED),
    (re.compile(r"\bsha256~[\w-]+"), REDACTED),
    (re.compile(r"\bya29\.[\w.-]+"), REDACTED),
    (re.compile(r"\bk8s-aws-v1\.[\w-]+"), REDACTED),
    (re.compile(r"\bgh[oprsu]_\w{20,}"), REDACTED),
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), REDACTED),
    # password="…", "accessToken": "…"
    (
        re.compile(
            rf"((?:{_NAMES})(?:_?data)?\\{{0,8}}[\"']?\s*[=:]\s*\\{{0,8}}([\"']))(?:(?!\2)[^\n\\])*",
            re.IGNORECASE,
        ),
        rf"\1{REDACTED}",
    ),
    # client_secret=…, token: …
    (
        re.compile(rf"((?:{_NAMES})(?:_?data)?\s*[=:]\s*)[^\s\"'&,;\\]+", re.IGNORECASE),
        rf"\1{REDACTED}",
    ),
    # Long base64 that is neither a path nor a hexadecimal digest.
    (
        re.compile(r"(?<![\w/.+-])(?!/)(?![0-9a-f]{64}\b)[A-Za-z0-9+/]{48,}={0,2}(?![\w.-])"),
        REDACTED,
    ),
)


def redact_text(text: str) -> str:
    """The text without credentials, PEM blocks, Secret values and URL user information."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def redact_argv(argv: Sequence[str]) -> tuple[str, ...]:
    """The command line without the values of secret flags, secret headers and the like."""
    words: list[str] = []
    is_value = False
    for word in argv:
        name, equals, _ = word.lstrip("-").partition("=")
        is_secret_flag = word.startswith("-") and name.replace("_", "-") in _SECRET_FLAGS
        if is_value:
            words.append(REDACTED)
        elif is_secret_flag and equals:
            words.append(f"{word.partition('=')[0]}={REDACTED}")
        else:
            words.append(redact_text(word))
        is_value = is_secret_flag and not equals and not is_value
    return tuple(words)


def outline_argv(argv: Sequence[str], *, is_kubectl: bool) -> tuple[str, ...]:
    """The command line of a command that may carry data: any value may be a secret there.

    Of kubectl's the plain words stay (`delete pod x`) and whatever follows a `=` goes
    (`--env=KEY=REDACTED`). Of any other program, whose flags nobody here knows, only the program,
    its first word and the names of its flags stay.
    """
    redacted = redact_argv(argv)
    keep = _without_values if is_kubectl else _name_only
    rest = [keep(word, is_first=at == 0) for at, word in enumerate(redacted[1:])]
    return (*redacted[:1], *rest)


def _without_values(word: str, *, is_first: bool) -> str:  # noqa: ARG001 - as its twin
    name, equals, _ = word.partition("=")
    return f"{name}={REDACTED}" if equals else word


def _name_only(word: str, *, is_first: bool) -> str:
    if word.startswith("--"):
        return _without_values(word, is_first=is_first)
    if word.startswith("-"):
        return word if len(word) <= len("-x") else f"{word[:2]}{REDACTED}"
    is_subcommand = is_first and word.replace("-", "").isalnum()
    return word if is_subcommand else REDACTED
