"""The server's name ends in `.local`, which ordinary name servers pass on or give up on.

What it is
    `.local` belongs to multicast DNS (RFC 6762). A name server that is asked for such a name asks
    others in vain, or the answer comes from a split resolver (a VPN, a desktop's own) that first
    waits for multicast. The pause is usually five seconds.

How it is told apart
    The look-up of the kubeconfig's own name is slow, the name ends in `.local`, and no name server
    is dead.

What it costs
    One look-up for each connection; with an address in the kubeconfig, nothing.

Versions
    All clients; on macOS the official kubectl asks the system, on Linux the name servers.

Sources
    RFC 6762 section 3, kubectl#1552, docker/for-mac#7155, kubernetes#23130.
"""

from kubelag.causes.contract import Case
from kubelag.causes.name_facts import NameStory
from kubelag.causes.name_judging import RESOLV_CONF, NameCause, judge_names
from kubelag.model.remedy import Advice
from kubelag.model.units import seconds
from kubelag.model.verdict import Judgement, Source

ID = "name_local_domain"

_ADVICE = Advice(
    id="leave-the-local-domain",
    summary=(
        "give the API server a name outside .local, or an entry in /etc/hosts: multicast DNS owns "
        ".local"
    ),
    commands=("kubectl config view --minify -o 'jsonpath={.clusters[0].cluster.server}'",),
)
_SOURCES = (
    Source(
        title="RFC 6762: multicast DNS, the .local domain",
        url="https://www.rfc-editor.org/rfc/rfc6762#section-3",
    ),
    RESOLV_CONF,
)


class NameLocalDomain:
    """See the module."""

    id = ID
    title = "the server's name ends in .local"

    def judge(self, case: Case) -> Judgement:
        """Look for slow answers for such a name."""
        words = NameCause(
            id=ID, trouble="local", sentence=_sentence, advice=_ADVICE, sources=_SOURCES
        )
        return judge_names(case, words)


def _sentence(story: NameStory) -> str:
    return (
        "the server's name ends in .local, and the name server "
        f"{story.server} took its time over it: {seconds(story.spent_ns)}"
    )
