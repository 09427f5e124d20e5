"""The kubeconfig's credential plugin takes long.

What it is
    `users[].user.exec` runs a program before the first request; its answer is kept in memory
    only, so it runs once for every command. Cloud command lines written in Python, logins through
    a browser and look-ups of instance metadata take seconds.

How it is told apart
    A child process named by the kubeconfig runs before the first request is sent; the client's
    log counts it into that request's milliseconds.

What it costs
    The plugin's own run time. The same command with the token that the plugin gave proves it.

Versions
    All.

Sources
    aws/aws-cli issue 5570; int128/kubelogin issue 122; Azure/kubelogin issues 102 and 358.
"""

from kubelag.causes.contract import Case, could_not_look, hidden, unknown
from kubelag.model.remedy import Advice
from kubelag.model.units import seconds, share_of
from kubelag.model.verdict import Fact, Judgement, Source
from kubelag.timeline.factors import CREDENTIAL_PLUGIN

ID = "credential_plugin_slow"

_SOURCES = (
    Source(
        title="a slow exec plugin slows every kubectl command (aws-cli#5570)",
        url="https://github.com/aws/aws-cli/issues/5570",
    ),
)


class CredentialPluginSlow:
    """See the module."""

    id = ID
    title = "the credential plugin is slow"

    def judge(self, case: Case) -> Judgement:
        """Compare the plugin's run time with the wall time."""
        plugin = case.evidence.credential_plugin
        if missing := could_not_look(case, ["kubeconfig"]):
            return unknown(ID, "whether there is a credential plugin was not seen", missing)
        if plugin is None:
            return _ruled_out("the kubeconfig's user has no credential plugin")
        if missing := could_not_look(case, ["processes"]):
            return unknown(ID, f"how long {plugin} ran was not seen", missing)
        spent_ns = case.union_ns(CREDENTIAL_PLUGIN)
        if not spent_ns and _is_sampled(case):
            missing = (f"processes: samples name the interpreter of a script, not {plugin}",)
            return unknown(ID, f"how long {plugin} ran was not seen", missing)
        if not case.is_notable(spent_ns):
            return _ruled_out(f"{plugin} took {seconds(spent_ns)}")
        if not case.is_waited_for(CREDENTIAL_PLUGIN):
            what = f"{plugin} took {seconds(spent_ns)}"
            return hidden(case, ID, what, CREDENTIAL_PLUGIN)
        return _suspected(case, plugin, spent_ns)


def _is_sampled(case: Case) -> bool:
    """Whether processes were only sampled: then a script shows as its interpreter."""
    look = case.evidence.look("processes")
    return look is not None and look.how.startswith("samples")


def _ruled_out(sentence: str) -> Judgement:
    return Judgement(
        cause=ID, standing="ruled_out", sentence=sentence, factors=(CREDENTIAL_PLUGIN,)
    )


def _suspected(case: Case, plugin: str, spent_ns: int) -> Judgement:
    runs = case.attribution.share(CREDENTIAL_PLUGIN).count
    return Judgement(
        cause=ID,
        standing="suspected",
        sentence=(
            f"the credential plugin {plugin} ran {seconds(spent_ns)} before the first request "
            "could be sent, and does so for every command"
        ),
        factors=(CREDENTIAL_PLUGIN,),
        low_ns=case.exclusive_ns(CREDENTIAL_PLUGIN),
        high_ns=spent_ns,
        arithmetic=f"{runs} x {plugin} = {seconds(spent_ns)}",
        facts=(
            Fact(
                text=(
                    f"{plugin} ran {seconds(spent_ns)}, "
                    f"{share_of(spent_ns, case.attribution.wall_ns)} of the wall time"
                ),
                observer="processes",
            ),
            *_waited_by_own_client(case, plugin),
        ),
        experiments=("credential_static",),
        advice=(
            Advice(
                id="faster-credentials",
                summary=(
                    f"time {plugin} by itself; use a faster program (for example "
                    "aws-iam-authenticator for `aws eks get-token`) or one that keeps its token"
                ),
                commands=(),
            ),
        ),
        sources=_SOURCES,
    )


def _waited_by_own_client(case: Case, plugin: str) -> tuple[Fact, ...]:
    """What the plugin took another client, whatever its answer was good for."""
    own = case.evidence.own_request
    spent_ns = own.spent_ns("credential") if own else 0
    if not case.is_notable(spent_ns):
        return ()
    text = f"kubelag's own client waited {seconds(spent_ns)} for {plugin} too"
    return (Fact(text=text, observer="own_request"),)
