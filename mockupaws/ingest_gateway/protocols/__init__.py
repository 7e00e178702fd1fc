"""Bodies of ingest requests → entries; one module a format. Pure: bytes in, `Decoded` or `RefusedError` out."""
