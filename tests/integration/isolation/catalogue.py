"""Audits the catalogue: what stands in the database, who may do what with it, and whether each tenant is kept apart.

A table, view or function without a rule here is a finding: whoever adds one says what it holds and who may use it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

API, SINK = "mockupaws_api", "mockupaws_sink"
HERE = "tests/integration/isolation/catalogue.py"


@dataclass(frozen=True, slots=True)
class TableRule:
    """Who may do what with a table or view; `of_tenants`: its rows have a tenant, and only that tenant's are seen."""

    api: str = ""
    """Privileges of the API's role, sorted; `SELECT(some)`: of some columns only."""
    sink: str = ""
    of_tenants: bool = True


INSTALLATION = False
TABLES: dict[str, TableRule] = {
    "tenants": TableRule("SELECT"),
    "users": TableRule("DELETE INSERT SELECT UPDATE"),
    "sessions": TableRule("DELETE INSERT SELECT UPDATE"),
    "refresh_tokens": TableRule("INSERT SELECT UPDATE"),
    "token_revocations": TableRule("INSERT SELECT"),
    "api_keys": TableRule("INSERT SELECT UPDATE"),
    "scenarios": TableRule("INSERT SELECT UPDATE"),
    "scenario_versions": TableRule("INSERT SELECT"),
    "estimates": TableRule("INSERT SELECT"),
    "budgets": TableRule("INSERT SELECT UPDATE"),
    "budget_alerts": TableRule("SELECT"),
    "scenario_logs": TableRule("SELECT", "INSERT SELECT(some)"),
    "scenario_metrics": TableRule("SELECT", "INSERT SELECT UPDATE"),
    "scenario_patterns": TableRule("SELECT", "INSERT SELECT UPDATE"),
    "scenario_hours": TableRule("SELECT", "INSERT SELECT UPDATE"),
    "scenario_days": TableRule("SELECT"),
    "scenario_summaries": TableRule("SELECT"),
    "scenario_facets": TableRule("SELECT", "INSERT"),
    "scenario_text_blocks": TableRule("SELECT"),
    "scenario_text_days": TableRule("SELECT"),
    "ingest_receipts": TableRule("SELECT", "INSERT SELECT UPDATE"),
    "dead_letters": TableRule("SELECT(some)", "INSERT SELECT UPDATE"),
    "archive_objects": TableRule("SELECT", "INSERT SELECT"),
    "redaction_policies": TableRule("INSERT SELECT"),
    "tenant_keys": TableRule("INSERT SELECT"),
    "audit_log": TableRule("INSERT SELECT"),
    # Failures by HMAC of the account or address: of nobody yet. Reached through functions only.
    "sign_in_failures": TableRule(of_tenants=INSTALLATION),
    # Request ids, hashes and offsets: no tenant, no text. Nothing that serves tenants reads them.
    "applied_requests": TableRule(sink="INSERT SELECT", of_tenants=INSTALLATION),
    "consumer_offsets": TableRule(sink="INSERT SELECT UPDATE", of_tenants=INSTALLATION),
    "source_offsets": TableRule(sink="INSERT SELECT UPDATE", of_tenants=INSTALLATION),
    "partition_bounds": TableRule(sink="SELECT", of_tenants=INSTALLATION),
    "schema_migrations": TableRule(of_tenants=INSTALLATION),
}

OWNER_ONLY, ANYBODY, API_ONLY = "", "PUBLIC", API
FUNCTIONS: dict[str, str] = {
    # Act with the rights of who calls them, on what they are given.
    "current_tenant": ANYBODY,
    "no_tenant": ANYBODY,
    "add_counts": ANYBODY,
    "sum_counts": ANYBODY,
    "fold_counts": ANYBODY,
    "placed": ANYBODY,
    "refuse_change": ANYBODY,
    "keep_scenario_version": ANYBODY,
    # Before a tenant is known: by the exact prefix, e-mail, id or HMAC.
    "find_api_key": API_ONLY,
    "find_user": API_ONLY,
    "find_scenario": API_ONLY,
    "find_scenario_tenant": API_ONLY,
    "find_refresh_token": API_ONLY,
    "begin_sign_in": API_ONLY,
    "forgive_sign_in": API_ONLY,
    "note_key_uses": API_ONLY,
    # Of every tenant: what gateways and processors keep copies of. No text, no name, no secret in the clear.
    "changed_api_keys": API_ONLY,
    "changed_scenarios": API_ONLY,
    "changed_policies": API_ONLY,
    "changed_policies_with_keys": API_ONLY,
    "revocations_since": API_ONLY,
    "changed_limits": API_ONLY,
    "tokens_today": API_ONLY,
    "stored_offsets": API_ONLY,
    "attach_partition": OWNER_ONLY,
    "make_log_partition": OWNER_ONLY,
    "make_metric_partition": OWNER_ONLY,
}

_RELATIONS = """
    SELECT c.relname AS name, c.relkind::text AS kind, c.relispartition AS is_partition, c.relrowsecurity AS guarded,
           c.relforcerowsecurity AS forced, coalesce('security_invoker=true' = ANY (c.reloptions), false) AS invoker,
           EXISTS (SELECT FROM pg_attribute AS a
                   WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped) AS has_tenant,
           ARRAY(SELECT coalesce(r.rolname, 'PUBLIC') || ' ' || granted.privilege_type
                 FROM aclexplode(c.relacl) AS granted LEFT JOIN pg_roles AS r ON r.oid = granted.grantee
                 WHERE granted.grantee <> c.relowner
                 UNION
                 SELECT coalesce(r.rolname, 'PUBLIC') || ' ' || granted.privilege_type || '(some)'
                 FROM pg_attribute AS a, aclexplode(a.attacl) AS granted
                 LEFT JOIN pg_roles AS r ON r.oid = granted.grantee
                 WHERE a.attrelid = c.oid AND NOT a.attisdropped AND granted.grantee <> c.relowner) AS granted,
           ARRAY(SELECT concat_ws(' ', p.permissive, p.roles, p.cmd, p.qual, '/', p.with_check)
                 FROM pg_policies AS p WHERE p.schemaname = 'public' AND p.tablename = c.relname) AS policies
    FROM pg_class AS c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    ORDER BY c.relname
"""
_FUNCTIONS = """
    SELECT p.proname AS name, p.prosecdef AS definer, p.proleakproof AS leakproof,
           coalesce(p.proconfig, '{}') AS configuration,
           ARRAY(SELECT coalesce(r.rolname, 'PUBLIC')
                 FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS granted
                 LEFT JOIN pg_roles AS r ON r.oid = granted.grantee
                 WHERE granted.grantee <> p.proowner) AS callers
    FROM pg_proc AS p WHERE p.pronamespace = 'public'::regnamespace ORDER BY p.proname
"""
_REST = """
    SELECT 'role ' || rolname || ' is more than a login: superuser, BYPASSRLS or may make roles or databases'
    FROM pg_roles
    WHERE rolname = 'mockupaws_api' AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)
       OR rolname = 'mockupaws_sink' AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication)
    UNION ALL
    SELECT 'role ' || member::regrole || ' has the rights of ' || roleid::regrole FROM pg_auth_members
    WHERE member IN ('mockupaws_api'::regrole, 'mockupaws_sink'::regrole)
    UNION ALL
    SELECT 'relation ' || relname || ' belongs to ' || relowner::regrole FROM pg_class
    WHERE relowner IN ('mockupaws_api'::regrole, 'mockupaws_sink'::regrole)
    UNION ALL
    SELECT 'role ' || rolname || ' may make things in the schema public' FROM pg_roles
    WHERE rolname IN ('mockupaws_api', 'mockupaws_sink') AND has_schema_privilege(oid, 'public', 'CREATE')
    UNION ALL
    SELECT 'schema ' || nspname || ' is none that this audit looks into' FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname NOT IN ('public', 'information_schema')
    UNION ALL
    SELECT 'what ' || defaclrole::regrole || ' will make is granted by default: ' || defaclacl::text
    FROM pg_default_acl
    UNION ALL
    SELECT 'foreign key ' || k.conname || ' of ' || k.conrelid::regclass || ' leaves out tenant_id'
    FROM pg_constraint AS k
    JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attname = 'tenant_id'
    JOIN pg_attribute AS b ON b.attrelid = k.confrelid AND b.attname = 'tenant_id'
    WHERE k.contype = 'f' AND NOT a.attnum = ANY (k.conkey)
"""
_POLICY_OF_TENANT = "PERMISSIVE {{public}} ALL ({column} = current_tenant()) / ({column} = current_tenant())"


async def audit(connection: Connection) -> list[str]:
    """What is wrong, a sentence each; empty where nothing is. As the owner or a superuser."""
    relations = await connection.fetch(_RELATIONS)
    functions = await connection.fetch(_FUNCTIONS)
    findings = [finding for row in relations for finding in _of_relation(row)]
    findings += [finding for row in functions for finding in _of_function(row)]
    findings += [row[0] for row in await connection.fetch(_REST)]
    for kind, rules, rows in (("table", TABLES, relations), ("function", FUNCTIONS, functions)):
        gone = rules.keys() - {row["name"] for row in rows}
        findings += [f"{kind} {name} is gone: take its rule out of {HERE}" for name in sorted(gone)]
    return findings


def _of_relation(row: asyncpg.Record) -> Iterator[str]:
    name, granted = row["name"], set(row["granted"])
    if row["is_partition"]:
        if not (row["guarded"] and row["forced"]):
            yield f"partition {name} doesn't force row-level security"
        if granted:
            yield f"partition {name} is granted: {', '.join(sorted(granted))}"
        return
    rule = TABLES.get(name)
    if rule is None:
        yield f"{name} has no rule: say in {HERE} whose rows it holds, who may use it, and seed it in tenants.py"
        return
    wanted = {f"{API} {p}" for p in rule.api.split()} | {f"{SINK} {p}" for p in rule.sink.split()}
    if granted != wanted:
        more, less = sorted(granted - wanted), sorted(wanted - granted)
        yield f"{name} is granted otherwise than its rule says: {more} too many, {less} missing"
    if row["kind"] == "m" or row["kind"] == "f":
        yield f"{name} is a materialized view or foreign table: these have no row-level security"
    if row["kind"] == "v":
        if not row["invoker"]:
            yield f"view {name} reads with its owner's rights: WITH (security_invoker = true)"
        return
    if rule.of_tenants or row["has_tenant"]:
        if not (row["guarded"] and row["forced"]):
            yield f"table {name} doesn't force row-level security"
        policy = _POLICY_OF_TENANT.format(column="id" if name == "tenants" else "tenant_id")
        if list(row["policies"]) != [policy]:
            yield f"table {name} has the policies {list(row['policies'])}, not just {policy}"
    elif granted & {f"{API} SELECT", "PUBLIC SELECT"}:
        yield f"table {name} is of no tenant, and the API's role reads it"


def _of_function(row: asyncpg.Record) -> Iterator[str]:
    name = row["name"]
    if name not in FUNCTIONS:
        yield f"function {name} has no rule: say in {HERE} who may call it"
        return
    callers = {FUNCTIONS[name]} - {OWNER_ONLY}
    if set(row["callers"]) != callers:
        yield f"function {name} may be called by {sorted(row['callers'])}, not just {sorted(callers)}"
    if row["leakproof"]:
        yield f"function {name} says it is leakproof: it would see rows before row-level security does"
    if row["definer"]:
        path = next((c for c in row["configuration"] if c.startswith("search_path=")), "")
        if path.split("=")[-1].replace(" ", "") != "pg_catalog,public,pg_temp":
            yield f"function {name} runs as its owner: SET search_path = pg_catalog, public, pg_temp"
        if FUNCTIONS[name] == ANYBODY:
            yield f"function {name} runs as its owner for anybody"
