"""2. Kafka to Kafka (Faust): finds, redacts and measures what each line holds.

Reads from: topic `ingest.requests`; its own copy of the redaction policies in Postgres. Writes to: `logs.analysed`,
and what it cannot process to `ingest.dead_letters`.
Promises: each source record is answered by at least one record in the same partition before its offset is committed;
nothing behind this step holds personal data in the clear, but the dead letters' original bytes.
Only `worker.py` and `analyse_requests.py` know Faust; the steps beside them are pure and shared with the gateway's dry
run and the CLI.
"""
