-- The sink asks whether rows stand already when their request was forgotten in applied_requests. It still reads no log.
GRANT SELECT (scenario_id, received_at, id) ON scenario_logs TO mockupaws_sink;
