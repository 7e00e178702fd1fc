-- Row-level security compares the tenant with a setting, which the planner takes for a condition of its own: it expected a
-- few rows of a scenario where there are ten thousands, and sorted them all. A scenario has one tenant, and this says so.
CREATE STATISTICS scenario_hours_of_tenant (dependencies) ON tenant_id, scenario_id FROM scenario_hours;
CREATE STATISTICS scenario_days_of_tenant (dependencies) ON tenant_id, scenario_id FROM scenario_days;
CREATE STATISTICS scenario_summaries_of_tenant (dependencies) ON tenant_id, scenario_id FROM scenario_summaries;
CREATE STATISTICS scenario_facets_of_tenant (dependencies) ON tenant_id, scenario_id FROM scenario_facets;
ANALYZE scenario_hours, scenario_days, scenario_summaries, scenario_facets;
