"""SQS requests: each call costs one request for every 64 KiB of its payload, so small lines share one when batched.

With one message a call that is the measured sum(ceil(size / 64 KiB)), exactly. In batches a call costs at least 1 and
at least its bytes / 64 KiB; what lines above 64 KiB need beyond their first chunk stays. Deletes carry no payload.
"""

from __future__ import annotations

from mockupaws.cost_model.architecture import Queue
from mockupaws.cost_model.quantities import Traffic
from mockupaws.cost_model.usage import Range, Usage, calls, ceil_div

CHUNK_BYTES = 64 * 1024


def sqs_usage(traffic: Traffic, queue: Queue) -> list[Usage]:
    batches = calls(traffic.entries, traffic.requests, queue.batch_size)
    extra = traffic.sqs_blocks - traffic.entries
    by_bytes = ceil_div(traffic.size_bytes, CHUNK_BYTES)
    carried = Range.of(
        max(int(batches.low) + extra, by_bytes), max(int(batches.likely) + extra, by_bytes), traffic.sqs_blocks
    )
    meter = f"sqs.{queue.type}.requests"
    payload = (
        f"max({batches.likely:,} calls of up to {queue.batch_size} messages + {extra:,} further 64 KiB chunks, "
        f"ceil({traffic.size_bytes:,} B / 64 KiB))"
    )
    return [
        Usage("SQS", "send", meter, carried, payload),
        Usage("SQS", "receive", meter, carried, payload),
        Usage("SQS", "delete", meter, batches, f"{batches.likely:,} calls of up to {queue.batch_size} messages"),
        _empty_receives(traffic, queue, meter),
    ]


def _empty_receives(traffic: Traffic, queue: Queue, meter: str) -> Usage:
    """low: none. likely: the pollers wait in vain through each minute without traffic. high: all the time."""
    idle = max(traffic.span_seconds - traffic.active_seconds, 0)
    likely = queue.pollers * ceil_div(idle, queue.wait_seconds)
    high = queue.pollers * ceil_div(traffic.span_seconds, queue.wait_seconds)
    formula = f"{queue.pollers:,} pollers × ceil({idle:,} s without traffic / {queue.wait_seconds} s)"
    return Usage("SQS", "empty receives", meter, Range.of(0, likely, high), formula)
