-- Statements of the budget checks. They run as the owner, over all tenants.

-- name: budgets_to_check
-- Every budget of a scenario that still is.
SELECT b.tenant_id, b.id, b.version, b.scenario_id, b.metric, b."limit", b.thresholds, b.window_days, s.architecture
FROM budgets AS b JOIN scenarios AS s ON s.id = b.scenario_id AND s.tenant_id = b.tenant_id
WHERE b.deleted_at IS NULL AND s.deleted_at IS NULL
ORDER BY b.tenant_id, b.id;

-- name: raise_alert
-- An alert, unless this threshold of this version was told this month; answers whether it is new.
INSERT INTO budget_alerts (tenant_id, id, budget_id, budget_version, period, threshold, amount, "limit", complete,
                           created_at, next_attempt_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
ON CONFLICT (tenant_id, budget_id, budget_version, period, threshold) DO NOTHING
RETURNING true;

-- name: take_alerts
-- Up to $2 alerts of budgets that still are, to be sent by $1, each put off as long as its attempts say, so that nobody else
-- takes it meanwhile.
WITH due AS (
    SELECT a.tenant_id, a.id, b.id AS budget_id, b.name, b.metric, b.webhook_url, b.webhook_secret, b.emails,
           b.scenario_id, s.name AS scenario
    FROM budget_alerts AS a JOIN budgets AS b ON (b.tenant_id, b.id) = (a.tenant_id, a.budget_id)
    JOIN scenarios AS s ON s.id = b.scenario_id AND s.tenant_id = b.tenant_id
    WHERE a.next_attempt_at <= $1 AND b.deleted_at IS NULL
    ORDER BY a.next_attempt_at LIMIT $2 FOR UPDATE OF a SKIP LOCKED
)
UPDATE budget_alerts AS a
SET attempts = a.attempts + 1, next_attempt_at = $1::timestamptz + make_interval(mins => (2 ^ least(a.attempts, 10))::integer)
FROM due WHERE (a.tenant_id, a.id) = (due.tenant_id, due.id)
RETURNING a.tenant_id, a.id, a.threshold, a.amount, a."limit", a.complete, a.period, a.created_at, a.attempts,
          a.webhook_sent_at, a.email_sent_at, due.budget_id, due.name, due.metric, due.webhook_url, due.webhook_secret, due.emails,
          due.scenario_id, due.scenario;

-- name: note_sending
-- What became of an attempt; $5: it is over, sent or given up.
UPDATE budget_alerts
SET webhook_sent_at = $3, email_sent_at = $4, next_attempt_at = CASE WHEN $5 THEN NULL ELSE next_attempt_at END,
    last_error = $6
WHERE tenant_id = $1 AND id = $2;

-- name: forget_alerts
-- Alerts raised before $1.
DELETE FROM budget_alerts WHERE created_at < $1;
