"""What aiokafka's own builder of batches makes, so that a release of it that ignores our level is seen."""

from __future__ import annotations

import cramjam
import pytest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from mockupaws.runtime import kafka_compression

RECORDS = [
    b"".join(b"job %d finished: %d rows in %d s, " % (n, n * 7919 % 1000, n % 60) for n in range(k, k + 200))
    for k in range(9)
]


def _batch() -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=DefaultRecordBatch.CODEC_ZSTD,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 20,
    )
    for offset, value in enumerate(RECORDS):
        builder.append(offset, timestamp=1, key=None, value=value, headers=[])
    return bytes(builder.build())


@pytest.mark.parametrize("level", [1, 3])
def test_batches_are_made_at_the_level_and_read_as_they_were_written(
    level: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_compression, "LEVEL", level)
    kafka_compression.compress_fast()
    made = _batch()
    assert [record.value for record in MemoryRecords(made).next_batch()] == RECORDS
    payload = made[made.index(b"\x28\xb5\x2f\xfd") :]  # where zstd's frame begins
    assert payload == bytes(cramjam.zstd.compress(bytes(cramjam.zstd.decompress(payload)), level=level))
