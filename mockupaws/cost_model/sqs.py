"""SQS requests: each call costs one request for every 64 KiB of its payload, so small lines share one when batched.

With one message a call that is the measured sum(ceil(size / 64 KiB)), exactly. In batches it is measured too (likely):
the lines of each ingest request, in their order, in calls of up to `batch_size`. At least (low) every call is full and
its bytes fill their chunks. Deletes carry no payload. Compression makes the chunks beyond the first of each call fewer,
in proportion: an estimate.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from mockupaws.cost_model.architecture import Architecture, Queue
from mockupaws.cost_model.quantities import Traffic
from mockupaws.cost_model.usage import Range, Usage, attempts, calls, ceil_div, rounded_up

CHUNK_BYTES = 64 * 1024


def sqs_usage(traffic: Traffic, architecture: Architecture) -> list[Usage]:
    queue = architecture.queue
    if not queue.used:
        return []
    batches = calls(traffic.entries, traffic.requests, queue.batch_size)
    carried = _carried(traffic, queue, batches)
    tried = attempts(architecture.function) if architecture.function.used else Decimal(1)
    meter = f"sqs.{queue.type}.requests"
    payload = f"64 KiB chunks of {traffic.entries:,} messages in calls of up to {queue.batch_size}, as they arrived"
    if queue.compressed_share != 1:
        payload += f", compressed to {queue.compressed_share:f}"
    again = f", each received {tried:.4f} times" if tried != 1 else ""
    estimated = queue.compressed_share != 1
    return [
        Usage("SQS", "send", meter, carried, payload, estimated),
        Usage("SQS", "receive", meter, rounded_up(carried.times(tried)), payload + again, estimated),
        Usage("SQS", "delete", meter, batches, f"{batches.likely:,} calls of up to {queue.batch_size} messages"),
        _empty_receives(traffic, queue, meter),
    ]


def _carried(traffic: Traffic, queue: Queue, batches: Range) -> Range:
    """Requests billed for the payload of one pass through the queue."""
    share = queue.compressed_share
    by_bytes = ceil_div(_share_of(traffic.size_bytes, share), CHUNK_BYTES)
    further = _share_of(traffic.sqs_blocks - traffic.entries, share)  # chunks beyond the first of their message
    least = max(int(batches.low) + further, by_bytes)
    measured = traffic.sqs_batched.get(queue.batch_size, traffic.sqs_blocks)  # none: rolled up before it was measured
    beyond = max(measured - int(batches.likely), 0)
    likely = max(least, measured - beyond + _share_of(beyond, share))
    return Range.of(least, likely, max(likely, traffic.entries + further))


def _share_of(count: int, share: Decimal) -> int:
    return int((count * share).to_integral_value(ROUND_CEILING))


def _empty_receives(traffic: Traffic, queue: Queue, meter: str) -> Usage:
    """low: none. likely: the pollers wait in vain through each minute without traffic. high: all the time."""
    idle = max(traffic.span_seconds - traffic.active_seconds, 0)
    cycle_ms = queue.wait_seconds * 1000 + queue.pause_ms
    likely = queue.pollers * ceil_div(idle * 1000, cycle_ms)
    high = queue.pollers * ceil_div(traffic.span_seconds * 1000, cycle_ms)
    seconds = f"{Decimal(cycle_ms) / 1000:f}"
    formula = f"{queue.pollers:,} pollers × ceil({idle:,} s without traffic / {seconds} s)"
    return Usage("SQS", "empty receives", meter, Range.of(0, likely, high), formula)
