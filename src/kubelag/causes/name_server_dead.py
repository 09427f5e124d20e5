"""A name server that never answers is asked before one that does.

What it is
    resolv.conf lists several name servers. They are asked in order, and one that is gone, or behind
    a firewall that drops its packets, costs the resolver's whole patience before the next is asked.

How it is told apart
    Questions to one server stay without any answer, during the run and afterwards; the same
    question to another server is answered.

What it costs
    Five seconds for each look-up by default (`options timeout:`); a process looks its server's name
    up once for every connection that it opens.

Versions
    All clients. The official Linux kubectl is static and has Go's own resolver: no nscd, no NSS
    modules, no memory of which server was dead.

Sources
    Go's resolver (dnsconfig_unix.go), resolv.conf(5), kubernetes#69754, crc#3375.
"""

from kubelag.causes.contract import Case
from kubelag.causes.name_facts import NameStory
from kubelag.causes.name_judging import NameCause, judge_names
from kubelag.model.remedy import Advice
from kubelag.model.units import seconds
from kubelag.model.verdict import Judgement

ID = "name_server_dead"

_ADVICE = Advice(
    id="drop-the-dead-name-server",
    summary="take the dead name server out of resolv.conf, or put it behind one that answers",
    commands=("grep ^nameserver /etc/resolv.conf",),
)


class NameServerDead:
    """See the module."""

    id = ID
    title = "a name server does not answer"

    def judge(self, case: Case) -> Judgement:
        """Look for a server that answered nobody."""
        words = NameCause(id=ID, trouble="dead", sentence=_sentence, advice=_ADVICE)
        return judge_names(case, words)


def _sentence(story: NameStory) -> str:
    return (
        f"the name server {story.server} does not answer; the command waited "
        f"{seconds(story.spent_ns)} for names"
    )
