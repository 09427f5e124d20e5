"""A name server, or a firewall before it, never answers questions for IPv6 addresses (AAAA).

What it is
    Some name servers and firewalls drop what they do not like instead of answering that there is
    nothing. A and AAAA are asked together, and the client waits for both.

How it is told apart
    A is answered at once and AAAA never, by the same server.

What it costs
    The resolver's patience times its attempts: 10 s for each look-up by default.

Versions
    All clients that ask for both; the official kubectl always does.

Sources
    Go's resolver (dnsconfig_unix.go), golang/go#21906, golang/go#29142.
"""

from kubelag.causes.contract import Case
from kubelag.causes.name_facts import NameStory
from kubelag.causes.name_judging import NameCause, judge_names
from kubelag.model.remedy import Advice
from kubelag.model.units import seconds
from kubelag.model.verdict import Judgement

ID = "name_type_unanswered"

_ADVICE = Advice(
    id="let-aaaa-be-answered",
    summary=(
        "make the name server, or the firewall before it, answer AAAA questions (an empty answer "
        "will do); until then an entry in /etc/hosts asks nobody"
    ),
    commands=("dig AAAA NAME @SERVER",),
)


class NameTypeUnanswered:
    """See the module."""

    id = ID
    title = "a name server does not answer for IPv6 addresses"

    def judge(self, case: Case) -> Judgement:
        """Look for AAAA without an answer beside A with one."""
        words = NameCause(id=ID, trouble="unanswered_type", sentence=_sentence, advice=_ADVICE)
        return judge_names(case, words)


def _sentence(story: NameStory) -> str:
    return (
        f"the name server {story.server} answers questions for IPv4 addresses and never those for "
        f"IPv6 (AAAA); the command waited {seconds(story.spent_ns)} for names"
    )
