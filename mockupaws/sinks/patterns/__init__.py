"""Finds the templates of each scenario's lines in a sample, beside the stream.

Reads `logs.analysed` without a consumer group; writes `scenario_patterns`. Promises to use a small, fixed share of a
processor core, to hold a bounded number of templates, and that neither its lag nor its death matters to anything else:
what it misses is not sampled.
"""
