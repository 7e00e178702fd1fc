"""Kafka's DescribeLogDirs request, version 1: how many bytes each partition's log holds. aiokafka 0.14 lacks it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Int64, Schema, String

NO_ERROR = 0
_DESCRIBE_LOG_DIRS = 35


class DescribeLogDirsResponse_v1(Response):  # noqa: N801 - as aiokafka names its versions
    API_KEY = _DESCRIBE_LOG_DIRS
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "log_dirs",
            Array(
                ("error_code", Int16),
                ("path", String("utf-8")),
                (
                    "topics",
                    Array(
                        ("name", String("utf-8")),
                        (
                            "partitions",
                            Array(
                                ("partition", Int32),
                                ("size_bytes", Int64),
                                ("offset_lag", Int64),
                                ("is_future", Boolean),
                            ),
                        ),
                    ),
                ),
            ),
        ),
    )


class DescribeLogDirsRequest_v1(RequestStruct):  # noqa: N801 - as aiokafka names its versions
    API_KEY = _DESCRIBE_LOG_DIRS
    API_VERSION = 1
    RESPONSE_TYPE = DescribeLogDirsResponse_v1
    SCHEMA = Schema(("topics", Array(("name", String("utf-8")), ("partitions", Array(Int32)))))


class LogSizesRequest(Request[DescribeLogDirsRequest_v1]):
    """Asks one broker for the logs it holds of these partitions."""

    API_KEY = _DESCRIBE_LOG_DIRS

    def __init__(self, partitions: Iterable[tuple[str, int]]) -> None:
        by_topic: dict[str, list[int]] = {}
        for topic, partition in partitions:
            by_topic.setdefault(topic, []).append(partition)
        self._topics = list(by_topic.items())

    def build(self, request_struct_class: type[DescribeLogDirsRequest_v1]) -> DescribeLogDirsRequest_v1:
        return request_struct_class(self._topics)


def log_sizes_of(response: Any) -> dict[tuple[str, int], int]:
    """(topic, partition) → bytes; empty where the broker tells nothing (no right to ask)."""
    return {
        (topic, partition): size
        for error_code, _, topics in response.log_dirs
        if error_code == NO_ERROR
        for topic, partitions in topics
        for partition, size, _, is_future in partitions
        if not is_future
    }
