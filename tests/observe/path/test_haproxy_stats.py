"""What an HAProxy says on its stats socket."""

from hypothesis import given
from hypothesis import strategies as st

from kubelag.model.path import BalancerCount
from kubelag.observe.path.haproxy_stats import parse_servers_state, parse_sessions, parse_stat

STAT = """# pxname,svname,qcur,stot,econ,wretr,wredis,status,chkdown,type,qtime,ctime,
kube,FRONTEND,,9,,,,OPEN,,0,,,
api,m1,0,5,1,2,1,UP,3,2,4,7,
api,m2,0,4,,,,"no check",,2,,,
api,BACKEND,0,9,1,2,1,UP,0,1,,,
"""
STATE = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_port srvrecord
3 api 1 m1 192.0.2.1 2 0 6443 -
3 api 2 m2 2001:db8::2 0 0 6443 -
3 api 3 m3 - 0 0 0 -
3 api
"""
SESSIONS = """0x5: proto=tcpv4 src=192.0.2.7:40910 fe=kube be=api srv=m1 ts=00 epoch=0 age=0s
0x6: proto=tcpv6 src=2001:db8::7:40911 fe=kube be=api srv=m2 ts=00
0x7: proto=tcpv6 src=::ffff:192.0.2.8:40912 fe=kube be=api srv=m2 ts=00
0x8: proto=unix_stream src=unix:1 fe=GLOBAL be=<NONE> srv=<none> ts=00
0x9: proto=tcpv4 src=192.0.2.9:1 fe=kube be=api srv=<none> ts=00
"""


def test_counters_of_servers_are_read() -> None:
    one, other = parse_stat(STAT, 7)
    assert one == BalancerCount(
        at_ns=7,
        frontend="api",
        server="m1",
        status="UP",
        sessions=5,
        connect_errors=1,
        retries=2,
        redispatches=1,
        queue_ms=4,
        connect_ms=7,
        downs=3,
    )
    assert (other.status, other.sessions, other.connect_errors) == ("no check", 4, 0)


def test_servers_are_read_with_their_sections() -> None:
    found = parse_servers_state(STATE)
    assert [(section, one.name, one.address, one.state) for section, one in found] == [
        ("api", "m1", "192.0.2.1:6443", "UP"),
        ("api", "m2", "[2001:db8::2]:6443", "DOWN"),
    ]


def test_sessions_say_which_server_a_client_was_given() -> None:
    assert parse_sessions(SESSIONS) == {
        "192.0.2.7:40910": "m1",
        "[2001:db8::7]:40911": "m2",
        "192.0.2.8:40912": "m2",
    }


HEADS = st.sampled_from(["", "# pxname,svname,stot\n", "1\n# be_name srv_name srv_addr srv_port\n"])


@given(
    HEADS,
    st.text()
    | st.lists(st.sampled_from(["a", ",", '"', " ", "\n", "\0", "9" * 30, "::1"])).map("".join),
)
def test_any_text_is_no_crash(head: str, text: str) -> None:
    for count in parse_stat(head + text, 1):
        assert count.sessions >= 0
    parse_servers_state(head + text)
    parse_sessions(text)


@given(st.ip_addresses(v=4), st.integers(1, 65535), st.from_regex(r"[a-z0-9]{1,9}", fullmatch=True))
def test_every_session_is_found_again(address: object, port: int, server: str) -> None:
    line = f"0x1: proto=tcpv4 src={address}:{port} fe=f be=b srv={server} ts=1"
    assert parse_sessions(line) == {f"{address}:{port}": server}
