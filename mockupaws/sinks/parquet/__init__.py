"""Analysed requests to Parquet objects, one per scenario, hour and partition; visible only through the manifest."""
