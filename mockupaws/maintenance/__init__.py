"""The process beside the stream: upkeep of the tables (archive.lifecycle) and patterns of lines (sinks.patterns);
and budgets, whose alerts it sends."""
