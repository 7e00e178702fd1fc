"""Lines of several tenants that come in one batch end in objects of their own, below their tenant's prefix."""

from __future__ import annotations

import io
import uuid

import msgspec
import pyarrow.parquet as pq

from mockupaws.archive.object_key import ObjectKey
from mockupaws.runtime.audit import anchor_key
from mockupaws.sinks.parquet.table import LocatedRequest, build_object, group_requests
from tests.integration.sinks.sink_process import analysed_request

TENANTS = [uuid.UUID(int=number) for number in range(1, 5)]


def test_no_object_holds_lines_of_two_tenants() -> None:
    at = 1_790_000_000_000_000
    requests = [
        # The same scenario id for all: it is the tenant that keeps them apart.
        msgspec.structs.replace(analysed_request([f"of {tenant}"] * 3, received_at_us=at), tenant_id=tenant.bytes)
        for tenant in TENANTS * 2
    ]
    topic_id = uuid.uuid4()
    located = [LocatedRequest(request, "logs.analysed", topic_id, 0, 0) for request in requests]
    objects = [build_object(key, group) for key, group in group_requests(located).items()]
    assert sorted(made.key.tenant_id for made in objects) == TENANTS
    for made in objects:
        name = made.key.format()
        assert name.startswith(f"tenant_id={made.key.tenant_id}/")
        assert ObjectKey.parse(name).tenant_id == made.key.tenant_id
        table = pq.read_table(io.BytesIO(made.content))
        assert table["message"].to_pylist() == [f"of {made.key.tenant_id}"] * 6
        assert set(table["tenant_id"].to_pylist()) <= {made.key.tenant_id, made.key.tenant_id.bytes}


def test_anchors_stand_below_their_tenant() -> None:
    assert anchor_key(TENANTS[0], 7).startswith(f"audit-anchors/{TENANTS[0]}/")
