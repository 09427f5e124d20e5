"""The lab's bearer tokens, in the format of kube-apiserver's `--token-auth-file`."""

import csv
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kubelag.lab.control_plane.certificates import ADMIN_GROUP
from kubelag.lab.private_files import write_private

TOKEN_FILE = "tokens.csv"  # noqa: S105 - the name of a file
TOKEN_ADMIN_USER = "lab-token-admin"  # noqa: S105 - the name of a user
FORBIDDEN_USER = "lab-forbidden"
READER_USER = "lab-reader"
READER_GROUP = "lab:readers"
"""May read every resource, and waits in the queues that masters are exempt from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUser:
    """Whom one token stands for."""

    token: str
    user: str
    groups: tuple[str, ...]


def create_tokens(directory: Path) -> tuple[TokenUser, ...]:
    """Make and write a token each for who may do everything, nothing, and only read."""
    users = (
        TokenUser(token=secrets.token_urlsafe(24), user=TOKEN_ADMIN_USER, groups=(ADMIN_GROUP,)),
        TokenUser(token=secrets.token_urlsafe(24), user=FORBIDDEN_USER, groups=()),
        TokenUser(token=secrets.token_urlsafe(24), user=READER_USER, groups=(READER_GROUP,)),
    )
    write_tokens(directory, users)
    return users


def write_tokens(directory: Path, users: Sequence[TokenUser]) -> None:
    """Write the tokens where a server in this directory looks for them."""
    lines = "".join(
        f'{item.token},{item.user},{item.user},"{",".join(item.groups)}"\n' for item in users
    )
    write_private(directory / TOKEN_FILE, lines)


def read_tokens(directory: Path) -> tuple[TokenUser, ...]:
    """The tokens that `create_tokens` wrote."""
    with (directory / TOKEN_FILE).open(newline="") as stream:
        return tuple(
            TokenUser(
                token=token,
                user=user,
                groups=tuple(filter(None, groups.split(","))),
            )
            for token, user, _uid, groups in csv.reader(stream)
        )
