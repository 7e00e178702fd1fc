-- Apart from 0038: reads all lines once, while sinks go on writing.
ALTER TABLE scenario_logs VALIDATE CONSTRAINT scenario_logs_preview_is_short;
