"""Names that do not exist are asked for first: a long search list, or a slow "no such name".

What it is
    resolv.conf's `search` and `ndots` make a client try the name with every search domain
    appended, before it tries the name as it stands. Each is a question for A and one for AAAA.

How it is told apart
    Most of the time for names went into questions that were answered NXDOMAIN.

What it costs
    The number of search domains times what one "no such name" takes.

Versions
    All clients; in pods `ndots:5` and three to five search domains are the default.

Sources
    resolv.conf(5), Go's resolver (dnsconfig_unix.go).
"""

from kubelag.causes.contract import Case
from kubelag.causes.name_facts import NameStory
from kubelag.causes.name_judging import NameCause, judge_names
from kubelag.model.remedy import Advice
from kubelag.model.units import seconds
from kubelag.model.verdict import Judgement

ID = "name_search_list"

_ADVICE = Advice(
    id="ask-for-the-whole-name",
    summary=(
        "end the server's name in the kubeconfig with a dot, shorten `search` in resolv.conf, or "
        "lower `options ndots:`"
    ),
    commands=("grep -E '^(search|options)' /etc/resolv.conf",),
)


class NameSearchList:
    """See the module."""

    id = ID
    title = "names that do not exist are asked for first"

    def judge(self, case: Case) -> Judgement:
        """Look for time spent on names that do not exist."""
        words = NameCause(id=ID, trouble="missing_names", sentence=_sentence, advice=_ADVICE)
        return judge_names(case, words)


def _sentence(story: NameStory) -> str:
    names = len({one.lookup.name for one in story.asked})
    which = f"{names} names that do not exist are" if names > 1 else "a name that does not exist is"
    slowest = max(one.length_ns for one in story.asked)
    return (
        f"{which} asked for first, at the name server {story.server}, up to {seconds(slowest)} a "
        f"question; the command waited {seconds(story.spent_ns)} for names"
    )
