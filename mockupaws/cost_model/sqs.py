"""SQS requests: each call costs one request for every 64 KiB of its payload, so small lines share one when batched.

With one message a call that is the measured sum(ceil(size / 64 KiB)), exactly. In batches it is measured too (likely):
the lines of each ingest request, in their order, in calls of up to `batch_size`. At least (low) every call is full and
its bytes fill their chunks. Deletes carry no payload.
"""

from __future__ import annotations

from mockupaws.cost_model.architecture import Queue
from mockupaws.cost_model.quantities import Traffic
from mockupaws.cost_model.usage import Range, Usage, calls, ceil_div

CHUNK_BYTES = 64 * 1024


def sqs_usage(traffic: Traffic, queue: Queue) -> list[Usage]:
    batches = calls(traffic.entries, traffic.requests, queue.batch_size)
    by_bytes = ceil_div(traffic.size_bytes, CHUNK_BYTES)
    further = traffic.sqs_blocks - traffic.entries  # chunks beyond the first of its message, in whatever call it is
    least = max(int(batches.low) + further, by_bytes)
    carried = Range.of(least, max(least, _measured(traffic, queue.batch_size)), traffic.sqs_blocks)
    meter = f"sqs.{queue.type}.requests"
    payload = f"64 KiB chunks of {traffic.entries:,} messages in calls of up to {queue.batch_size}, as they arrived"
    return [
        Usage("SQS", "send", meter, carried, payload),
        Usage("SQS", "receive", meter, carried, payload),
        Usage("SQS", "delete", meter, batches, f"{batches.likely:,} calls of up to {queue.batch_size} messages"),
        _empty_receives(traffic, queue, meter),
    ]


def _measured(traffic: Traffic, batch_size: int) -> int:
    """Minutes rolled up before batches were measured have none: their lines count as sent one by one."""
    return traffic.sqs_batched.get(batch_size, traffic.sqs_blocks)


def _empty_receives(traffic: Traffic, queue: Queue, meter: str) -> Usage:
    """low: none. likely: the pollers wait in vain through each minute without traffic. high: all the time."""
    idle = max(traffic.span_seconds - traffic.active_seconds, 0)
    likely = queue.pollers * ceil_div(idle, queue.wait_seconds)
    high = queue.pollers * ceil_div(traffic.span_seconds, queue.wait_seconds)
    formula = f"{queue.pollers:,} pollers × ceil({idle:,} s without traffic / {queue.wait_seconds} s)"
    return Usage("SQS", "empty receives", meter, Range.of(0, likely, high), formula)
