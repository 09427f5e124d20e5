"""Reports as the engine builds them, one for each thing that a report must be able to say."""

from dataclasses import replace

from kubelag.model.remedy import Advice
from kubelag.model.report import (
    CacheLine,
    CommandLine,
    CouldNotLook,
    FactorLine,
    ObserverLine,
    Proof,
    ProofArm,
    Report,
    RuledOut,
    VerdictLine,
    WayLine,
)
from kubelag.model.verdict import Fact, Source

WHO = {"kubelag_version": "0.1.0", "started_at": "2026-11-23T12:04:11+00:00", "host": "master-2"}

OLD = CommandLine(
    argv=("kubectl", "get", "nodes"),
    exit_code=0,
    signal=None,
    interrupted=False,
    cold=True,
    repeatable=True,
    client="kubectl 1.20.2",
    client_path="/usr/local/bin/kubectl",
    wrappers=(),
    stderr_tail="",
)
NEW = replace(OLD, client="kubectl 1.36.4", client_path="/opt/kubernetes/bin/kubectl")

FIX = Source(
    title="the fix, in 1.25.0: checksums instead of syncs (kubernetes#110851)",
    url="https://github.com/kubernetes/kubernetes/pull/110851",
)
ISSUE = Source(
    title="kubectl is slow: it syncs every cache file (kubernetes#110753)",
    url="https://github.com/kubernetes/kubernetes/issues/110753",
)
IN_MEMORY = Advice(
    id="cache-in-memory",
    summary="Link kubectl's cache directory to a private directory in memory",
    commands=("kubelag fix plan cache-in-memory", "kubelag fix apply cache-in-memory"),
    undo="kubelag fix undo cache-in-memory",
)
UPGRADE = Advice(
    id="upgrade-client",
    summary="Use kubectl 1.25.0 or newer, which does not sync its cache",
    commands=("kubelag fix plan upgrade-client",),
)
NO_SYNC = Advice(
    id="no-sync-launcher",
    summary="Run this one command with its disk syncs turned into no-ops",
    commands=("kubelag run --no-sync -- kubectl get nodes",),
)
CACHE = CacheLine(
    root="/root/.kube/cache",
    rule="HOME",
    state="cold",
    fresh_until=None,
    file_system="ext4",
    device="loop0",
    sentence="The cache is /root/.kube/cache, ext4 on loop0; entries live 10 minutes",
)
STRACE = ObserverLine(kind="strace --seccomp-bpf, narrow", events=1243, lost=0, overhead_s=0.031)
INNOCENT = (
    RuledOut(
        cause="cpu_throttled", sentence="the CPU quota stopped the command in 0 of 102 periods"
    ),
    RuledOut(cause="cpu_contended", sentence="41 ms of waiting for a processor; CPU 7 % busy"),
    RuledOut(cause="memory_pressure", sentence="no stall; 6.2 of 7.8 GB available"),
    RuledOut(cause="api_server_slow", sentence="238 answers, the slowest header after 38 ms"),
)


def line(name: str, title: str, *seconds: float, wall_s: float, count: int = 0) -> FactorLine:
    """A factor from its exclusive, critical and union seconds."""
    exclusive_s, critical_s, union_s = seconds
    return FactorLine(
        id=name,
        title=title,
        exclusive_s=exclusive_s,
        union_s=union_s,
        critical_s=critical_s,
        share=critical_s / wall_s,
        count=count,
    )


def arm(name: str, *walls_s: float) -> ProofArm:
    """An arm with its median."""
    return ProofArm(name=name, median_s=sorted(walls_s)[len(walls_s) // 2], walls_s=walls_s)


INCIDENT = Report(
    **WHO,
    command=OLD,
    wall_s=10.214,
    expected_s=0.204,
    expected_why="the median of 3 runs with the cache in memory",
    headline=(
        "kubectl 1.20.2 syncs every discovery cache entry to disk, one after another: 235 fsyncs "
        "of 42.0 ms each (median) on ext4 on loop0; fixed in kubectl 1.25.0"
    ),
    factors=(
        line(
            "cache_fsync",
            "syncing cache entries to disk",
            *(9.412, 9.731, 9.874),
            wall_s=10.214,
            count=235,
        ),
        line(
            "discovery_requests",
            "waiting for discovery answers",
            *(0.061, 0.214, 0.466),
            wall_s=10.214,
            count=78,
        ),
        line("client_cpu", "computing in the client", 0.142, 0.142, 0.142, wall_s=10.214),
        line(
            "target_requests",
            "waiting for the answer itself",
            *(0.012, 0.012, 0.012),
            wall_s=10.214,
            count=1,
        ),
    ),
    unexplained_s=0.115,
    unexplained_share=0.115 / 10.214,
    incomplete=False,
    verdicts=(
        VerdictLine(
            cause="discovery_cache_fsync",
            verdict="proven",
            sentence=(
                "kubectl 1.20.2 syncs every discovery cache entry to disk, one after another: 235 "
                "fsyncs of 42.0 ms each (median) on ext4 on loop0; fixed in kubectl 1.25.0"
            ),
            predicted_saving_s=(9.412, 9.874),
            arithmetic="235 fsyncs x 42.0 ms (median) = 9.87 s predicted",
            proof=Proof(
                experiment="fsync_suppressed",
                saving_s=8.76,
                ci95_s=(8.61, 8.93),
                pairs=3,
                arms=(
                    arm("unchanged", 10.19, 10.14, 10.31),
                    arm("unchanged_again", 10.22, 10.08, 10.17),
                    arm("placebo", 10.16, 10.25, 10.2),
                    arm("fsync_suppressed", 1.41, 1.39, 1.46),
                    arm("cache_on_memory", 0.204, 0.201, 0.211),
                ),
                same_against_same_s=(-0.061, 0.143),
                placebo_s=(-0.112, 0.11),
                knock_on_s=0.94,
                sentence=(
                    "With fsync made a no-op for this process tree the same command took 1.41 s; "
                    "0.94 s moved to renames that wait for the ext4 journal"
                ),
            ),
            evidence=(
                Fact(
                    text=(
                        "235 fsyncs below /root/.kube/cache took 9.87 s, 97 % of the wall time; "
                        "never two at once"
                    ),
                    observer="syscalls",
                ),
                Fact(
                    text="loop0 needed 21.4 ms per write at 23 writes/s (IOPS and throughput low)",
                    observer="host",
                ),
            ),
            sources=(ISSUE, FIX),
            remedies=("cache-in-memory", "upgrade-client", "no-sync-launcher"),
        ),
    ),
    ruled_out=INNOCENT,
    could_not_look=(),
    remedies=(IN_MEMORY, UPGRADE, NO_SYNC),
    observer=STRACE,
    cache=CACHE,
)

JOURNAL = Report(
    **WHO,
    command=NEW,
    wall_s=1.231,
    expected_s=0.192,
    expected_why="the median of 5 runs with the cache in memory",
    headline=(
        "kubectl 1.36.4 waits for the file system of its cache: one renameat took 1.01 s on ext4 "
        "on loop0, waiting for the journal"
    ),
    factors=(
        line(
            "cache_files",
            "opening, renaming and closing cache files",
            *(1.018, 1.021, 1.044),
            wall_s=1.231,
            count=612,
        ),
        line("client_cpu", "computing in the client", 0.121, 0.121, 0.121, wall_s=1.231),
        line(
            "discovery_requests",
            "waiting for discovery answers",
            *(0.021, 0.03, 0.052),
            wall_s=1.231,
            count=3,
        ),
    ),
    unexplained_s=0.059,
    unexplained_share=0.059 / 1.231,
    incomplete=False,
    verdicts=(
        VerdictLine(
            cause="cache_metadata_slow",
            verdict="proven",
            sentence="kubectl 1.36.4 waits for the file system of its cache",
            predicted_saving_s=(1.018, 1.044),
            arithmetic="611 calls x 0.04 ms + 1 renameat of 1.01 s = 1.04 s predicted",
            proof=Proof(
                experiment="cache_on_memory",
                saving_s=1.041,
                ci95_s=(0.988, 1.102),
                pairs=5,
                arms=(
                    arm("unchanged", 1.23, 1.19, 1.26, 1.22, 1.25),
                    arm("unchanged_again", 1.21, 1.24, 1.2, 1.27, 1.23),
                    arm("placebo", 1.25, 1.22, 1.19, 1.24, 1.23),
                    arm("cache_on_memory", 0.192, 0.188, 0.201, 0.194, 0.189),
                ),
                same_against_same_s=(-0.042, 0.031),
                placebo_s=(-0.038, 0.051),
                knock_on_s=0.0,
                sentence="With the cache in memory the same command took 192 ms",
            ),
            evidence=(
                Fact(text="the slowest renameat took 1.01 s", observer="syscalls"),
                Fact(text="loop0 needed 20.9 ms per write", observer="host"),
            ),
            sources=(
                Source(
                    title="ext4 journal: a rename can wait for a commit",
                    url="https://www.kernel.org/doc/html/latest/filesystems/ext4/journal.html",
                ),
            ),
            remedies=("cache-in-memory",),
        ),
    ),
    ruled_out=(
        RuledOut(
            cause="discovery_cache_fsync", sentence="kubectl 1.36.4 made 0 syncs in its cache"
        ),
        *INNOCENT,
    ),
    could_not_look=(),
    remedies=(IN_MEMORY,),
    observer=replace(STRACE, kind="tracefs instance, every file call", overhead_s=-0.004),
    cache=replace(CACHE, sentence="The cache is /root/.kube/cache, ext4 on loop0"),
)

HEALTHY = Report(
    **WHO,
    command=replace(OLD, cold=False),
    wall_s=0.141,
    expected_s=0.139,
    expected_why="the median of 5 runs",
    headline="Nothing slow was found in this run: the cache is warm until 12:11:40 UTC",
    factors=(
        line("client_cpu", "computing in the client", 0.088, 0.088, 0.088, wall_s=0.141),
        line(
            "target_requests",
            "waiting for the answer itself",
            *(0.031, 0.031, 0.031),
            wall_s=0.141,
            count=1,
        ),
        line(
            "cache_files", "opening, renaming and closing cache files", *(0.004,) * 3, wall_s=0.141
        ),
    ),
    unexplained_s=0.018,
    unexplained_share=0.018 / 0.141,
    incomplete=False,
    verdicts=(),
    ruled_out=(
        RuledOut(
            cause="discovery_cache_fsync", sentence="kubectl 1.20.2 made 0 syncs in its cache"
        ),
        RuledOut(
            cause="cache_metadata_slow", sentence="132 file calls on cache files took 4.00 ms"
        ),
        *INNOCENT[:3],
    ),
    could_not_look=(),
    remedies=(),
    observer=replace(STRACE, events=164, overhead_s=0.012),
    cache=replace(
        CACHE,
        state="warm",
        fresh_until="2026-11-23T12:11:40+00:00",
        sentence="The cache /root/.kube/cache (ext4 on loop0) is warm until 12:11:40 UTC",
    ),
    notes=(
        (
            "The next run after that will fill the cache again; kubelag explain --cold kubectl get "
            "nodes explains that run now"
        ),
    ),
)

CREDENTIAL = Report(
    **WHO,
    command=replace(NEW, cold=False, wrappers=("/usr/bin/kubectl",)),
    wall_s=2.412,
    expected_s=None,
    headline="the credential plugin aws-login took 2.09 s of 2.41 s before the first request",
    factors=(
        line(
            "credential_plugin",
            "waiting for the credential plugin",
            *(2.088, 2.091, 2.094),
            wall_s=2.412,
            count=1,
        ),
        line("client_cpu", "computing in the client", 0.131, 0.131, 0.131, wall_s=2.412),
        line(
            "wrapper",
            "in a wrapper, before the real client",
            *(0.102, 0.102, 0.102),
            wall_s=2.412,
            count=1,
        ),
    ),
    unexplained_s=0.088,
    unexplained_share=0.088 / 2.412,
    incomplete=False,
    verdicts=(
        VerdictLine(
            cause="credential_plugin_slow",
            verdict="likely",
            sentence="the credential plugin aws-login takes 2.09 s for every command",
            predicted_saving_s=(2.088, 2.094),
            arithmetic="1 run x 2.09 s = 2.09 s predicted",
            proof=None,
            evidence=(Fact(text="aws-login ran for 2.09 s", observer="process_tree"),),
            sources=(
                Source(
                    title="client-go credential plugins",
                    url="https://kubernetes.io/docs/reference/access-authn-authz/authentication/"
                    "#client-go-credential-plugins",
                ),
            ),
            remedies=(),
        ),
        VerdictLine(
            cause="cpu_contended",
            verdict="contributing",
            sentence="other programs kept the processors 81 % busy",
            predicted_saving_s=(0.031, 0.22),
            arithmetic="",
            proof=None,
            evidence=(),
            sources=(),
            remedies=(),
        ),
        VerdictLine(
            cause="cpu_throttled",
            verdict="unknown",
            sentence="whether a CPU quota stopped the command was not seen",
            predicted_saving_s=(0.0, 0.0),
            arithmetic="",
            proof=None,
            evidence=(
                Fact(text="host: no cpu.stat in the command's control group", observer="host"),
            ),
            sources=(),
            remedies=(),
        ),
    ),
    ruled_out=INNOCENT[2:],
    could_not_look=(),
    remedies=(
        Advice(
            id="credential-cache",
            summary="Let the plugin keep its token between commands",
            commands=("aws-login --cache-token",),
        ),
    ),
    observer=replace(STRACE, overhead_s=None),
    cache=None,
    notes=("The experiment credential_static was not run: the plugin gave no token to reuse",),
)

DELETE = replace(
    INCIDENT,
    command=replace(OLD, argv=("kubectl", "delete", "pod", "web 1"), cold=False, repeatable=False),
    wall_s=10.214,
    expected_s=None,
    expected_why="",
    headline=f"Likely: {INCIDENT.headline}",
    verdicts=(replace(INCIDENT.verdicts[0], verdict="likely", proof=None),),
    remedies=(IN_MEMORY, UPGRADE),
    observer=replace(STRACE, overhead_s=None),
    notes=("kubectl delete is not known to change nothing, so it is never run again",),
)

INTERRUPTED = replace(
    INCIDENT,
    command=replace(
        OLD,
        cold=False,
        exit_code=None,
        signal=2,
        interrupted=True,
        stderr_tail="Unable to connect to the server: dial tcp 10.0.0.1:6443: i/o timeout\n",
    ),
    wall_s=34.2,
    expected_s=None,
    expected_why="",
    headline="No cause was found before the command was stopped",
    factors=(
        line(
            "discovery_requests",
            "waiting for discovery answers",
            *(33.9, 33.9, 33.9),
            wall_s=34.2,
            count=2,
        ),
        line("client_cpu", "computing in the client", 0.11, 0.11, 0.11, wall_s=34.2),
    ),
    unexplained_s=0.19,
    unexplained_share=0.19 / 34.2,
    verdicts=(),
    remedies=(),
    observer=replace(STRACE, events=97, lost=3, overhead_s=None),
)

BLIND = replace(
    INCIDENT,
    expected_s=None,
    expected_why="",
    headline="No cause was found, but not everything could be looked at",
    factors=(
        line("client_cpu", "computing in the client", 0.142, 0.142, 0.142, wall_s=10.214),
        line(
            "discovery_requests",
            "waiting for discovery answers",
            *(0.061, 0.061, 0.061),
            wall_s=10.214,
            count=78,
        ),
    ),
    unexplained_s=10.011,
    unexplained_share=10.011 / 10.214,
    incomplete=True,
    verdicts=(
        VerdictLine(
            cause="discovery_cache_fsync",
            verdict="unknown",
            sentence="whether the client synced its cache was not seen",
            predicted_saving_s=(0.0, 0.0),
            arithmetic="",
            proof=None,
            evidence=(Fact(text="syscalls: strace is not installed", observer="syscalls"),),
            sources=(),
            remedies=(),
        ),
    ),
    could_not_look=(
        CouldNotLook(
            observer="syscalls",
            why="strace is not installed; apt-get install strace, then explain it again",
        ),
    ),
    remedies=(),
    observer=ObserverLine(kind="debug log and host samples", events=241, lost=0, overhead_s=None),
)

UNEXPLAINED = replace(
    JOURNAL,
    wall_s=5.02,
    expected_s=None,
    expected_why="",
    headline="No cause was found for most of the time",
    factors=(
        line("client_cpu", "computing in the client", 1.204, 1.204, 1.204, wall_s=5.02),
        line("dns", "looking up names", 0.004, 0.004, 0.004, wall_s=5.02, count=2),
    ),
    unexplained_s=3.812,
    unexplained_share=3.812 / 5.02,
    incomplete=True,
    verdicts=(),
    remedies=(),
    errors=("the cause memory_pressure crashed: ZeroDivisionError: division by zero",),
)

ROAD = replace(
    INCIDENT,
    way=(
        WayLine(
            hop="DNS 10.77.0.53:53",
            sentence="A 10.77.0.10 in 0.41 ms, AAAA has no address in 0.38 ms",
        ),
        WayLine(
            hop="VIP/balancer 10.77.0.10:8443",
            sentence=(
                "connect 0.08–0.11 ms, TLS 1.90–2.40 ms, answer 0.70–1.20 ms, "  # noqa: RUF001 - en dashes mean ranges
                "round trip 0.05 ms, cwnd 10 segments, path MTU 1,500 bytes, h2"
            ),
        ),
        WayLine(
            hop="3 certificates",
            sentence="for api.example.com, 10.77.0.10 and 4 more, the first ends 2027-11-23",
        ),
        WayLine(
            hop="API server master2",
            sentence="10.77.0.12:6443: 2 of 2 tries failed: no answer within 3.3 s",
            is_well=False,
        ),
        WayLine(hop="this run", sentence="1 connection, 0 of 412 segments sent again"),
    ),
    silences=("the line was silent for 9.62 s while the client itself had to speak (5 pauses)",),
)

SAMPLES = {
    "road": ROAD,
    "incident": INCIDENT,
    "journal": JOURNAL,
    "healthy": HEALTHY,
    "credential": CREDENTIAL,
    "delete": DELETE,
    "interrupted": INTERRUPTED,
    "blind": BLIND,
    "unexplained": UNEXPLAINED,
}
