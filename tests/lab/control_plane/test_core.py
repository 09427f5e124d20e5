"""The embedded server without sockets: faults, and what only newer servers have."""

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

from kubelag.errors import LabError
from kubelag.lab.control_plane import inventory
from kubelag.lab.control_plane.builtin import load_builtin
from kubelag.lab.control_plane.core import ApiServer
from kubelag.lab.control_plane.identity import Identity
from kubelag.lab.control_plane.messages import Request, Response, parse_query, wire_headers
from kubelag.lab.control_plane.options import ControlPlaneOptions, Member
from kubelag.lab.control_plane.tokens import READER_GROUP, READER_USER, TokenUser

ADMIN = Identity(user="lab-admin", groups=("system:masters",))
READER = TokenUser(token="of-the-reader", user=READER_USER, groups=(READER_GROUP,))
NOW_S = 1_800_000_000.0
V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
V2BETA1 = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
PLAIN = "application/json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
Ask = Callable[..., Response]


def build(**options: Any) -> ApiServer:
    return ApiServer(
        ControlPlaneOptions(**options),
        load_builtin(),
        tokens=(READER,),
        members=(Member(address="127.0.0.1", port=6443),),
        number=0,
        started_s=NOW_S - 100,
    )


def get(server: ApiServer, path: str, accept: str = "", **headers: str) -> Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = Request(
        method="GET", path=path, headers={"accept": accept} | names, certificate=ADMIN
    )
    return server.respond(request, NOW_S)


def test_the_first_requests_are_rejected_and_health_is_not_counted() -> None:
    server = build(reject_429_count=2, retry_after_s=7)
    seen = [get(server, path) for path in ("/readyz", "/apis", "/livez", "/apis", "/apis")]
    assert [each.status for each in seen] == [200, 429, 200, 429, 200]
    assert ("retry-after", "7") in seen[1].headers
    status = json.loads(seen[1].body)
    assert (status["reason"], status["details"]) == (
        "TooManyRequests",
        {"retryAfterSeconds": 7},
    )


def test_every_so_many_th_request_is_rejected_for_ever() -> None:
    server = build(reject_429_every=3)
    seen = [get(server, path).status for path in ("/livez", *("/apis",) * 9)]
    assert seen == [200, *(200, 200, 429) * 3]


def test_the_first_and_every_so_many_th_can_be_rejected_together() -> None:
    server = build(reject_429_count=1, reject_429_every=3)
    assert [get(server, "/apis").status for _ in range(6)] == [429, 200, 429, 200, 200, 429]


def read(server: ApiServer, path: str, token: str = READER.token, query: str = "") -> Response:
    """As the reader; the query as it stands in the address."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    request = Request(method="GET", path=path, query=parse_query(query), headers=headers)
    return server.respond(request, NOW_S)


def test_only_a_token_has_to_be_asked_about() -> None:
    server = build(authentication_latency_s=2.0)
    for path in ("/livez", "/apis", "/api/v1/nodes"):
        assert read(server, path).delay_s == 2.0
        assert read(server, path, token="").delay_s == 0
        assert get(server, path).delay_s == 0
        # a certificate settles it, whatever else is shown
        assert get(server, path, authorization="Bearer of-the-reader").delay_s == 0


def test_a_wrong_token_is_found_out_as_slowly() -> None:
    answer = read(build(authentication_latency_s=2.0, queue_latency_s=4.0), "/apis", token="wrong")
    assert (answer.status, answer.delay_s) == (401, 2.0)


def test_everybody_waits_in_the_queue_but_masters_and_health_checks() -> None:
    server = build(queue_latency_s=2.0)
    assert read(server, "/apis").delay_s == 2.0
    assert read(server, "/version", token="").delay_s == 2.0
    assert get(server, "/apis").delay_s == 0
    for path in ("/livez", "/readyz", "/healthz"):
        assert read(server, path).delay_s == 0


@pytest.mark.parametrize(
    ("path", "query", "is_slow"),
    [
        ("/api/v1/nodes", "", True),
        ("/api/v1/nodes", "limit=500", True),
        ("/api/v1/nodes", "resourceVersion=0", False),
        ("/api/v1/nodes", "resourceVersion=0&limit=500", False),
        ("/api/v1/nodes", "resourceVersion=1000", False),
        ("/api/v1/nodes", "resourceVersion=1000&limit=2", True),
        ("/api/v1/nodes", "resourceVersion=1000&resourceVersionMatch=Exact", True),
        ("/api/v1/nodes/node1", "", True),
        ("/api/v1/nodes/node1", "resourceVersion=0", False),
        ("/api/v1/nodes/missing", "", True),
        ("/apis/g0.example.com/v1/things0", "", True),
        ("/api", "", False),
        ("/apis", "", False),
        ("/apis/apps/v1", "", False),
        ("/version", "", False),
        ("/livez", "", False),
    ],
)
def test_a_slow_store_is_felt_where_the_watch_cache_cannot_answer(
    path: str, query: str, is_slow: bool
) -> None:
    answer = read(build(storage_latency_s=2.0), path, query=query)
    assert answer.delay_s == (2.0 if is_slow else 0)


def test_who_is_turned_away_does_not_wait_for_what_lies_behind() -> None:
    server = build(queue_latency_s=1.0, storage_latency_s=2.0)
    answer = read(server, "/api/v1/nodes", token="")
    assert (answer.status, answer.delay_s) == (403, 1.0)


def test_what_is_slow_on_the_way_adds_up() -> None:
    server = build(
        authentication_latency_s=1.0, queue_latency_s=2.0, storage_latency_s=4.0, latency_s=8.0
    )
    assert read(server, "/api/v1/nodes").delay_s == 15.0


def test_a_group_that_hangs_is_cut_off_in_the_end() -> None:
    server = build(hanging_group_versions=("custom.metrics.k8s.io/v1beta1",), hang_s=3.0)
    root = "/apis/custom.metrics.k8s.io"
    answer = get(server, f"{root}/v1beta1")
    assert (answer.status, answer.delay_s) == (503, 3.0)
    assert get(server, f"{root}/v1beta1/things").delay_s == 3.0
    # the aggregator itself knows the group
    assert (get(server, root).status, get(server, root).delay_s) == (200, 0)
    assert get(server, "/apis/apps/v1").delay_s == 0
    assert get(build(hanging_group_versions=("a.b/v1",)), "/apis/a.b/v1").delay_s == 5.0


@pytest.mark.parametrize(("upgrade", "status"), [("WebSocket", 403), ("SPDY/3.1", 400), ("", 400)])
def test_exec_grants_no_stream(upgrade: str, status: int) -> None:
    path = "/api/v1/namespaces/default/pods/pod1/exec"
    answer = get(build(is_websocket_refused=True), path, upgrade=upgrade)
    assert answer.status == status
    assert json.loads(answer.body)["kind"] == "Status"
    assert get(build(), path, upgrade=upgrade).status == 405


def test_only_the_websocket_waits_for_its_refusal() -> None:
    server = build(is_websocket_refused=True, websocket_refusal_s=0.6)
    path = "/api/v1/namespaces/default/pods/pod1/exec"
    waits = {name: get(server, path, upgrade=name).delay_s for name in ("websocket", "SPDY/3.1")}
    assert waits == {"websocket": 0.6, "SPDY/3.1": 0.0}
    assert get(server, "/api/v1/nodes").delay_s == 0


def test_the_reader_reads_and_nothing_else() -> None:
    server = build()
    headers = {"authorization": f"Bearer {READER.token}"}
    path = "/api/v1/namespaces/default/pods/pod1"
    for method, status in (("GET", 200), ("DELETE", 403), ("PUT", 403)):
        request = Request(method=method, path=path, headers=headers)
        assert server.respond(request, NOW_S).status == status
    assert read(server, "/nope").status == 403


def test_servers_of_a_cluster_name_flow_schemas_by_the_same_identifiers() -> None:
    one, other = get(build(), "/apis"), get(build(), "/apis")
    assert one.flow_control == other.flow_control
    assert read(build(), "/apis").flow_control != one.flow_control


def test_endpoints_of_different_ports_are_told_apart() -> None:
    members = [Member(address=f"192.0.2.{n}", port=port) for n, port in enumerate((6443, 1, 6443))]
    subsets = inventory.kubernetes_endpoints(members)["subsets"]
    assert [
        ([address["ip"] for address in subset["addresses"]], subset["ports"][0]["port"])
        for subset in subsets
    ] == [(["192.0.2.1"], 1), (["192.0.2.0", "192.0.2.2"], 6443)]
    slices = list(inventory.kubernetes_slices(members))
    assert [item["metadata"]["name"] for item in slices] == ["kubernetes", "kubernetes-1"]


def test_a_cell_names_three_endpoints_and_counts_the_rest() -> None:
    server = ApiServer(
        ControlPlaneOptions(),
        load_builtin(),
        tokens=(),
        members=[Member(address=f"fd00::{n}", port=6443) for n in range(1, 6)],
        number=4,
        started_s=NOW_S,
    )
    cells = json.loads(get(server, "/api/v1/endpoints", TABLE).body)["rows"][0]["cells"]
    assert cells[1] == "[fd00::1]:6443,[fd00::2]:6443,[fd00::3]:6443 + 2 more..."
    listed = json.loads(get(server, "/apis/discovery.k8s.io/v1beta1/endpointslices", TABLE).body)
    cells = listed["rows"][0]["cells"]
    assert cells[1:4] == ["IPv6", "6443", "fd00::1,fd00::2,fd00::3 + 2 more..."]
    legacy = json.loads(get(server, "/api").body)
    assert legacy["serverAddressByClientCIDRs"][0]["serverAddress"] == "[fd00::5]:6443"


def test_latency_is_added_to_all_but_health() -> None:
    server = build(latency_s=0.5, latency_by_prefix={"/apis/g1": 2.0, "/apis/g1.": 3.0})
    assert get(server, "/livez").delay_s == 0
    assert get(server, "/apis").delay_s == 0.5
    assert get(server, "/apis/g1.example.com/v1").delay_s == 3.5


def test_a_path_can_be_made_to_fail() -> None:
    server = build(status_by_prefix={"/apis/batch": 503})
    assert get(server, "/apis/batch/v1").status == 503
    assert get(server, "/apis/apps/v1").status == 200


def test_a_group_whose_server_is_down_is_listed_and_answers_503() -> None:
    server = build(unavailable_group_versions=("metrics.example.com/v1beta1",), aggregated="v2")
    listed = json.loads(get(server, "/apis").body)["groups"]
    assert "metrics.example.com" in {group["name"] for group in listed}
    answer = get(server, "/apis/metrics.example.com/v1beta1")
    assert (answer.status, answer.body) == (503, b"service unavailable\n")
    assert get(server, "/apis/metrics.example.com/v1beta1/nodes").status == 503
    items = json.loads(get(server, "/apis", V2).body)["items"]
    stale = next(item for item in items if item["metadata"]["name"] == "metrics.example.com")
    assert stale["versions"] == [{"version": "v1beta1", "freshness": "Stale"}]


def test_an_empty_group_has_a_document_without_resources() -> None:
    server = build(empty_group_versions=("external.metrics.k8s.io/v1beta1",))
    answer = get(server, "/apis/external.metrics.k8s.io/v1beta1")
    assert json.loads(answer.body)["resources"] == []


@pytest.mark.parametrize(
    ("served", "accept", "given"),
    [
        ("none", f"{V2},{V2BETA1},{PLAIN}", PLAIN),
        ("v2", f"{V2BETA1},{PLAIN}", PLAIN),
        ("v2beta1", f"{V2},{V2BETA1},{PLAIN}", V2BETA1),
        ("both", f"{V2},{V2BETA1},{PLAIN}", V2),
        (
            "both",
            "application/json;as=APIGroupDiscoveryList;v=v2beta1;g=apidiscovery.k8s.io",
            V2BETA1,
        ),
        ("both", PLAIN, PLAIN),
        ("both", "", PLAIN),
    ],
)
def test_the_first_format_that_both_sides_know_is_sent(
    served: str, accept: str, given: str
) -> None:
    answer = get(build(aggregated=served), "/apis", accept)
    assert answer.content_type == given


@pytest.mark.parametrize("path", ["/api", "/apis"])
def test_an_aggregated_document_can_be_cached_and_revalidated(path: str) -> None:
    server = build(aggregated="both")
    first = get(server, path, V2)
    headers = dict(first.headers)
    assert (headers["vary"], first.cache_control) == ("Accept", "public")
    again = get(server, path, V2, if_none_match=headers["etag"])
    assert (again.status, again.body, again.headers) == (304, b"", first.headers)
    assert get(server, path, V2, if_none_match='"other"').status == 200


def test_legacy_documents_are_not_revalidated() -> None:
    answer = get(build(aggregated="both"), "/apis", PLAIN, if_none_match="*")
    assert (answer.status, answer.cache_control) == (200, "no-cache, private")


def test_aggregated_discovery_holds_what_the_legacy_documents_hold() -> None:
    server = build(aggregated="v2")
    for path, prefix in (("/api", "/api"), ("/apis", "/apis/{}")):
        for group in json.loads(get(server, path, V2).body)["items"]:
            for version in group["versions"]:
                name = group["metadata"].get("name", "")
                legacy = get(server, f"{prefix.format(name)}/{version['version']}")
                expected = json.loads(legacy.body)["resources"]
                assert _flat(version) == {item["name"]: item["verbs"] for item in expected}


def _flat(version: dict[str, Any]) -> dict[str, Any]:
    flat = {}
    for resource in version.get("resources", ()):
        flat[resource["resource"]] = resource["verbs"]
        for sub in resource.get("subresources", ()):
            flat[f"{resource['resource']}/{sub['subresource']}"] = sub["verbs"]
    return flat


def test_a_stored_subresource_answers_with_its_own_kind() -> None:
    items = json.loads(get(build(aggregated="v2"), "/apis", V2).body)["items"]
    apps = next(item for item in items if item["metadata"]["name"] == "apps")
    deployments = next(
        item for item in apps["versions"][0]["resources"] if item["resource"] == "deployments"
    )
    assert deployments["singularResource"] == "deployment"
    scale = next(sub for sub in deployments["subresources"] if sub["subresource"] == "scale")
    assert scale["responseKind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}


@pytest.mark.parametrize("total", [37, 77, 300])
def test_custom_groups_fill_up_to_the_total(total: int) -> None:
    groups = json.loads(get(build(group_versions=total), "/apis").body)["groups"]
    assert 1 + sum(len(group["versions"]) for group in groups) == total


def test_fewer_group_versions_than_are_built_in_cannot_be_had() -> None:
    with pytest.raises(LabError, match="37 group-versions by itself"):
        build(group_versions=36)


def test_nothing_can_be_written() -> None:
    server = build()
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        request = Request(
            method=method, path="/api/v1/namespaces/default/pods/pod1", certificate=ADMIN
        )
        assert server.respond(request, NOW_S).status == 405


def test_a_cluster_may_be_empty_or_large() -> None:
    empty = build(nodes=0, pods=0, custom_objects=0, resources_per_group=0)
    assert json.loads(get(empty, "/api/v1/nodes").body)["items"] == []
    large = build(nodes=1000, pods=3000, namespaces=5)
    assert len(json.loads(get(large, "/api/v1/pods").body)["items"]) == 3000
    assert len(json.loads(get(large, "/api/v1/namespaces").body)["items"]) == 9


def test_large_bodies_are_compressed_for_those_who_can() -> None:
    request = Request(method="GET", path="/x", headers={"accept-encoding": "gzip"})
    body = b"x" * (128 * 1024 + 1)
    headers, sent = wire_headers(request, Response(status=200, body=body))
    assert ("content-encoding", "gzip") in headers
    assert gzip.decompress(sent) == body
    _, as_is = wire_headers(request, Response(status=200, body=body[:-1]))
    assert as_is == body[:-1]


@pytest.mark.parametrize(("is_http2", "longest"), [(True, 4096), (False, 2048)])
def test_a_length_is_told_as_go_does(is_http2: bool, longest: int) -> None:
    request = Request(method="GET", path="/x", is_http2=is_http2)
    for length, is_told in ((longest, True), (longest + 1, False)):
        headers, _ = wire_headers(request, Response(status=200, body=b"x" * length))
        assert ("content-length" in dict(headers)) is is_told


def test_ages_are_told_from_the_start_of_the_server() -> None:
    table = get(build(), "/api/v1/nodes", TABLE)
    assert json.loads(table.body)["rows"][0]["cells"][3] == "100s"
