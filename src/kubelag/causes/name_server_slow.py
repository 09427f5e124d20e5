"""A name server takes long to answer.

What it is
    The name server is overloaded, far away, or asks others that are. Every process of a client
    asks anew, since Go's resolver remembers nothing.

How it is told apart
    Questions are answered, with the right answer, and late; asked again by kubelag they are late
    too.

What it costs
    One look-up (A and AAAA side by side) for each connection that is opened.

Versions
    All clients.

Sources
    Go's resolver (dnsconfig_unix.go), resolv.conf(5), kubernetes#56903.
"""

from kubelag.causes.contract import Case
from kubelag.causes.name_facts import NameStory
from kubelag.causes.name_judging import NameCause, judge_names
from kubelag.model.remedy import Advice
from kubelag.model.units import seconds
from kubelag.model.verdict import Judgement

ID = "name_server_slow"

_ADVICE = Advice(
    id="ask-a-nearer-name-server",
    summary="let a caching resolver on this machine answer, or list a quicker name server first",
    commands=("grep ^nameserver /etc/resolv.conf",),
)


class NameServerSlow:
    """See the module."""

    id = ID
    title = "a name server is slow"

    def judge(self, case: Case) -> Judgement:
        """Look for answers that came late."""
        words = NameCause(id=ID, trouble="slow", sentence=_sentence, advice=_ADVICE)
        return judge_names(case, words)


def _sentence(story: NameStory) -> str:
    slowest = max(story.asked, key=lambda one: one.length_ns)
    return (
        f"the name server {story.server} took {seconds(slowest.length_ns)} to answer; the command "
        f"waited {seconds(story.spent_ns)} for names"
    )
